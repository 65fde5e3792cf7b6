"""Fine-tuning from a checkpoint, from the command line to the answers."""

import json

import pandas as pd
import pytest
import torch
from torch.testing import assert_close

import sciformer
from sciformer import foundation
from sciformer.checkpoint import IntegrityError, load_checkpoint, save_checkpoint
from sciformer.cli import run_recipe
from sciformer.domains.molecule import Molecule
from sciformer.domains.molecule.simulate import TARGETS, simulate
from sciformer.finetuning import Origin, Start
from sciformer.foundation import Foundation
from sciformer.model import Sciformer, SciformerConfig
from sciformer.tasks.describe import Describe
from sciformer.transfer import TransferReport

SHAPE = SciformerConfig(width=16, depth=2, heads=2)


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A pretrained backbone, as far as anyone can tell."""
    torch.manual_seed(0)
    task = Describe(SHAPE, "molecule", ["a", "b"])
    task.scale.fitted.fill_(True)
    made = Foundation({"molecule": Molecule()}, Sciformer(SHAPE, {"molecule": Molecule()}), {"described": task})
    path = tmp_path_factory.mktemp("start") / "backbone"
    foundation.save(made, path, title="Backbone", card="# Backbone", trained={})
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "table.csv"
    simulate(60, seed=0).to_csv(path, index=False)
    return path


@pytest.fixture
def tuned(start, table, recipe_file, tmp_path, capsys):
    """Fine-tune on a small table; returns the run and what was said."""

    def go(mode: str, *options: str):
        out = tmp_path / mode
        data = ["--data.source", str(table), "--data.targets", TARGETS[0].name, "--baselines", "false"]
        named = ["--start.checkpoint", str(start), "--start.mode", mode, "--optim.epochs", "2", "--out", str(out)]
        run_recipe(recipe_file, [*data, *named, *options])
        return out, capsys.readouterr().out

    return go


def moved(start, run) -> set[str]:
    """The parts of the backbone whose weights are not those of the checkpoint."""
    before, after = load_checkpoint(start).weights, load_checkpoint(run / "checkpoint").weights
    return {
        name.split(".")[1]
        for name, x in before.items()
        if name.startswith("model.") and not torch.equal(x, after[f"members.0.{name}"])
    }


@pytest.mark.parametrize(
    ("mode", "learned"),
    [
        ("full", {"embedders", "pair_biases", "pair_censuses", "blocks", "norm"}),
        ("head", set()),
        ("lora", {"blocks"}),
        ("gradual", {"blocks", "norm"}),
    ],
)
def test_what_learns_is_what_the_mode_says(mode, learned, start, tuned):
    run, said = tuned(mode)
    assert moved(start, run) == learned
    assert "loaded: embedder molecule" in said
    assert "starting at random: task readouts" in said
    tells_how_it_began(run, start, mode)


def tells_how_it_began(run, start, mode: str):
    """The run directory by part, the page and the card in a sentence, the card with the whole hash."""
    facts, sha256 = json.loads((run / "run.json").read_text()), load_checkpoint(start).sha256
    known = facts["start"]
    loaded, fresh, unused = (sum(known[kind].values()) for kind in ("loaded", "fresh", "unused"))
    assert loaded + fresh == facts["parameters"]
    assert (known["learning"] == facts["parameters"]) == (mode in ("full", "gradual"))
    told = (
        f"in mode {mode}: {loaded:,} weights are from the checkpoint, {fresh:,} started at random, {unused:,} of the "
        f"checkpoint are not used; {known['learning']:,} were free to learn."
    )
    name = f"Started from {start.parent.name}/{start.name}"
    assert f"{name} (sha256 {sha256[:12]}) {told}" in (run / "report.html").read_text()
    assert f"{name} (sha256 {sha256}) {told}" in (run / "checkpoint" / "MODEL_CARD.md").read_text()
    if mode == "lora":
        assert f"{name} (sha256 {sha256}) {told}" in (run / "adapter" / "MODEL_CARD.md").read_text()


def test_scratch_has_the_shape_of_the_checkpoint_and_none_of_its_weights(start, tuned):
    run, said = tuned("scratch")
    for page in (run / "report.html", run / "checkpoint" / "MODEL_CARD.md"):
        assert "Started from" not in page.read_text()
    assert moved(start, run) >= {"embedders", "blocks"}
    assert load_checkpoint(run / "checkpoint").config["model"]["width"] == 16
    assert "loaded" not in said


def test_layers_learn_at_the_rates_that_they_are_given(start, tuned):
    """Nothing below a vanishing decay moves by more than a rounding."""
    run, _ = tuned("full", "--start.decay", "1e-6")
    before, after = load_checkpoint(start).weights, load_checkpoint(run / "checkpoint").weights
    name = "model.embedders.molecule.ids.weight"
    assert_close(after[f"members.0.{name}"], before[name], rtol=0, atol=1e-7)


@pytest.mark.parametrize(("mode", "slowed"), [("full", True), ("gradual", True), ("lora", False), ("head", False)])
def test_what_was_loaded_learns_slower_than_what_starts_at_random(mode, slowed, start):
    """Low-rank updates were not loaded, so they are not slowed."""
    origin = Origin.of(Start(checkpoint=str(start), mode=mode, rate=0.1))
    assert origin is not None
    rates = origin.rates(TransferReport(new=frozenset({"model.embedders.molecule.ids.weight"})))
    assert rates is not None
    assert rates("task.readouts.0.weight") == 1
    assert rates("model.embedders.molecule.ids.weight") == 1
    assert rates("model.blocks.0.attention.qkv.weight") == (0.1 if slowed else 1)


def test_a_model_from_scratch_learns_at_one_rate(start):
    origin = Origin.of(Start(checkpoint=str(start), mode="scratch"))
    assert origin is not None
    assert origin.rates(None) is None


def test_weights_can_be_frozen_by_the_beginning_of_their_names(start, tuned):
    run, _ = tuned("full", "--start.frozen", "model.embedders,model.blocks")
    assert moved(start, run) == {"pair_biases", "pair_censuses", "norm"}


def test_frozen_names_that_nothing_has_are_refused(tuned, capsys):
    with pytest.raises(SystemExit):
        tuned("full", "--start.frozen", "model.layers")
    assert "start.frozen 'model.layers' is no weight of this model" in capsys.readouterr().err


def test_a_run_says_where_it_started_and_can_be_started_from(start, tuned, recipe_file, table, tmp_path):
    run, _ = tuned("full")
    config = load_checkpoint(run / "checkpoint").config
    assert config["start"]["checkpoint"] == str(start)
    assert config["start"]["sha256"] == load_checkpoint(start).sha256
    again = Origin.of(Start(checkpoint=str(run / "checkpoint")))
    assert again is not None
    assert list(again.foundation.objectives) == ["task"]


# --- low-rank updates on their own -----------------------------------------------------------------------


def test_low_rank_updates_alone_are_small_and_give_the_same_answers(start, tuned, table):
    run, _ = tuned("lora", "--uncertainty.members", "2")
    whole, added = sciformer.load(run / "checkpoint"), sciformer.load(run / "adapter")
    smiles = pd.read_csv(table)["smiles"].tolist()[:9]
    first, second = whole.predict(smiles), added.predict(smiles)
    name = TARGETS[0].name
    assert first[name].to_numpy() == pytest.approx(second[name].to_numpy(), rel=1e-2, abs=1e-2)
    held = load_checkpoint(run / "adapter").weights
    assert not any("blocks" in name and not name.endswith((".up", ".down")) for name in held)


def test_low_rank_updates_of_another_checkpoint_are_refused(start, tuned, tmp_path):
    run, _ = tuned("lora")
    saved = load_checkpoint(start)
    torch.manual_seed(3)
    weights = {name: torch.randn_like(x) if x.is_floating_point() else x for name, x in saved.weights.items()}
    save_checkpoint(start, config=saved.config, weights=weights, calibration={}, card="# Another")
    try:
        with pytest.raises(IntegrityError, match="was trained on another"):
            sciformer.load(run / "adapter")
    finally:
        save_checkpoint(start, config=saved.config, weights=saved.weights, calibration={}, card="# Backbone")


@pytest.mark.parametrize("fault", ["missing", "unexpected", "misshaped"])
def test_low_rank_updates_are_loaded_whole_or_not_at_all(fault, tuned):
    run, _ = tuned("lora")
    saved = load_checkpoint(run / "adapter")
    name = next(name for name in saved.weights if name.endswith("qkv.up"))
    weights = dict(saved.weights)
    if fault == "missing":
        del weights[name]
    else:
        weights[name if fault == "misshaped" else f"{name}.more"] = torch.zeros(3)
    save_checkpoint(run / "adapter", config=saved.config, weights=weights, calibration=saved.calibration, card="")
    with pytest.raises(IntegrityError, match=r"qkv\.up"):
        sciformer.load(run / "adapter")


def test_low_rank_updates_are_believed_only_where_they_describe_a_model_of_that_shape(tuned):
    """A config that asks for a model of billions of weights is refused before any of them is made."""
    run, _ = tuned("lora")
    saved = load_checkpoint(run / "adapter")
    config = {**saved.config, "model": {**saved.config["model"], "width": 16384, "depth": 512}}
    save_checkpoint(run / "adapter", config=config, weights=saved.weights, calibration=saved.calibration, card="")
    with pytest.raises(IntegrityError, match="model is not of the shape of"):
        sciformer.load(run / "adapter")


# --- going on --------------------------------------------------------------------------------------------


def test_a_run_does_not_go_on_from_another_checkpoint_than_it_began_with(start, tuned, monkeypatch, capsys):
    from sciformer import recipe

    saved = load_checkpoint(start)
    with monkeypatch.context() as patched:
        patched.setattr(recipe, "_report", lambda run: (_ for _ in ()).throw(OSError("no space")))
        with pytest.raises(SystemExit):
            tuned("full")
    save_checkpoint(start, config=saved.config, weights=saved.weights, calibration={}, card="# Another")
    try:
        with pytest.raises(SystemExit):
            tuned("full")
    finally:
        save_checkpoint(start, config=saved.config, weights=saved.weights, calibration={}, card="# Backbone")
    assert "is not the checkpoint any more that it began with" in capsys.readouterr().err
    tuned("full")


# --- wrong starts ----------------------------------------------------------------------------------------


def test_a_mode_needs_something_to_start_from():
    with pytest.raises(ValueError, match=r"name it with --start\.checkpoint"):
        Start(mode="lora")


def test_a_checkpoint_of_another_domain_is_refused(start):
    from sciformer.domains.protein import Protein

    origin = Origin.of(Start(checkpoint=str(start)))
    assert origin is not None
    with pytest.raises(ValueError, match="does not read records of the domain 'protein', but of molecule"):
        origin.adapter(Protein())


def test_a_checkpoint_that_was_tampered_with_starts_nothing(start, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(start, copy)
    config = json.loads((copy / "config.json").read_text())
    config["model"]["depth"] = 3
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(IntegrityError, match=r"config\.json"):
        Origin.of(Start(checkpoint=str(copy)))
