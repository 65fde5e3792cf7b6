"""Several processes train one backbone: each on batches of its own, all with the same weights, one of them writes."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sciformer.domains.molecule.simulate import simulate

pytest.importorskip("resource", reason="signals are tested on POSIX systems")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

ROOT = Path(__file__).resolve().parent.parent
STEPS, EPOCHS = 4, 2

RECIPE = '''
"""Two streams of molecules; every process keeps a diary of its batches, gradients and weights."""

import json
import os
import signal
from pathlib import Path

import torch

from sciformer import training
from sciformer.data.batching import BatchConfig
from sciformer.data.splits import SplitConfig
from sciformer.domains.molecule.corpus import MoleculeCorpus
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.pretraining import Pretraining
from sciformer.streams import Stream

DIARY = Path(os.environ["DIARY"])
STOP = int(os.environ.get("STOP", "-1"))


class Watched(training.SciformerModule):
    def on_train_batch_start(self, batch, batch_idx):
        if self.global_step == STOP and self.global_rank == 1:  # one process alone is told to stop
            signal.raise_signal(signal.SIGTERM)

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        own = torch.autograd.grad(loss, list(self.parameters()), allow_unused=True, retain_graph=True)
        self.note = {"step": self.global_step, "task": batch.task, "keys": batch.keys, "own": own}
        return loss

    def on_after_backward(self):
        self.note["together"] = [None if p.grad is None else p.grad.clone() for p in self.parameters()]
        torch.save(self.note, DIARY / f"{self.global_rank}-{self.global_step}.pt")

    def on_fit_end(self):
        torch.save(self.state_dict(), DIARY / f"weights-{self.global_rank}.pt")


training.SciformerModule = Watched


def recipe():
    molecules = MoleculeCorpus(source=os.environ["SMILES"])
    batch = BatchConfig(records=4, row=64, pool=4)
    held = SplitConfig(fractions=(0.8, 0.2, 0.0, 0.0), calibration_share=0.0)
    return Pretraining(
        title="Two processes",
        streams={
            "masked": Stream(molecules, held, batch=batch),
            "described": Stream(molecules, held, objective="descriptors", batch=batch),
        },
        model=SciformerConfig(width=16, depth=1, heads=2, dropout=0.1),
        optim=OptimConfig(epochs=2, lr=1e-3),
        steps=4,
    )
'''


def train(folder: Path, name: str, *options: str, **env: str) -> tuple[subprocess.CompletedProcess, Path, Path]:
    """Run the recipe with two processes; what came of it, the directory of the run, the diary."""
    (folder / "recipe.py").write_text(RECIPE)
    smiles, diary, out = folder / "molecules.smi", folder / f"diary-{name}", folder / name
    smiles.write_text("".join(f"{line}\n" for line in simulate(40, seed=2)["smiles"]))
    diary.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "sciformer.cli", "train", str(folder / "recipe.py"), "--accelerator", "cpu"]
    given = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "SMILES": str(smiles), "DIARY": str(diary), **env}
    done = subprocess.run(
        [*command, "--trainer.devices", "2", "--out", str(out), *options],
        cwd=folder, env={**os.environ, **given}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done, out, diary


def notes(diary: Path, rank: int) -> list[dict]:
    found = sorted(diary.glob(f"{rank}-*.pt"), key=lambda path: int(path.stem.split("-")[1]))
    return [torch.load(path, weights_only=True) for path in found]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("processes")


@pytest.fixture(scope="module")
def whole(folder):
    return train(folder, "whole")


def test_two_processes_write_one_run_and_tell_of_it_once(whole, folder):
    done, out, diary = whole
    assert (done.returncode, done.stderr) == (0, "")
    assert sum(line.startswith("Writing ") for line in done.stdout.splitlines()) == 1
    assert sum(line.startswith("Finished in ") for line in done.stdout.splitlines()) == 1
    assert sorted(entry.name for entry in out.iterdir()) == [
        "checkpoint", "config.yaml", "environment.json", "metrics.csv", "report.html", "run.json"
    ]  # fmt: skip
    assert json.loads((out / "run.json").read_text())["state"] == "finished"
    assert sorted(p.name for p in folder.iterdir() if p.is_dir()) == [diary.name, out.name]


def test_at_every_step_they_learn_from_other_records_of_one_stream(whole):
    first, second = (notes(whole[2], rank) for rank in range(2))
    assert len(first) == len(second) == STEPS * EPOCHS
    for one, other in zip(first, second, strict=True):
        assert (one["step"], one["task"]) == (other["step"], other["task"])
        assert not set(one["keys"]) & set(other["keys"])
    assert {note["task"] for note in first} == {"masked", "described"}
    for task in ("masked", "described"):  # 32 records in 8 batches: a pass is 4 steps of both
        both = zip(first, second, strict=True)
        met = itertools.chain.from_iterable((*a["keys"], *b["keys"]) for a, b in both if a["task"] == task)
        assert len(set(met)) == len(set(itertools.chain(*(note["keys"] for note in (*first, *second)))))


def test_a_step_goes_along_the_mean_of_both_gradients(whole):
    first, second = (notes(whole[2], rank) for rank in range(2))
    for one, other in zip(first, second, strict=True):
        told = 0
        for a, b, mean, same in zip(one["own"], other["own"], one["together"], other["together"], strict=True):
            if a is None:
                assert b is None
                assert mean is None or not mean.any()
                continue
            assert torch.equal(mean, same)
            torch.testing.assert_close(mean, (a + b) / 2, rtol=1e-4, atol=1e-6)
            told += bool((a != b).any())
        assert told > 10


def test_both_end_with_the_same_weights_which_are_saved(whole):
    _, out, diary = whole
    first, second = (torch.load(diary / f"weights-{rank}.pt", weights_only=True) for rank in range(2))
    assert all(torch.equal(x, second[name]) for name, x in first.items())
    from sciformer.checkpoint import load_checkpoint

    saved = load_checkpoint(out / "checkpoint").weights
    for name, x in saved.items():
        assert torch.equal(x, first[name.replace("objectives.", "task.tasks.")])


def test_a_signal_to_one_stops_both_and_they_go_on_together(whole, folder):
    done, out, _ = train(folder, "cut", STOP="5")
    assert done.returncode == 143
    assert "sciformer: error: stopped by SIGTERM after step 6" in done.stderr
    assert "To go on: sciformer train" in done.stdout
    assert json.loads((out / "run.json").read_text())["state"] == "interrupted"
    done, out, diary = train(folder, "cut")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Going on with" in done.stdout
    for step in range(6, STEPS * EPOCHS):
        for rank in range(2):
            assert notes(diary, rank)[step]["keys"] == notes(whole[2], rank)[step]["keys"]
    weights = [(run / "checkpoint" / "model.safetensors").read_bytes() for run in (out, whole[1])]
    assert weights[0] == weights[1]
    tables = [pd.read_csv(run / "metrics.csv").drop(columns="seconds").to_numpy() for run in (out, whole[1])]
    np.testing.assert_array_equal(*tables)


def test_one_process_does_not_go_on_for_two(folder):
    done, out, _ = train(folder, "two", STOP="1")
    assert done.returncode == 143
    done, _, _ = train(folder, "two", "--trainer.devices", "1")
    assert done.returncode == 1
    assert "masked.processes was 2 and is now 1" in done.stderr
    assert (out / "resume" / "last.ckpt").is_file()
