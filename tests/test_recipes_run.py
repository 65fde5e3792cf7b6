"""Every recipe that is shipped runs, in its smallest form, and says what it is for."""

import ast
import json
from pathlib import Path

import pytest

import sciformer
from sciformer import cli
from sciformer.data import cards, upstream
from sciformer.pretraining import Pretraining

ROOT = Path(__file__).resolve().parent.parent
RECIPES = sorted((ROOT / "recipes").glob("*/*.py"))


def test_there_are_recipes():
    assert RECIPES


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_states_its_question_its_data_its_cost_and_its_command(path):
    told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    for word in ("Question:", "Data:", "Cost:", f"python {path.relative_to(ROOT).as_posix()}"):
        assert word in told


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs_in_its_smallest_form(path, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("SCIFORMER_CACHE", str(tmp_path / "cache"))
    recipe = cli._load_recipe(str(path)).recipe()
    out = tmp_path / "run"
    if isinstance(recipe, Pretraining):
        short = [*tiny[: tiny.index("--baselines")], "--optim.epochs", "1", "--steps", "4"]
        cli.run_recipe(str(path), [*short, *few(recipe), "--out", str(out)])
        assert json.loads((out / "run.json").read_text())["state"] == "finished"
        assert sciformer.load(out / "checkpoint", device="cpu").members
        return
    source = recipe.data.source
    needed(source)
    small = ["--data.rows", "60"] if source == "simulated" else []
    small += ["--data.fewest", "100"] if getattr(recipe.data, "fewest", 0) else []  # fewer classes, fewer stars
    if path.parent.name == "protein":  # tens of thousands of them
        whole = cards.load
        monkeypatch.setattr(cards, "load", lambda *which: whole(*which).iloc[::20].reset_index(drop=True))
    if hasattr(recipe.data, "stride"):  # few windows
        small += ["--data.stride", "0", "--forecast.most", "4", "--split.fractions", "[0.4,0.2,0.2,0.2]"]
    one = ["--uncertainty.members", "1", "--optim.epochs", "1"]
    cli.run_recipe(str(path), [*tiny, *one, *small, "--out", str(out)])
    assert json.loads((out / "run.json").read_text())["state"] == "finished"
    assert (out / "report.html").stat().st_size > 10_000


def few(recipe: Pretraining) -> list[str]:
    """Options by which every stream reads few records."""
    options = []
    for name, stream in recipe.streams.items():
        apart = stream.data.apart
        for source in (stream.data.source, *(apart.split(",") if isinstance(apart, str) else ())):
            needed(source)
        options += [f"--streams.{name}.data.rows", "60"]
        options += [f"--streams.{name}.data.apart", "freesolv"] if isinstance(apart, str) else []
    return options


def needed(source: str) -> None:
    """Skip where files of a data card are missing."""
    if source in cards.names():
        missing = [file for file in cards.card(source).files if not any(p.is_file() for p in places(file))]
        if missing:
            pytest.skip(f"needs the files of the data card {source}: set SCIFORMER_MIRROR to a folder that has them")


def places(file: upstream.File) -> list[Path]:
    return [folder / file.mirrored for folder in upstream.mirror_folders()]
