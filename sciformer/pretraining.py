"""A backbone learns from records without answers: streams of data, an objective for each, one model for all.

What comes of it is a ``Foundation``, from which recipes start (``start.checkpoint``).
"""

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sciformer.adapter import DomainAdapter, SeriesAdapter
from sciformer.data.targets import column_names
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.streams import Read, Source, Stream, read_sources, sources_of

if TYPE_CHECKING:
    from sciformer.data.datamodule import DataModule
    from sciformer.foundation import Foundation
    from sciformer.recipe import Say
    from sciformer.tasks.base import Task


@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """What a backbone learns before anyone asks it something: the recipe of a checkpoint to start from.

    ``optim.epochs`` counts epochs of ``steps`` batches, shared out among the streams by their weights. The validation
    loss is the mean over the held-out records of all streams; those of each stream are in ``metrics.csv``.
    """

    title: str
    streams: Mapping[str, Stream]
    steps: int = 500
    model: SciformerConfig = field(default_factory=SciformerConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    seed: int = 0

    def __post_init__(self):
        from sciformer.foundation import check_names

        if not self.streams:
            raise ValueError("pretraining needs at least one stream of data")
        check_names(self.streams)
        if self.steps < 1 or not 0 <= self.seed < 2**32:  # scikit-learn takes no other
            raise ValueError(f"steps must be at least 1 and seed lie in 0..{2**32 - 1}, got {self.steps}, {self.seed}")
        if self.optim.balance:
            raise ValueError("records without answers have no classes to balance: leave optim.balance 0")


@dataclass(frozen=True)
class Devices:
    """What a backbone is trained on.

    Attributes:
        devices: So many processes, each with a GPU of its own, or none where there are none. At every step each takes
            another batch of the same stream, so a step learns from so many times the records.
    """

    devices: int = 1

    def __post_init__(self):
        if self.devices < 1:
            raise ValueError(f"trainer.devices must be at least 1, got {self.devices}")

    @property
    def rank(self) -> int:
        """Which of the processes this is. The first one starts the others, if ``torchrun`` or a cluster has not; they
        are told by their environment."""
        names = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
        return int(next((os.environ[name] for name in names if name in os.environ), 0)) if self.devices > 1 else 0


@dataclass(frozen=True)
class PretrainOptions:
    """How and where a backbone is trained.

    Attributes:
        out: Directory of the run; by default runs/ and the name of the recipe.
        resume: "auto" goes on with an unfinished run of the same settings, "never" refuses to.
        overwrite: Replace an earlier run in the same directory.
        accelerator: "auto", "cpu" or "gpu".
        half: Save the weights in half precision, at half the size and three digits.
        trainer: On how many devices.
    """

    out: str = ""
    resume: Literal["auto", "never"] = "auto"
    overwrite: bool = False
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    half: bool = False
    trainer: Devices = field(default_factory=Devices)


def pretrain(recipe: Pretraining, options: PretrainOptions, say: "Say" = print) -> Path:
    """Read, split, train, save and report. Returns the directory of the run, whose ``checkpoint`` others start from.

    Of several processes the first alone tells, writes and saves.
    Raises ``ValueError`` or ``OSError`` with one clear line for unusable input, ``Interrupted`` after a signal.
    """
    import shutil

    import pandas as pd

    from sciformer.foundation import save
    from sciformer.recipe import plain
    from sciformer.report.pretraining import render
    from sciformer.rundir import RESUME, RunDirectory

    start = time.monotonic()
    out = Path(options.out or "runs/pretrain")
    if options.trainer.rank:
        _follow(recipe, out / RESUME, options)
        return out
    with RunDirectory.open(out, plain(recipe), resume=options.resume == "auto", overwrite=options.overwrite) as (
        run,
        resumed,
    ):
        say(f"{'Going on with' if resumed else 'Writing'} {out}/")
        sources = sources_of(recipe.streams, say)
        run.note_environment()
        foundation, rows = _learned(recipe, sources, run.path / RESUME, options, say)
        run.write_csv("metrics.csv", pd.DataFrame(rows))
        known = _trained(recipe, sources, rows)
        simulated = all(source.dataset.simulated for source in sources.values())
        told = {"title": recipe.title, "simulated": simulated}
        card = _card(recipe, sources, known)
        save(foundation, run.path / "checkpoint", card=card, trained=known, half=options.half, **told)
        seconds = round(time.monotonic() - start, 1)
        run.set_state("running", seconds=seconds, **told, **known, **_facts(recipe, sources, foundation))
        render(run.path)
        run.set_state("finished")
        shutil.rmtree(run.path / RESUME, ignore_errors=True)
    say(
        f"Finished in {time.monotonic() - start:.0f} s. Report: {out / 'report.html'}  Checkpoint: {out / 'checkpoint'}"
    )
    return out


def _follow(recipe: Pretraining, folder: Path, options: PretrainOptions) -> None:
    """Train along with the first process, and stop when it does, which is its to tell."""
    import contextlib

    from sciformer.resume import Interrupted

    with contextlib.suppress(Interrupted):
        _learned(recipe, sources_of(recipe.streams, _silent), folder, options, _silent)


def _silent(line: str) -> None:
    pass


def _learned(
    recipe: Pretraining, sources: Mapping[str, Source], folder: Path, options: PretrainOptions, say: "Say"
) -> "tuple[Foundation, list[dict[str, Any]]]":
    """The trained backbone and its learning curve; the state of training is kept in ``folder``."""
    import torch
    from rich.console import Console

    from sciformer.data.examples import Examples
    from sciformer.data.mixture import Mixture as Streams
    from sciformer.data.mixture import Share
    from sciformer.foundation import Foundation
    from sciformer.model import Sciformer
    from sciformer.progress import History, RunProgress
    from sciformer.tasks.mixture import Mixture
    from sciformer.training import SciformerModule, fit

    trainer, adapters = options.trainer, {}
    for source in sources.values():
        adapters.setdefault(source.adapter.name, source.adapter)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        model = Sciformer(recipe.model, adapters)
        read = read_sources(recipe.streams, sources, say)
        tasks: dict[str, Task] = {}
        shares: dict[str, Share] = {}
        for name, stream in recipe.streams.items():
            data = _data(recipe, stream, sources[name], read[name], trainer)
            tasks[name] = _task(recipe.model, sources[name].adapter, stream, read[name].names)
            tasks[name].fit(data.train)
            shares[name] = Share(data, stream.weight)
        model.fit(Examples.joined(share.data.train for share in shares.values()))
        streams = Streams(shares, steps=recipe.steps, seed=recipe.seed)
        steps = streams.total_steps(recipe.optim.epochs)
        module = SciformerModule(model, Mixture(tasks), recipe.optim, steps, recipe.seed)
        history = History(0)
        observers = [history, RunProgress(Console(stderr=True), "Pretraining", steps)][: 1 if trainer.rank else 2]
        if trainer.rank:  # all begin with the same weights and go on with dropout of their own
            torch.manual_seed(recipe.seed + trainer.rank)
        fit(module, streams, folder, *observers, accelerator=options.accelerator, devices=trainer.devices)
    return Foundation(adapters, model, tasks), history.rows


def _data(recipe: Pretraining, stream: Stream, source: Source, read: Read, trainer: Devices) -> "DataModule":
    from sciformer.data.datamodule import DataModule

    return DataModule(
        read.train,
        read.validation,
        targets=read.names if stream.objective == "descriptors" else (),
        batches=stream.batch,
        seed=recipe.seed,
        augment=source.dataset.augment or source.adapter.augment,
        rank=trainer.rank,
        world_size=trainer.devices,
    )


def _task(shape: SciformerConfig, adapter: DomainAdapter, stream: Stream, names: Sequence[str]) -> "Task":
    from sciformer.tasks.describe import Describe
    from sciformer.tasks.forecast import Forecast
    from sciformer.tasks.reconstruct import Reconstruct

    if stream.objective == "descriptors":
        return Describe(shape, adapter.name, names, extensive=adapter.extensive)
    if stream.objective == "masked":
        return Reconstruct(shape, adapter.schema, adapter.name, stream.share)
    if not isinstance(adapter, SeriesAdapter):
        raise ValueError(f"records of the domain {adapter.name!r} do not go on in time: choose another objective")
    return Forecast(shape, adapter)


def _trained(recipe: Pretraining, sources: Mapping[str, Source], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How it was trained, for the checkpoint, its card and the page; scores are those of the weights that are used."""
    last = used = rows[-1]
    if recipe.optim.patience:
        used = min(rows, key=lambda row: row["validation_loss"] if math.isfinite(row["validation_loss"]) else math.inf)
    return {
        "steps": last["step"],
        "minutes": round(last["seconds"] / 60, 1),
        "streams": {
            name: {
                "source": sources[name].dataset.source,
                "records": len(sources[name].parts["train"]),
                "objective": stream.objective,
                "weight": stream.weight,
                "validation": {
                    metric.removeprefix(f"validation_{name}."): round(value, 6)
                    for metric, value in used.items()
                    if metric.startswith(f"validation_{name}.") and math.isfinite(value)
                },
            }
            for name, stream in recipe.streams.items()
        },
    }


def _facts(recipe: Pretraining, sources: Mapping[str, Source], foundation: "Foundation") -> dict[str, Any]:
    """What the page says besides."""
    from sciformer import __version__

    return {
        "domain": ", ".join(foundation.adapters),
        "seed": recipe.seed,
        "sciformer": __version__,
        "checkpoint": "checkpoint",
        "notes": list(dict.fromkeys(note for source in sources.values() for note in source.dataset.notes)),
        "parameters": sum(x.numel() for x in foundation.model.parameters()),
    }


def _card(recipe: Pretraining, sources: Mapping[str, Source], trained: Mapping[str, Any]) -> str:
    """What a user of the backbone must know: what it learned, from what, how well, and what it has never met."""
    from sciformer.report.pretraining import python
    from sciformer.rundir import environment

    here = environment()
    lines = [f"# {recipe.title}", "", f"{trained['steps']:,} steps in {trained['minutes']} minutes on {here['device']}"]
    threads = "one thread" if here["threads"] == 1 else f"{here['threads']} threads"
    lines[-1] += f" with {threads}: `{here['command']}`."
    lines += ["", "| stream | data | records | objective | on held-out records |", "|---|---|---|---|---|"]
    for name, known in trained["streams"].items():
        told = ", ".join(f"{metric} {value:.3f}" for metric, value in known["validation"].items())
        lines.append(f"| {name} | {known['source']} | {known['records']:,} | {known['objective']} | {told} |")
    lines += ["", "## Data and limits", ""]
    for dataset in {id(source.dataset): source.dataset for source in sources.values()}.values():
        facts = [fact for name in column_names(dataset.source) for fact in _cited(name)]
        lines += [f"- {fact}" for fact in dict.fromkeys((*facts, *dataset.notes))]
    domains = list(dict.fromkeys(source.adapter.name for source in sources.values()))
    lines += ["", "## Use", "", "```python", python("checkpoint", domains), "```", ""]
    lines += [
        "`sciformer train RECIPE --start.checkpoint NAME` fine-tunes it, `sciformer compare` says whether it helps.",
        "",
    ]
    return "\n".join(lines)


def _cited(source: str) -> list[str]:
    """Of a data card: whose the data are, which files, and what is wrong with them."""
    from sciformer.data import cards

    if source not in cards.names() or Path(source).exists():
        return []
    card = cards.card(source)
    places = ["/".join(Path(file.url or file.prepared or "").parts[-2:]) for file in card.files]
    files = [f"{place} (sha256 {file.sha256})" for place, file in zip(places, card.files, strict=True)]
    return [f"{card.title}. {card.citation}. Licence: {card.licence}.", f"Files: {', '.join(files)}", *card.traps]
