"""Backbones that come with the package: small, described, and trained."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

import sciformer
from sciformer import cli, models
from sciformer.adapter import Record
from sciformer.checkpoint import load_checkpoint
from sciformer.data import cards
from sciformer.data.datamodule import DataModule
from sciformer.data.examples import Examples, example_of
from sciformer.domains.lightcurve.data import LightCurveData
from sciformer.foundation import Foundation, restore
from sciformer.streams import answered, sources_of
from sciformer.tasks.base import Problem
from sciformer.tasks.describe import Describe
from sciformer.tasks.forecast import Forecast
from sciformer.tokens import collate
from sciformer.training import SciformerModule

RECIPES = {"sciformer-small": "mixed/pretrain"}
"""Those that are not called after their domain."""
MOST = 12e6
"""Bytes of a checkpoint that comes with the package."""


def test_backbones_come_with_the_package():
    assert models.names()


@pytest.mark.parametrize("name", models.names())
def test_a_backbone_is_small_and_its_card_says_what_it_learned_from_what_and_how(name):
    files = load_checkpoint(models.find(name))
    assert sum(path.stat().st_size for path in files.path.iterdir()) <= MOST
    card = (files.path / "MODEL_CARD.md").read_text(encoding="utf-8")
    for word in ("steps in", "sciformer train", "sha256", "Licence:", "on held-out records"):
        assert word in card
    assert files.config["trained"]["steps"] > 1000


def told(whole: Foundation, stream: str, records: Sequence[Record]) -> float:
    """The share of the variance among these records that is told, of the median descriptor."""
    task = whole.objectives[stream]
    assert isinstance(task, Describe)
    adapter = whole.adapters[task.modality]
    truth = adapter.described(records)[list(task.names)].to_numpy()
    batch = collate([example_of(adapter, record) for record in records])
    with torch.no_grad():
        found = task(whole.model, Problem(given=batch.tokens, place=batch.place)).numpy()
    scaled = np.clip((truth - task.scale.mean.numpy()) / task.scale.std.numpy(), -task.MOST, task.MOST)
    columns = [(a[np.isfinite(a)], b[np.isfinite(a)]) for a, b in zip(scaled.T, found.T, strict=True)]
    varying = [(a, b) for a, b in columns if len(a) and np.var(a) > 0.01]
    return float(np.median([1 - np.mean((a - b) ** 2) / np.var(a) for a, b in varying]))


@pytest.fixture
def whole(request, mirror, monkeypatch, tmp_path) -> Foundation:
    monkeypatch.setenv("SCIFORMER_CACHE", str(tmp_path / "cache"))
    return restore(load_checkpoint(models.find(request.param)))


@pytest.mark.parametrize("whole", ["molecule-small"], indirect=True)
def test_a_backbone_for_molecules_knows_descriptors_of_molecules_that_it_has_never_met(whole):
    """Those of ESOL were left out of its corpus."""
    adapter = whole.adapters["molecule"]
    records = [r for r in adapter.read(cards.load("esol").iloc[:120], **cards.card("esol").read) if r.ok]
    assert told(whole, "descriptors", records) > 0.7


@pytest.mark.parametrize("whole", ["lightcurve-small"], indirect=True)
def test_a_backbone_for_light_curves_knows_features_of_stars_of_surveys_that_it_has_never_met(whole):
    """The stars of Debosscher are seen by other instruments, in one band, and were left out of its corpus."""
    records = [r for r in LightCurveData(source="debosscher").load().records if r.ok][::20]
    assert told(whole, "descriptors", records) > 0.5


@pytest.mark.parametrize("whole", ["protein-small"], indirect=True)
def test_a_backbone_for_proteins_finds_hidden_residues_of_a_species_that_it_has_never_met(whole):
    """More often than who always answers the most frequent one."""
    table = cards.load("proteomes")
    strange = table[table["species"] == "Escherichia coli"]["sequence"]
    chosen = strange[strange.str.len() < 200].iloc[:100]
    task, adapter = whole.objectives["masked"], whole.adapters["protein"]
    batch = collate([example_of(adapter, record) for record in adapter.read(list(chosen))])
    with torch.no_grad():
        problem = task.pose(batch, torch.Generator().manual_seed(0))
        scores = task.score(task(whole.model, problem), problem)
    residues = "".join(chosen)
    assert scores["accuracy"] > 1.2 * max(residues.count(letter) for letter in set(residues)) / len(residues)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", models.names())
def test_a_backbone_scores_on_held_out_records_as_its_card_says(name, mirror, monkeypatch, tmp_path):
    """Read anew by its recipe, and posed the same problems as after its last step."""
    monkeypatch.setenv("SCIFORMER_CACHE", str(tmp_path / "cache"))
    recipe = cli._load_recipe(RECIPES.get(name, f"{name.removesuffix('-small')}/pretrain")).recipe()
    files = load_checkpoint(models.find(name))
    whole, sources = restore(files), sources_of(recipe.streams, print)
    held = {stream: replace(s, parts={"train": s.parts["validation"]}) for stream, s in sources.items()}
    found: dict[str, dict[str, float]] = {}
    step = 0  # by which the problems are drawn
    with torch.no_grad():
        for stream, source in held.items():
            task = whole.objectives[stream]
            records = source.parts["train"]
            if isinstance(task, Describe):
                records = answered(records, source.adapter.described(records)[list(task.names)])
            if isinstance(task, Forecast):
                task.adapter = source.adapter  # what is normal at these places
            examples = Examples.of_records(source.adapter, records)
            names, batch = task.names if isinstance(task, Describe) else (), recipe.streams[stream].batch
            data = DataModule(examples, examples, targets=names, batches=batch)
            module = SciformerModule(whole.model, task, recipe.optim, 1, recipe.seed).eval()
            batches = [(len(batch), module._score(batch, 1, i)) for i, batch in enumerate(data.val_dataloader(), step)]
            step += len(batches)
            count = sum(n for n, _ in batches)
            found[stream] = {key: sum(n * float(x[key]) for n, x in batches) / count for key in batches[0][1]}
    for stream, known in files.config["trained"]["streams"].items():
        assert found[stream] == pytest.approx(known["validation"], rel=0.1), stream


def test_a_backbone_is_loaded_by_its_name_in_one_line():
    vectors = sciformer.load("molecule-small").embed(["CCO", "c1ccccc1", "not a molecule"])
    assert vectors.shape == (3, 128)
    assert vectors.iloc[:2].notna().all(axis=None)
    assert vectors.iloc[2].isna().all()
