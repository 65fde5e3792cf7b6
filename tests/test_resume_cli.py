"""A run that is stopped by a signal and started again ends with the very bits of one that was left alone."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from sciformer.cli import run_recipe

ROOT = Path(__file__).resolve().parent.parent
OPTIONS = [
    "--data.rows",
    "40",
    "--model.width",
    "16",
    "--model.depth",
    "1",
    "--model.heads",
    "2",
    "--optim.epochs",
    "12",
    "--uncertainty.members",
    "2",
    "--batch.records",
    "4",
    "--baselines",
    "false",
]
SLOWLY = """
import sys, time
import pytorch_lightning as pl
from sciformer.cli import main
from sciformer.progress import RunProgress

def wait(self, trainer, *_):
    time.sleep(0.02)  # so that the signal comes in the middle of training

RunProgress.on_train_batch_start = wait
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def uninterrupted(recipe_file, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "run"
    run_recipe(recipe_file, [*OPTIONS, "--out", str(out)])
    return out


def stop_in(member: int, signum: int, recipe_file: str, out: Path) -> subprocess.CompletedProcess[str]:
    """Train in a process of its own and send it a signal when a member has saved its first epoch."""
    command = [sys.executable, "-c", SLOWLY, "train", recipe_file, *OPTIONS, "--out", str(out)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=env)
    try:
        deadline = time.monotonic() + 120
        while not (out / "resume" / f"member-{member}" / "last.ckpt").exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, "training never began"
            time.sleep(0.01)
        process.send_signal(signum)
        stdout, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


@pytest.mark.parametrize(("member", "signum", "code"), [(0, signal.SIGINT, 130), (1, signal.SIGTERM, 143)])
def test_a_stopped_run_goes_on_to_the_same_bits(member, signum, code, recipe_file, uninterrupted, tmp_path, capsys):
    out = tmp_path / "run"
    done = stop_in(member, signum, recipe_file, out)
    assert done.returncode == code, done.stderr
    assert json.loads((out / "run.json").read_text())["state"] == "interrupted"
    assert f"To go on: sciformer train {recipe_file} " in done.stdout
    errors = done.stderr.splitlines()
    assert len(errors) == 1
    assert f"stopped by {signum.name} after step" in errors[0]
    assert not (out / "checkpoint").exists()
    assert (out / "resume" / "member-1").exists() == (member == 1)

    run_recipe(recipe_file, [*OPTIONS, "--out", str(out), "--resume", "auto"])
    assert f"Going on with {out}" in capsys.readouterr().out
    assert json.loads((out / "run.json").read_text())["state"] == "finished"
    for name in ("checkpoint/model.safetensors", "checkpoint/calibration.json", "predictions.csv", "scores.csv"):
        assert (out / name).read_bytes() == (uninterrupted / name).read_bytes(), name
    cut, whole = (pd.read_csv(folder / "metrics.csv").drop(columns="seconds") for folder in (out, uninterrupted))
    pd.testing.assert_frame_equal(cut, whole, check_exact=True)
    environment = json.loads((out / "environment.json").read_text())
    assert [place["threads"] for place in environment["resumed"]] == [environment["threads"]]
    assert not (out / "resume").exists()
