"""Every recipe that is shipped runs, in its smallest form, and says what it is for."""

import ast
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from sciformer import cli
from sciformer.checkpoint import load_checkpoint
from sciformer.data import cards, upstream
from sciformer.domains.climate.data import ClimateData
from sciformer.domains.lightcurve.corpus import LightCurveCorpus
from sciformer.domains.lightcurve.data import LightCurveData
from sciformer.domains.molecule.corpus import MoleculeCorpus
from sciformer.foundation import restore
from sciformer.pretraining import Pretraining

ROOT = Path(__file__).resolve().parent.parent
RECIPES = sorted((ROOT / "recipes").glob("*/*.py"))
FEW = {
    "enso": ["--data.columns.boxes", "nino34=-5:5,190:240; south=-20:-10,180:240"],
    "etth1": ["--data.variables", "HUFL,OT"],
    "grid": ["--data.columns.region", "50:52,-4:-2"],
    "stations": ["--data.variables", "tas,pr"],
}
"""Of climate, a corner or some variables."""
STRIDES = {"beijing_pm25": "240", "etth1": "96", "era5_cities": "24"}
"""Of windows of long series, for few of them."""


def test_there_are_recipes():
    assert RECIPES


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_states_its_question_its_data_its_cost_and_its_command(path):
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    for word in ("Question:", "Data:", "Cost:", f"python {path.relative_to(ROOT).as_posix()}"):
        assert word in told


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> Path:
    """One for all recipes, as users have it: what one has read or computed, the next may find there."""
    return tmp_path_factory.mktemp("cache")


@pytest.mark.usefixtures("painted")
@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs_in_its_smallest_form(path, tiny, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("SCIFORMER_CACHE", str(cache))
    recipe = cli._load_recipe(str(path)).recipe()
    out = tmp_path / "run"
    if isinstance(recipe, Pretraining):
        short = [*tiny[: tiny.index("--baselines")], "--optim.epochs", "1", "--steps", str(turns(recipe))]
        cli.run_recipe(str(path), [*short, *few(recipe), "--out", str(out)])
        assert json.loads((out / "run.json").read_text())["state"] == "finished"
        whole = restore(load_checkpoint(out / "checkpoint"))
        assert whole.objectives.keys() == recipe.streams.keys()
        assert all(whole.backbone(domain).members for domain in whole.adapters)
        return
    source = recipe.data.source
    needed(source)
    small = ["--data.rows", "60"] if source == "simulated" else []
    small += ["--data.fewest", "100"] if getattr(recipe.data, "fewest", 0) else []  # fewer classes, fewer stars
    if path.parent.name == "protein":  # tens of thousands of them
        whole = cards.load
        monkeypatch.setattr(cards, "load", lambda *which: thin(whole(*which)))
    if isinstance(recipe.data, LightCurveData) and source in cards.names():
        monkeypatch.setattr(LightCurveData, "load", sparse(LightCurveData.load))
    if isinstance(recipe.data, ClimateData):  # few windows
        small += FEW.get(path.stem, [])
        small += ["--data.stride", "0", "--forecast.most", "4", "--split.fractions", "[0.4,0.2,0.2,0.2]"]
    one = ["--uncertainty.members", "1", "--optim.epochs", "1"]
    cli.run_recipe(str(path), [*tiny, *one, *small, "--out", str(out)])
    assert json.loads((out / "run.json").read_text())["state"] == "finished"
    assert (out / "report.html").stat().st_size > 10_000


def thin(table):
    """Some 300 rows."""
    return table.iloc[:: len(table) // 300].reset_index(drop=True)


def sparse(load):
    """Every eighth record."""

    def few(*args, **options):
        dataset = load(*args, **options)
        return replace(dataset, records=dataset.records[::8])

    return few


def turns(recipe: Pretraining) -> int:
    """Batches among which is one of every stream."""
    weights = [stream.weight for stream in recipe.streams.values()]
    return math.ceil(sum(weights) / min(weights))


def few(recipe: Pretraining) -> list[str]:
    """Options by which every stream reads few records."""
    options = []
    for name, stream in recipe.streams.items():
        small: dict[str, str] = {}
        if isinstance(stream.data, ClimateData):
            needed(stream.data.source)
            small |= {"stride": STRIDES.get(stream.data.source, "8")}
        elif isinstance(stream.data, LightCurveCorpus):
            needed("stripe82_rrlyrae")
            small |= {"sources": "stripe82_rrlyrae", "rows": "30", "simulated": "30"}
        else:
            needed(stream.data.source)
            small |= {"rows": "60"}
        if isinstance(stream.data, MoleculeCorpus):
            needed("freesolv")
            small |= {"apart": "freesolv"}
        options += [word for option, x in small.items() for word in (f"--streams.{name}.data.{option}", x)]
        options += [f"--streams.{name}.batch.records", "4"]
    return options


def needed(source: str) -> None:
    """Skip where files of a data card are missing."""
    if source in cards.names():
        missing = [file for file in cards.card(source).files if not any(p.is_file() for p in places(file))]
        if missing:
            pytest.skip(f"needs the files of the data card {source}: set SCIFORMER_MIRROR to a folder that has them")


def places(file: upstream.File) -> list[Path]:
    return [folder / file.mirrored for folder in upstream.mirror_folders()]
