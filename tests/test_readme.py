"""README.md is executed: every ``python`` and ``bash`` block, in order, in an empty directory beside ``recipes``.

One change is made: commands that train get ``--optim.epochs 1 --model.width 24 --model.depth 1 --model.heads 2
--baselines false`` appended, so that they end in seconds. Lines that begin with ``make`` are not run, because the
tests run inside what they set up; each must name a target of the Makefile.
"""

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SMALL = "--optim.epochs 1 --model.width 24 --model.depth 1 --model.heads 2 --baselines false"
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
TRAINING = re.compile(r"^(python recipes/|sciformer train )")


def commands(block: str) -> list[str]:
    """The lines of a ``bash`` block that are run."""
    lines = [line for line in block.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
    return [f"{line} {SMALL}" if TRAINING.match(line) else line for line in lines if not line.startswith("make")]


def test_make_lines_name_targets_of_the_makefile():
    named = re.findall(r"^make (\S+)", "".join(block for _, block in BLOCKS), re.MULTILINE)
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert named
    assert set(named) <= set(targets)


def test_links_lead_to_files_that_exist():
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.usefixtures("painted")
def test_every_block_runs(tmp_path, monkeypatch, command):
    """In this process, for each line would else take seconds to start."""
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    monkeypatch.chdir(tmp_path)
    ran = []
    for language, block in BLOCKS:
        if language == "python":
            exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})
            ran.append(block)
        for line in commands(block) if language == "bash" else []:
            program, *args = shlex.split(line)
            if program == "python":
                monkeypatch.setattr(sys, "argv", args)
                runpy.run_path(args[0], run_name="__main__")
            else:
                assert program == "sciformer"
                done = command(tmp_path, *args)
                assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
            ran.append(line)
    assert len(ran) >= 5
    assert (tmp_path / "runs" / "mine" / "report.html").is_file()


@pytest.mark.parametrize("language", sorted({language for language, _ in BLOCKS}))
def test_blocks_are_of_a_language_that_is_run_or_hold_make_lines_alone(language):
    assert language in ("python", "bash") or all(
        line.startswith("make ") for name, block in BLOCKS if name == language for line in block.splitlines() if line
    )
