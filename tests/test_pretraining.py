"""A backbone learns from streams of records, stops and goes on anywhere, and ends as a checkpoint to start from."""

import json
import signal
from collections.abc import Sequence
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import pytorch_lightning as pl
import torch

import sciformer
from sciformer import cli
from sciformer.checkpoint import load_checkpoint
from sciformer.data.batching import BatchConfig
from sciformer.data.dataset import DataConfig, Dataset
from sciformer.data.splits import SplitConfig
from sciformer.domains.climate.data import ClimateData
from sciformer.domains.lightcurve.data import LightCurveData
from sciformer.domains.molecule.adapter import Molecule
from sciformer.domains.molecule.corpus import MoleculeCorpus
from sciformer.domains.molecule.simulate import simulate
from sciformer.domains.protein.data import ProteinData
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.pretraining import Devices, Pretraining, PretrainOptions, _trained, pretrain
from sciformer.report.words import number
from sciformer.resume import Interrupted
from sciformer.rundir import RunDirectoryError
from sciformer.streams import Stream, sources_of

ROOT = Path(__file__).resolve().parent.parent
SMALL = SciformerConfig(width=16, depth=1, heads=2, dropout=0.1)
HELD = SplitConfig(fractions=(0.8, 0.2, 0.0, 0.0), calibration_share=0.0)
STEPS, EPOCHS = 4, 3


@pytest.fixture(scope="module")
def smiles(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("data") / "molecules.smi"
    path.write_text("".join(f"{line}\n" for line in simulate(40, seed=2)["smiles"]))
    return str(path)


def recipe(smiles: str, **changes) -> Pretraining:
    molecules, batch = MoleculeCorpus(source=smiles), BatchConfig(records=7, row=64, pool=7)
    given = {
        "title": "Small",
        "streams": {
            "masked": Stream(molecules, HELD, weight=1.0, batch=batch),
            "described": Stream(molecules, HELD, objective="descriptors", weight=2.0, batch=batch),
        },
        "model": SMALL,
        "optim": OptimConfig(epochs=EPOCHS, lr=1e-3),
        "steps": STEPS,
    }
    return Pretraining(**{**given, **changes})


def run(recipe: Pretraining, out: Path, **options) -> tuple[Path, list[str]]:
    said: list[str] = []
    return pretrain(recipe, PretrainOptions(out=str(out), accelerator="cpu", **options), said.append), said


def weights(out: Path) -> bytes:
    return (out / "checkpoint" / "model.safetensors").read_bytes()


def curve(out: Path) -> pd.DataFrame:
    return pd.read_csv(out / "metrics.csv").drop(columns="seconds")


@pytest.fixture(scope="module")
def finished(smiles, tmp_path_factory) -> tuple[Path, list[str]]:
    return run(recipe(smiles), tmp_path_factory.mktemp("runs") / "whole")


# --- a finished run --------------------------------------------------------------------------------------


def test_a_run_leaves_a_backbone_a_curve_and_what_it_was_made_with(finished, smiles):
    out, said = finished
    assert sorted(entry.name for entry in out.iterdir()) == [
        "checkpoint", "config.yaml", "environment.json", "metrics.csv", "report.html", "run.json"
    ]  # fmt: skip
    facts = json.loads((out / "run.json").read_text())
    assert facts["state"] == "finished"
    assert facts["steps"] == STEPS * EPOCHS
    records = len(MoleculeCorpus(source=smiles).load().records)
    assert facts["streams"]["masked"]["records"] == round(0.8 * records)
    assert facts["streams"]["described"]["objective"] == "descriptors"
    assert said[0].startswith("Writing ")
    assert sum("records, " in line for line in said) == 1, "streams of the same data read them once"
    assert said[-1].endswith(f"Report: {out / 'report.html'}  Checkpoint: {out / 'checkpoint'}")


def test_metrics_have_the_losses_of_every_stream(finished):
    table = curve(finished[0])
    assert table["epoch"].tolist() == [1, 2, 3]
    assert table["step"].tolist() == [4, 8, 12]
    for column in ("train_masked.loss", "train_described.loss", "validation_masked.loss", "validation_described.loss"):
        assert table[column].notna().all()
    assert table["validation_masked.accuracy"].between(0, 1).all()
    mean = (table["validation_masked.loss"] + table["validation_described.loss"]) / 2
    np.testing.assert_allclose(table["validation_loss"], mean, rtol=1e-5)
    known = json.loads((finished[0] / "run.json").read_text())["streams"]
    assert known["masked"]["validation"].keys() == {"loss", "accuracy"}
    assert known["described"]["validation"]["loss"] == pytest.approx(table["validation_described.loss"].iloc[-1], 1e-3)


def test_its_checkpoint_embeds_and_says_what_it_learned(finished, smiles):
    backbone = sciformer.load(finished[0] / "checkpoint", device="cpu")
    vectors = backbone.embed(["CCO", "c1ccccc1"])
    assert vectors.shape == (2, SMALL.width)
    assert np.isfinite(vectors.to_numpy()).all()
    config = load_checkpoint(finished[0] / "checkpoint").config
    assert config["objectives"].keys() == {"masked", "described"}
    assert not config["simulated"]
    card = (finished[0] / "checkpoint" / "MODEL_CARD.md").read_text()
    assert f"| masked | {smiles} |" in card
    assert 'sciformer.load("checkpoint")' in card


def test_its_page_shows_every_stream_and_how_to_start_from_it(finished, smiles):
    out, _ = finished
    html = (out / "report.html").read_text()
    for title in ("Loss by epoch", "masked: loss", "masked: accuracy", "described: loss"):
        assert html.count(f'<figcaption class="head">{title}</figcaption>') == 1
    assert "Not a finished run" not in html
    assert "No complete checkpoint" not in html
    assert f"<code>{smiles}</code>" in html
    for stream, known in json.loads((out / "run.json").read_text())["streams"].items():
        assert f'<th scope="row">{stream}</th>' in html
        for score, value in known["validation"].items():
            assert f"<div>{score} {number(value)}</div>" in html
            assert f"On held-out records {number(value)} at step {STEPS * EPOCHS}." in html
    assert "sciformer train RECIPE --start.checkpoint checkpoint" in html
    code = unescape(html.split('aria-label="Python code"><code>')[1].split("</code>")[0])
    assert code in (out / "checkpoint" / "MODEL_CARD.md").read_text()


def test_scores_are_those_of_the_weights_that_are_used(smiles):
    made = recipe(smiles, streams={"masked": Stream(MoleculeCorpus(source=smiles), HELD)})
    rows = [
        {"step": 4, "seconds": 60.0, "validation_loss": loss, "validation_masked.loss": loss}
        for loss in (float("nan"), 1.0, 2.0)
    ]
    sources = sources_of(made.streams, lambda line: None)
    for patience, loss in ((0, 2.0), (1, 1.0)):
        stops = replace(made, optim=replace(made.optim, patience=patience))
        assert _trained(stops, sources, rows)["streams"]["masked"]["validation"] == {"loss": loss}


def test_a_process_that_follows_writes_nothing(smiles, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("sciformer.pretraining._follow", lambda *_: None)
    _, said = run(recipe(smiles), tmp_path / "run", trainer=Devices(2))
    assert said == []
    assert not (tmp_path / "run").exists()


def test_the_same_recipe_gives_the_same_bits(finished, smiles, tmp_path):
    out, _ = run(recipe(smiles), tmp_path / "again")
    assert weights(out) == weights(finished[0])
    assert weights(run(recipe(smiles, seed=1), tmp_path / "other")[0]) != weights(out)


def test_a_finished_run_is_not_trained_again(finished, smiles):
    before = weights(finished[0])
    with pytest.raises(RunDirectoryError, match="holds a finished run"):
        run(recipe(smiles), finished[0])
    assert weights(finished[0]) == before


# --- a run that goes on ----------------------------------------------------------------------------------


@pytest.fixture
def stopped(monkeypatch):
    """Lets a signal come before a step."""
    start = pl.LightningModule.on_train_batch_start

    def at(step: int):
        def hook(self, batch, batch_idx):
            if self.global_step == step:
                signal.raise_signal(signal.SIGTERM)
            return start(self, batch, batch_idx)

        monkeypatch.setattr("sciformer.training.SciformerModule.on_train_batch_start", hook, raising=False)

    return at


@pytest.mark.parametrize("step", [0, 2, STEPS - 1, STEPS, STEPS * EPOCHS - 2])
def test_interrupted_is_uninterrupted(step, finished, smiles, stopped, tmp_path):
    stopped(step)
    with pytest.raises(Interrupted) as caught:
        run(recipe(smiles), tmp_path / "cut")
    assert caught.value.exit_code == 143
    assert json.loads((tmp_path / "cut" / "run.json").read_text())["state"] == "interrupted"
    stopped(-1)
    torch.manual_seed(step)
    out, said = run(recipe(smiles), tmp_path / "cut")
    assert said[0].startswith("Going on with ")
    assert weights(out) == weights(finished[0])
    pd.testing.assert_frame_equal(curve(out), curve(finished[0]))
    assert not (out / "resume").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed was 0 and is now 1"),
        ({"steps": 5}, "steps was 4 and is now 5"),
        ({"weight": 3.0}, r"streams\.masked\.weight was 1\.0 and is now 3\.0"),
    ],
)
def test_a_run_does_not_go_on_with_other_settings(change, message, smiles, stopped, tmp_path):
    stopped(2)
    with pytest.raises(Interrupted):
        run(recipe(smiles), tmp_path / "cut")
    streams = recipe(smiles).streams
    if weight := change.pop("weight", None):
        change = {"streams": {**streams, "masked": replace(streams["masked"], weight=weight)}}
    with pytest.raises(RunDirectoryError, match=f"cannot resume .*{message}"):
        run(recipe(smiles, **change), tmp_path / "cut")


def test_a_run_does_not_go_on_with_other_molecules(smiles, stopped, tmp_path):
    path = tmp_path / "molecules.smi"
    path.write_text(Path(smiles).read_text())
    stopped(2)
    with pytest.raises(Interrupted):
        run(recipe(str(path)), tmp_path / "cut")
    path.write_text(path.read_text() + "CCCCCCCCCCCCCCCCCCCCCCCCCC\n")
    stopped(-1)
    with pytest.raises(ValueError, match=r"cannot resume: .*masked\.data was"):
        run(recipe(str(path)), tmp_path / "cut")


# --- what is learned -------------------------------------------------------------------------------------


def test_numbers_that_teach_nothing_are_left_out(smiles, tmp_path, monkeypatch):
    def described(self, records):
        place = np.arange(len(records), dtype=float)
        return pd.DataFrame(
            {
                "good": place,
                "constant": 7.0,
                "nearly": 1e6 + 1e-4 * place,
                "rare": np.where(place % 3 == 0, place, np.nan),
                "common": np.where(place % 3, place, np.nan),
                "never": np.nan,
            }
        )

    monkeypatch.setattr(Molecule, "described", described)
    out, said = run(recipe(smiles, optim=OptimConfig(epochs=1)), tmp_path / "run")
    assert load_checkpoint(out / "checkpoint").config["objectives"]["described"]["names"] == ["good", "common"]
    assert any(line.startswith("Computing the descriptors of ") for line in said)


class Nowhere(DataConfig):
    """Data of which nothing is there, or nothing can be read."""

    def __init__(self, smiles: Sequence[str]):
        self.smiles = smiles

    def load(self, split_column: str | None = None) -> Dataset:
        adapter = Molecule(max_atoms=2)
        return Dataset(adapter=adapter, records=list(adapter.read(list(self.smiles))), targets=(), source="nowhere")


@pytest.mark.parametrize(
    ("smiles_of", "message"),
    [((), "nothing in nowhere can be read: it is empty"), (("C1CC",), "nothing in nowhere can be read: ")],
)
def test_a_stream_without_records_is_refused_and_leaves_no_run(smiles_of, message, tmp_path, monkeypatch):
    monkeypatch.setattr("sciformer.recipe.plain", lambda recipe: {})
    streams = {"masked": Stream(Nowhere(smiles_of), HELD)}
    with pytest.raises(ValueError, match=message):
        run(Pretraining(title="None", streams=streams), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_streams_of_one_domain_must_read_it_alike(smiles, tmp_path):
    streams = {
        "a": Stream(MoleculeCorpus(source=smiles), HELD),
        "b": Stream(MoleculeCorpus(source=smiles, max_atoms=64), HELD),
    }
    with pytest.raises(ValueError, match="streams of the domain 'molecule' are read in different ways"):
        run(recipe(smiles, streams=streams), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("data", "objective", "message"),
    [
        (MoleculeCorpus, "forecast", "records of the domain 'molecule' do not go on in time"),
        (ProteinData, "descriptors", "records of the domain 'protein' have no descriptors"),
    ],
)
def test_an_objective_that_the_domain_has_not_is_refused(data, objective, message, smiles, tmp_path):
    source = data(source=smiles) if data is MoleculeCorpus else data(rows=20)
    with pytest.raises(ValueError, match=message):
        run(recipe(smiles, streams={"a": Stream(source, HELD, objective=objective)}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"streams": {}}, "needs at least one stream of data"),
        ({"streams": {"a.b": Stream(MoleculeCorpus())}}, "a stream cannot be called 'a.b'"),
        ({"streams": {"train": Stream(MoleculeCorpus())}}, "a stream cannot be called 'train'"),
        ({"steps": 0}, "steps must be at least 1 and seed lie in 0"),
        ({"seed": -1}, "steps must be at least 1 and seed lie in 0"),
        ({"optim": OptimConfig(balance=0.5)}, "no classes to balance"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message, smiles):
    with pytest.raises(ValueError, match=message):
        recipe(smiles, **change)


def test_devices_are_counted_from_one():
    with pytest.raises(ValueError, match=r"trainer\.devices must be at least 1, got 0"):
        Devices(0)


# --- one backbone for all domains ------------------------------------------------------------------------


def test_molecules_stars_climate_and_proteins_share_a_backbone(smiles, tmp_path):
    batch = BatchConfig(records=4, row=64, pool=4)
    past = SplitConfig(kind="time", fractions=(0.8, 0.2, 0.0, 0.0), calibration_share=0.0)
    series = {
        name: ClimateData(source=source, context=16, horizon=8, stride=64)
        for name, source in {"weeks": "co2", "months": "elnino"}.items()
    }
    streams = {
        "molecules": Stream(MoleculeCorpus(source=smiles), HELD, objective="descriptors", batch=batch),
        "atoms": Stream(MoleculeCorpus(source=smiles), HELD, batch=batch),
        "stars": Stream(LightCurveData(rows=24), HELD, objective="forecast", batch=batch),
        "proteins": Stream(ProteinData(rows=24), HELD, batch=batch),
        **{name: Stream(data, past, objective="forecast", batch=batch) for name, data in series.items()},
    }
    optim = OptimConfig(epochs=2)
    out, said = run(recipe(smiles, streams=streams, steps=6, optim=optim), tmp_path / "run")
    assert sum("records, " in line for line in said) == 5
    table = curve(out)
    assert all(table[f"{part}_{name}.loss"].notna().all() for part in ("train", "validation") for name in streams)
    config = load_checkpoint(out / "checkpoint").config
    assert [spec["name"] for spec in config["adapters"]] == ["molecule", "lightcurve", "protein", "climate"]
    with pytest.raises(ValueError, match="reads several domains, climate, lightcurve, molecule, protein: say which"):
        sciformer.load(out / "checkpoint")
    assert 'domain="climate")' in (out / "checkpoint" / "MODEL_CARD.md").read_text()
    assert 'domain="climate")' in unescape((out / "report.html").read_text())
    sources = {
        "molecule": ["CCO"],
        "protein": ["MKTAYIAKQRQ"],
        "lightcurve": LightCurveData(rows=1).load().records,
        "climate": ClimateData(source="co2", context=16, horizon=8, stride=64).load().records[:1],
    }
    for domain, source in sources.items():
        backbone = sciformer.load(out / "checkpoint", domain=domain, device="cpu")
        records = source if domain in ("lightcurve", "climate") else list(backbone.adapter.read(source))
        assert np.isfinite(backbone.vectors(records)).all()


# --- the command line ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def module():
    return cli._load_recipe(str(ROOT / "recipes" / "molecule" / "pretrain.py"))


def test_every_setting_of_a_stream_is_an_option(module):
    args = [
        "--streams.masked.weight", "2", "--streams.masked.share", "0.3", "--streams.masked.data.source", "a.smi",
        "--streams.descriptors.split.kind", "scaffold", "--steps", "7", "--model.width", "32", "--trainer.devices", "2",
        "--accelerator", "cpu",
    ]  # fmt: skip
    made, options = cli.parse_recipe(module, args)
    plain = module.recipe()
    assert made.streams["masked"].weight == 2
    assert made.streams["masked"].share == 0.3
    assert made.streams["masked"].data == replace(plain.streams["masked"].data, source="a.smi")
    assert made.streams["descriptors"].split.kind == "scaffold"
    assert made.streams["descriptors"].data == plain.streams["descriptors"].data
    assert (made.steps, made.model.width) == (7, 32)
    expected = PretrainOptions(out="runs/pretrain", accelerator="cpu", trainer=Devices(2))
    assert options == expected


def test_without_options_it_is_the_recipe(module):
    made, options = cli.parse_recipe(module, [])
    assert made == module.recipe()
    assert options == PretrainOptions(out="runs/pretrain")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--streams.masked.wight", "2"], "there is no option --streams.masked.wight; did you mean --streams.masked."),
        (["--streams.masked.objective", "guess"], "--streams.masked.objective must be one of masked, descriptors, f"),
        (["--baselines", "false"], "there is no option --baselines"),
        (["--trainer.devices", "0"], "trainer.devices must be at least 1, got 0"),
    ],
)
def test_a_wrong_option_is_one_line(args, message, capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "molecule/pretrain", *args])
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_a_run_writes_settings_that_make_the_same_run(smiles, tmp_path):
    name = str(ROOT / "recipes" / "molecule" / "pretrain.py")
    streams = [f"--streams.{stream}.data.{option}" for stream in ("masked", "descriptors") for option in
               (f"source={smiles}", "apart=")]  # fmt: skip
    small = ["--model.width", "16", "--model.depth", "1", "--model.heads", "2", "--optim.epochs", "1", "--steps", "4"]
    first, second = tmp_path / "first", tmp_path / "second"
    cli.run_recipe(name, [*streams, *small, "--streams.masked.weight", "2", "--out", str(first)])
    cli.run_recipe(name, ["--config", str(first / "config.yaml"), "--out", str(second)])
    assert (second / "config.yaml").read_text() == (first / "config.yaml").read_text()
    assert "weight: 2.0" in (first / "config.yaml").read_text()
    assert weights(second) == weights(first)
