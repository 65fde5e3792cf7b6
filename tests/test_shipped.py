"""Backbones that come with the package: small, described, and trained."""

import numpy as np
import pytest
import torch

import sciformer
from sciformer import foundation, models
from sciformer.checkpoint import load_checkpoint
from sciformer.data import cards
from sciformer.data.examples import example_of
from sciformer.tasks.base import Problem
from sciformer.tasks.describe import Describe
from sciformer.tokens import collate

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


def test_a_backbone_for_molecules_knows_descriptors_of_molecules_that_it_has_never_met(mirror, monkeypatch, tmp_path):
    """Those of ESOL were left out of its corpus. The share of the variance among them that is told, of the median
    descriptor."""
    monkeypatch.setenv("SCIFORMER_CACHE", str(tmp_path / "cache"))
    whole = foundation.restore(load_checkpoint(models.find("molecule-small")))
    task, adapter = whole.objectives["descriptors"], whole.adapters["molecule"]
    assert isinstance(task, Describe)
    records = [r for r in adapter.read(cards.load("esol").iloc[:120], **cards.card("esol").read) if r.ok]
    truth = adapter.described(records)[list(task.names)].to_numpy()
    batch = collate([example_of(adapter, record) for record in records])
    with torch.no_grad():
        found = task(whole.model, Problem(given=batch.tokens, place=batch.place)).numpy()
    scaled = np.clip((truth - task.scale.mean.numpy()) / task.scale.std.numpy(), -task.MOST, task.MOST)
    known = np.isfinite(scaled)
    spread = np.array([np.var(column[keep]) for column, keep in zip(scaled.T, known.T, strict=True)])
    error = np.array([np.mean((a - b)[keep] ** 2) for a, b, keep in zip(scaled.T, found.T, known.T, strict=True)])
    varies = spread > 0.01
    assert np.median(1 - error[varies] / spread[varies]) > 0.7


def test_a_backbone_is_loaded_by_its_name_in_one_line():
    vectors = sciformer.load("molecule-small").embed(["CCO", "c1ccccc1", "not a molecule"])
    assert vectors.shape == (3, 128)
    assert vectors.iloc[:2].notna().all(axis=None)
    assert vectors.iloc[2].isna().all()
