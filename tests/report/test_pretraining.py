"""The page of a pretraining run, from what is in its directory: streams, curves, and what is missing."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sciformer.report.pretraining import render

EVIL = "<script>window.stolen = true</script>"
EPOCHS, STEPS = 14, 500


def stream(**changes: Any) -> dict[str, Any]:
    known = {"source": "zinc_smiles", "records": 71187, "objective": "masked", "weight": 1.0}
    return {**known, "validation": {"loss": 0.047, "accuracy": 0.983}, **changes}


@pytest.fixture
def run(tmp_path) -> Path:
    """A finished run of two streams."""
    told = stream(objective="descriptors", weight=3.0, validation={"loss": 0.037})
    facts = {"state": "finished", "title": "molecule-small", "domain": "molecule", "steps": EPOCHS * STEPS}
    write(tmp_path, **facts, streams={"described": told, "masked": stream()})
    epoch = np.arange(1, EPOCHS + 1)
    table = pd.DataFrame({"member": 0, "epoch": epoch, "step": STEPS * epoch, "learning_rate": 1e-3, "seconds": epoch})
    for column in ("train_loss", "validation_loss", "train_masked.loss", "validation_masked.loss"):
        table[column] = 1 / epoch
    for column in ("train_described.loss", "validation_described.loss"):
        table[column] = np.geomspace(1, 0.037, EPOCHS)
    table["validation_masked.accuracy"] = 1 - 1 / epoch
    table.to_csv(tmp_path / "metrics.csv", index=False)
    return tmp_path


def write(run: Path, **facts: Any) -> None:
    known = json.loads((run / "run.json").read_text()) if (run / "run.json").exists() else {}
    (run / "run.json").write_text(json.dumps(known | facts))


def text(run: Path) -> str:
    words = re.sub(r"<style.*?</style>|<[^>]+>", " ", render(run).read_text("utf-8"), flags=re.DOTALL)
    return " ".join(words.replace("&#34;", '"').replace("&lt;", "<").replace("&gt;", ">").split())


def titles(run: Path) -> list[str]:
    return re.findall(r'<figcaption class="head">(.*?)</figcaption>', render(run).read_text("utf-8"))


def test_streams_are_a_table_and_curves(run):
    told = text(run)
    assert "steps 7,000" in told
    assert "described zinc_smiles 71,187 descriptors numbers about the whole record" in told
    assert "masked zinc_smiles 71,187 masked the content of hidden tokens 1 loss 0.047 accuracy 0.983" in told
    assert titles(run) == ["Loss by epoch", "described: loss", "masked: loss", "masked: accuracy"]
    assert "On held-out records 0.037 at step 7,000." in told
    assert "compare them stream by stream" in told


def test_of_one_stream_losses_are_the_same_and_nothing_is_to_be_compared(run):
    write(run, streams={"masked": stream()})
    assert "compare them stream by stream" not in text(run)


def test_every_link_leads_somewhere_and_nothing_is_asked_of_the_network(run):
    html = render(run).read_text("utf-8")
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    assert {"streams", "learning-curves", "use", "reproduce"} <= set(ids)
    assert set(re.findall(r'href="#([^"]+)"', html) + re.findall(r"url\(#([^)]+)\)", html)) <= set(ids)
    assert not re.search(r"https?:|@import|<script|<link", html)


def test_what_is_missing_is_said(run):
    (run / "metrics.csv").unlink()
    write(run, streams=None, state="failed")
    told = text(run)
    for words in ("no learning curves to draw", "names no stream", "No complete checkpoint", "Not a finished run"):
        assert words in told
    assert titles(run) == []


@pytest.mark.parametrize("column", ["step", "validation_masked.accuracy"])
def test_what_is_no_number_is_not_drawn(run, column):
    pd.read_csv(run / "metrics.csv").assign(**{column: "x"}).to_csv(run / "metrics.csv", index=False)
    assert "masked: accuracy" not in titles(run)


def test_everything_written_by_others_is_escaped(run):
    wrong = stream(source=EVIL, objective=EVIL, weight=EVIL, records=EVIL, validation={EVIL: EVIL})
    write(run, title=EVIL, checkpoint=EVIL, notes=[EVIL], steps=EVIL, streams={EVIL: wrong, "masked": [EVIL]})
    html = render(run).read_text("utf-8")
    assert "<script" not in html
    assert text(run).count(EVIL) >= 9


def test_simulated_records_are_loud(run):
    assert "Simulated data." not in text(run)
    write(run, simulated=True)
    assert "Simulated data. The records of this run were made by a program" in text(run)
