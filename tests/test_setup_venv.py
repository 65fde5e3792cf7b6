"""The script behind ``make``: which build of torch it will bring, and that it says so before."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").is_file())
FITTING, OLD = "2.12.1", "2.4.0"


@pytest.fixture
def script(monkeypatch, tmp_path):
    """``scripts/setup_venv.py`` on a machine without a GPU, with the pip of these tests."""
    spec = importlib.util.spec_from_file_location("setup_venv", ROOT / "scripts" / "setup_venv.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "pyproject.toml").write_text('dependencies = ["torch>=2.10,<2.14"]')
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(module, "STAMP", tmp_path / "ready")
    monkeypatch.setattr(module, "runs", lambda *command: command[0] != "nvidia-smi")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return module


@pytest.mark.parametrize(
    ("installed", "index"),
    [(f"{FITTING}+cpu", False), (f"{OLD}+cpu", True), (f"{OLD}+cu126", False), (FITTING, False), ("", True)],
)
def test_a_cpu_build_is_never_replaced_by_one_with_cuda(installed, index, script, monkeypatch, capsys):
    ran = []

    def run(command, **options):
        ran.append([str(part) for part in command])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(script, "run_text", lambda *command: f"{installed}\n" if "-c" in command else "")
    monkeypatch.setattr(script, "offers_cpu_build", lambda *options: script.CPU_INDEX in options)
    monkeypatch.setattr(script.shutil, "disk_usage", lambda path: script.shutil._ntuple_diskusage(0, 0, 10**12))
    monkeypatch.setattr(subprocess, "run", run)
    assert script.main() == 0
    assert [script.CPU_INDEX in command for command in ran] == [index]
    assert ("CPU build of torch" in capsys.readouterr().out) == index


@pytest.mark.parametrize("quiet", ["0", "2"])
@pytest.mark.parametrize(
    ("local", "said"), [("+cpu", "your pip settings offer it"), ("", "your pip settings allow no index")]
)
def test_quiet_settings_and_settings_without_an_index_are_understood(quiet, local, said, script, tmp_path, monkeypatch):
    (tmp_path / f"torch-{FITTING}{local}-py3-none-any.whl").touch()
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_QUIET", quiet)
    options, need, words = script.plan_torch()
    assert options == []
    assert said in words
    assert need == (script.CPU_DISK_GB if local else script.CUDA_DISK_GB)


@pytest.mark.parametrize(
    ("version", "fits"), [("2.9.1+cpu", False), ("2.10.0", True), ("2.13.1+cpu", True), ("2.14.0", False)]
)
def test_the_bounds_of_pyproject_are_read(version, fits, script):
    assert script.allowed(version) == fits
