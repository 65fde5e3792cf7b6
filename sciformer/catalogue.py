"""What ``sciformer models`` and ``sciformer info`` print of checkpoints. The signatures are the options and the
docstrings the help."""

from typing import TYPE_CHECKING, Any

from sciformer.output import counted

if TYPE_CHECKING:
    from sciformer.checkpoint import Checkpoint
    from sciformer.foundation import Foundation


def overview(domain: str = "all") -> None:
    """List the pretrained backbones that come with sciformer.

    Args:
        domain: Only those that read the records of one science, such as molecule.
    """
    from sciformer import hub, models
    from sciformer.checkpoint import load_checkpoint
    from sciformer.discovery import adapter_names

    if domain != "all" and domain not in adapter_names():
        raise ValueError(f"no domain named {domain!r}; found: all, {', '.join(adapter_names())}")
    shown = 0
    for name in models.names():
        files = load_checkpoint(models.find(models.FOLDER / name))
        domains = hub.domains(files.config)
        if domain in ("all", *domains):
            shown += 1
            size = sum(file.stat().st_size for file in files.path.iterdir()) / 1e6
            told = f"{', '.join(domains):24} {_parameters(files):>12,} parameters {size:7.1f} MB"
            print(f"{name:24} {told}  {licence(files)}  {files.config['title']}")
    if not shown:
        what = "" if domain == "all" else f" that reads the domain {domain!r}"
        print(
            f"No pretrained backbone{what} comes with this version of sciformer. Others are loaded from their "
            "directory or from hf://owner/name; sciformer train molecule/pretrain makes one."
        )


def show(name: str) -> None:
    """Verify a backbone that comes with sciformer and say what it is.

    Args:
        name: Name of the backbone.
    """
    from sciformer import models

    if name not in models.names():
        known = ", ".join(models.names()) or "none"
        raise ValueError(f"no backbone {name!r} comes with sciformer; known: {known}; of a directory: sciformer info")
    info(str(models.FOLDER / name))


def push(checkpoint: str, repository: str, licence: str = "", private: bool = False) -> None:
    """Publish a checkpoint on the Hugging Face hub.

    Args:
        checkpoint: Directory of the checkpoint.
        repository: Where to, as owner/name; it is made where there is none.
        licence: The hub's name of the licence of the weights, such as cc-by-4.0; by default that of the model card.
        private: Make it a repository that only its owners read.
    """
    from sciformer import hub, models

    print(f"Published {hub.push(models.find(checkpoint), repository, licence=licence, private=private)}")


def convert(source: str, checkpoint: str) -> None:
    """Make a checkpoint of published ESM-2 weights.

    Args:
        source: Local directory in the form of Hugging Face: config.json, model.safetensors, vocab.txt.
        checkpoint: Directory to write.
    """
    from sciformer import esm

    esm.convert(source, checkpoint)
    info(checkpoint)


def info(checkpoint: str) -> None:
    """Verify a checkpoint and say what it is.

    Args:
        checkpoint: Directory of the checkpoint, its address hf://owner/name, or the name of one that comes with
            sciformer.
    """
    from sciformer import foundation, hub, models
    from sciformer.checkpoint import load_checkpoint

    files = load_checkpoint(models.find(checkpoint))
    config, domains = files.config, hub.domains(files.config)
    told = f"domain{'s' * (len(domains) > 1)} {', '.join(domains)}"
    print(f"{config['title']}: {told}, sciformer {config['sciformer']}, every hash verified")
    if foundation.is_foundation(files):
        _backbone(files, foundation.restore(files))
    else:
        _model(files)


def _backbone(files: "Checkpoint", whole: "Foundation") -> None:
    """What a pretrained backbone is."""
    trained: dict[str, Any] = files.config["trained"]
    _adapters(files, list(whole.adapters.values()))
    print("A pretrained backbone: it answers nothing before sciformer train RECIPE --start.checkpoint fine-tunes it.")
    print(f"Backbone of {_count(whole.model):,} parameters; shape {files.config['model']}")
    known = trained.get("streams", {})
    for stream, objective in files.config["objectives"].items():
        stream_known = known.get(stream, {})
        data = f" of {stream_known['records']:,} records of {stream_known['source']}" if stream_known else ""
        values = ", ".join(f"{name} {value:.3f}" for name, value in stream_known.get("validation", {}).items())
        held = f"; on held-out records {values}" if values else ""
        print(f"  {stream}: {objective['name']}{data}{held}")
    steps = f"{trained['steps']:,} steps" if "steps" in trained else "steps unknown"
    minutes = f" in {trained['minutes']:,} minutes" if "minutes" in trained else ""
    print(f"Trained for {steps}{minutes}. Licence: {licence(files)}")


def _model(files: "Checkpoint") -> None:
    """What a model that answers something is."""
    from sciformer.pretrained import restore

    config, trained = files.config, restore(files, device="cpu")
    _adapters(files, [trained.adapter])
    parameters = _count(trained.members[0])
    print(f"{counted(len(trained.members), 'model')} of {parameters:,} parameters; shape {config['model']}")
    for target in trained.answers:
        known = trained.calibrations.get(target.name)
        classes = f", classes {', '.join(target.classes)}" if target.classes else ""
        kind = {
            "forecast": "forecast",
            "token_property": f"{target.kind} of every {trained.adapter.part_noun}",
        }.get(config["task"]["name"], target.kind)
        on = counted(known.n, known.counted) if known else "0 records"
        print(f"  {target.label}: {kind}{classes}; calibrated on {on}")
    print(f"Level of intervals and sets: {trained.level:.0%}. Split: {config['splits'].get('kind', '')}")


def _adapters(files: "Checkpoint", adapters: list[Any]) -> None:
    """What its records have in common, and whether they are real."""
    for adapter in adapters:
        for fact in adapter.facts():
            print(fact)
    if files.config["simulated"]:
        print("Trained on simulated data: for demonstration only.")


def licence(files: "Checkpoint") -> str:
    """What the model card says, else, of what comes with the package, that of the package."""
    from sciformer import hub, models

    said = hub.split_head((files.path / "MODEL_CARD.md").read_text(encoding="utf-8"))[0].get("license")
    return str(said or ("Apache-2.0" if files.path.parent == models.FOLDER else "not said"))


def _parameters(files: "Checkpoint") -> int:
    """Of the backbone, or of one model of an ensemble."""
    from sciformer import foundation
    from sciformer.pretrained import restore

    if foundation.is_foundation(files):
        return _count(foundation.restore(files).model)
    return _count(restore(files, device="cpu").members[0])


def _count(module: Any) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
