"""Create or update ``.venv`` beside ``pyproject.toml``, saying first what it will download and write.

``make`` calls it; ``python scripts/setup_venv.py`` does the same. It needs only the standard library and
Python 3.11 with ``venv``. All downloads are pip's, so pip.conf and ``PIP_*`` variables hold.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
STAMP = VENV / ".ready"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CPU_DISK_GB, CUDA_DISK_GB = 3, 10


def main() -> int:
    if sys.version_info < (3, 11):  # noqa: UP036 - any Python may be asked to run this
        return fail(f"sciformer needs Python 3.11 or newer, this is {sys.version.split()[0]}: set PYTHON=...")
    if not runs(PYTHON, "-m", "pip", "--version") and not create():
        return 1
    installed = run_text(PYTHON, "-c", "import torch; print(torch.__version__)").strip()
    if installed and (allowed(installed) or not installed.endswith("+cpu")):
        print(f"Updating {VENV.name} to pyproject.toml; torch {installed} stays if it fits.")
        options = []
    else:  # pip alone would replace a CPU build that no longer fits by one with CUDA
        options, need, words = plan_torch()
        print(f"Installing into {VENV}, nothing outside it but pip's cache.\n{words}")
        free = shutil.disk_usage(ROOT).free / 1e9
        if free < need:
            return fail(f"{need} GB of free disk are needed, {ROOT} has {free:.1f} GB: make room and repeat")
    command = [PYTHON, "-m", "pip", "install", "--quiet", *options, "--editable", f"{ROOT}[dev]"]
    if subprocess.run(command, check=False).returncode:
        return fail("pip could not install the dependencies, see above; repeat to go on")
    STAMP.touch()
    print(f"Ready: {VENV}")
    return 0


def create() -> bool:
    """Make an empty environment, over a broken one if need be."""
    print(f"Creating {VENV} with Python {sys.version.split()[0]} ({sys.executable})", flush=True)
    if runs(sys.executable, "-m", "venv", "--clear", VENV):
        return True
    fail(f"`{sys.executable} -m venv` failed: on Debian or Ubuntu install python3-venv, or set PYTHON=...")
    return False


def plan_torch() -> tuple[list[str], int, str]:
    """Extra pip options, the disk need in GB, and in words which build of torch they will bring.

    pip appends an ``--extra-index-url`` of the command line to those of the user's settings and prefers
    ``2.x+cpu`` to ``2.x``, so one more index is enough. It is added only where it answers.
    """
    small = f"About 0.6 GB to download, 2 GB on disk: CPU build of torch (%s); needs {CPU_DISK_GB} GB free."
    large = (
        "Several GB to download and on disk, because this torch comes with CUDA libraries (%s); "
        f"{CUDA_DISK_GB} GB free needed."
    )
    if sys.platform != "linux":
        return [], CPU_DISK_GB, small % "the default one of this system"
    if runs("nvidia-smi"):
        return [], CUDA_DISK_GB, large % "nvidia-smi finds a GPU"
    if offers_cpu_build():
        return [], CPU_DISK_GB, small % "no GPU found; your pip settings offer it"
    if no_index():
        return [], CUDA_DISK_GB, large % "no GPU found, but your pip settings allow no index and offer none"
    extra = ["--extra-index-url", CPU_INDEX]
    if offers_cpu_build(*extra, "--retries", "0", "--timeout", "5"):
        return extra, CPU_DISK_GB, small % f"no GPU found; from {CPU_INDEX}"
    return [], CUDA_DISK_GB, large % f"no GPU found, but {CPU_INDEX} offers none or cannot be reached"


def offers_cpu_build(*options: str) -> bool:
    """Whether the newest torch that pyproject.toml allows, as pip sees it, is a CPU build."""
    listing = run_text(PYTHON, "-m", "pip", "index", "versions", "torch", *options)
    found = re.search(r"Available versions: (.*)", listing)
    choice = [version for version in (found[1].split(", ") if found else []) if allowed(version)]
    return bool(choice) and choice[0].endswith("+cpu")  # pip lists the newest first


def no_index() -> bool:
    """Whether pip's settings forbid indexes, so that an extra one would be ignored."""
    setting = re.search(r"\bno-index='(\w+)'", run_text(PYTHON, "-m", "pip", "config", "list"))  # the environment first
    return bool(setting) and setting[1].lower() in ("1", "true", "t", "yes", "y", "on")


def allowed(version: str) -> bool:
    """Whether pyproject.toml allows this torch."""
    pin = re.search(r'"torch>=([\d.]+),<([\d.]+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert pin, "pyproject.toml bounds torch as torch>=x.y,<x.y"
    return release(pin[1]) <= release(version) < release(pin[2])


def release(version: str) -> tuple[int, ...]:
    """(2, 13, 0) of 2.13.0+cpu."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0]))


def runs(*command: object) -> bool:
    """Whether a command exists and succeeds."""
    try:
        return subprocess.run([str(part) for part in command], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def run_text(*command: object) -> str:
    """What a command prints, pip also where it is set to be quiet; empty where it fails."""
    talking = {**os.environ, "PIP_QUIET": "0"}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, env=talking)
    return done.stdout if done.returncode == 0 else ""


def fail(message: str) -> int:
    print(f"setup: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
