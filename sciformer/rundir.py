"""The directory of a training run: everything needed to read, repeat or resume it, and what state it is in."""

import contextlib
import json
import platform
import re
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from sciformer.files import leftovers, write_text

STATE = "run.json"
CONFIG = "config.yaml"
ENVIRONMENT = "environment.json"
RESUME = "resume"
"""Folder of the training states; it goes when the run is finished."""
LOCK = ".lock"
PREVIOUS = ".previous-run"
"""Folder of the run that is being replaced; it goes when the new one is finished."""
MOVING = ".moving-run"
"""The same folder on its way there or back: whatever is found in it belongs where it came from."""


class RunDirectoryError(ValueError):
    """The directory asked for cannot be used for this run."""


def stopped(error: BaseException) -> bool:
    """Whether a signal ended the run, rather than a fault: at once, or after training had saved its state
    (an exception with an exit code, as processes have that a signal ended)."""
    return isinstance(error, KeyboardInterrupt | SystemExit) or hasattr(error, "exit_code")


@dataclass(frozen=True)
class RunDirectory:
    """Writes whole files or none; ``run.json`` says ``running``, ``finished``, ``failed`` or ``interrupted``."""

    path: Path

    @classmethod
    @contextlib.contextmanager
    def open(
        cls, path: Path, config: Mapping[str, Any], *, resume: bool, overwrite: bool
    ) -> "Iterator[tuple[RunDirectory, bool]]":
        """Take hold of a new directory, or of an unfinished run with the same configuration.

        Yields the directory and whether an earlier run goes on. On leaving with an error the state becomes
        ``failed``, or ``interrupted`` after a signal; a run that has trained nothing by then leaves nothing
        behind, so that a corrected command can take its place, and the run that it was to replace is back.
        Raises ``RunDirectoryError`` for a finished run, other people's files, another configuration, or a
        directory that another process is writing to.
        """
        if path.exists() and not path.is_dir():
            raise RunDirectoryError(f"{path} is a file; choose another --out")
        ours = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        run = cls(path)
        with run._locked():
            run._settle()
            resumed = run._goes_on(config, resume=resume, overwrite=overwrite)
            try:
                run._begin(config, resumed)
                yield run, resumed
                run._settle()
            except BaseException as error:
                with contextlib.suppress(OSError, ValueError):  # a second fault must not hide the first
                    run._leave("interrupted" if stopped(error) else "failed")
                    if ours and not run._entries():
                        (path / LOCK).unlink(missing_ok=True)
                        path.rmdir()
                raise

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock, Timeout

        try:
            with FileLock(self.path / LOCK, timeout=0):
                try:
                    yield
                finally:
                    (self.path / LOCK).unlink(missing_ok=True)
        except Timeout:
            raise RunDirectoryError(
                f"another process is writing to {self.path}; wait for it or choose another --out"
            ) from None

    @property
    def resumable(self) -> bool:
        """Whether any training has been saved that a later run can go on from."""
        return any(entry.is_file() for entry in (self.path / RESUME).rglob("*"))

    @property
    def _state(self) -> str:
        return self.read_json(STATE).get("state", "") if (self.path / STATE).is_file() else ""

    def _entries(self) -> list[Path]:
        """What is here of the present run."""
        passing = {self.path / name for name in (LOCK, PREVIOUS, MOVING)} | set(leftovers(self.path))
        return [entry for entry in self.path.iterdir() if entry not in passing]

    def _clear(self) -> None:
        """Empty the directory: first what a run could go on from, last what tells that it is a run's, so that
        a kill on the way leaves nothing that would be misread."""
        order = {RESUME: -1, STATE: 1}
        for entry in [*leftovers(self.path), *sorted(self._entries(), key=lambda entry: order.get(entry.name, 0))]:
            _remove(entry)

    def _leave(self, state: str) -> None:
        """What becomes of the directory after an error. A signal may still come when all is done."""
        if self._state != "finished" and not (self.path / MOVING).exists():
            if self.resumable:
                self.set_state(state)
            else:
                self._clear()
        self._settle()

    def _begin(self, config: Mapping[str, Any], resumed: bool) -> None:
        """Make the directory that of this run. What it replaces is kept until it is finished."""
        for left in leftovers(self.path):
            _remove(left)
        if not resumed:
            if self._state == "finished" or self.resumable:
                self._set_aside()
            self._clear()
            self.set_state("running")  # first: whatever else is found here is then known to be a run's
            write_text(self.path / CONFIG, yaml.safe_dump(dict(config), sort_keys=False, allow_unicode=True))
        self.set_state("running")

    def _set_aside(self) -> None:
        """Move the present run, and with it one that it was replacing, to ``PREVIOUS``."""
        moving, before = self.path / MOVING, self.path / PREVIOUS
        moving.mkdir()
        for entry in [*self._entries(), *([before] if before.exists() else [])]:
            entry.rename(moving / entry.name)
        moving.rename(before)

    def _settle(self) -> None:
        """Decide between the present run and one that it replaces, also where a kill left that open: a finished
        run replaces it, one that can go on may yet do so, and any other gives way to it."""
        moving, before = self.path / MOVING, self.path / PREVIOUS
        if (before / STATE).is_file() and not moving.exists():
            if self._state == "finished":
                _remove(before)
            elif not self.resumable and (self._state or not self._entries()):
                self._clear()
                before.rename(moving)
        if moving.exists():
            for entry in list(moving.iterdir()):
                entry.rename(self.path / entry.name)
            moving.rmdir()

    def _goes_on(self, config: Mapping[str, Any], *, resume: bool, overwrite: bool) -> bool:
        """Whether an earlier run goes on here, or the directory is free (or to be freed) for a new one."""
        if not self._entries():
            return False
        if not (self.path / STATE).is_file():
            raise RunDirectoryError(f"{self.path} holds files that are not a run; choose another --out")
        state = self.read_json(STATE).get("state")
        if overwrite or (state != "finished" and not self.resumable):
            return False
        if state == "finished":
            raise RunDirectoryError(f"{self.path} holds a finished run; choose another --out, or add --overwrite true")
        if not resume:
            raise RunDirectoryError(
                f"{self.path} holds an unfinished run ({state}); add --resume auto to go on, or --overwrite true"
            )
        before = yaml.safe_load((self.path / CONFIG).read_text(encoding="utf-8"))
        if changed := _differences(before, json.loads(json.dumps(config))):
            raise RunDirectoryError(
                f"cannot resume {self.path}: {'; '.join(changed[:3])}; give the same options, "
                "choose another --out, or add --overwrite true"
            )
        return True

    def set_state(self, state: str, **facts: Any) -> None:
        """Replace the state and add ``facts`` to ``run.json``."""
        begun = {"started": time.strftime("%Y-%m-%d %H:%M:%S")}
        known = self.read_json(STATE) if (self.path / STATE).exists() else begun
        self.write_json(STATE, {**known, **facts, "state": state})

    def note_environment(self) -> None:
        """Write down where the run takes place; a run that goes on keeps what it noted before."""
        here = environment()
        if (self.path / ENVIRONMENT).exists():
            first = self.read_json(ENVIRONMENT)
            here = {**first, "resumed": [*first.get("resumed", []), here]}
        self.write_json(ENVIRONMENT, here)

    def read_json(self, name: str) -> Any:
        return json.loads((self.path / name).read_text(encoding="utf-8"))

    def write_json(self, name: str, content: Any) -> None:
        write_text(self.path / name, json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def write_csv(self, name: str, table: pd.DataFrame) -> None:
        write_text(self.path / name, table.to_csv(index=False))


def _remove(entry: Path) -> None:
    shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def environment() -> dict[str, Any]:
    """What the numbers of a run may depend on: versions, threads, device."""
    import torch

    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "threads": torch.get_num_threads(),
        "packages": _versions(),
        "command": " ".join([_program(sys.argv[0]), *sys.argv[1:]]),
    }


def _program(path: str) -> str:
    """A script by its name; the command line of the package as it is installed, however it was started."""
    name = Path(path).name
    return "sciformer" if name in ("cli.py", "__main__.py") else name


def _versions() -> dict[str, str]:
    """Versions of the packages that sciformer requires; those of the domains are among them."""
    from importlib import metadata

    try:
        required = [line for line in metadata.requires("sciformer") or [] if "extra ==" not in line]
    except metadata.PackageNotFoundError:  # run from its source, without installation
        return {}
    versions = {}
    for name in (re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in required):
        with contextlib.suppress(metadata.PackageNotFoundError):  # not for this system
            versions[name] = metadata.version(name)
    return versions


def _differences(before: Any, now: Any, where: str = "") -> list[str]:
    """Fields in which two configurations differ, in words."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*before, *(key for key in now if key not in before)]
        return [x for key in keys for x in _differences(before.get(key), now.get(key), f"{where}.{key}".lstrip("."))]
    return [] if before == now else [f"{where} was {before!r} and is now {now!r}"]
