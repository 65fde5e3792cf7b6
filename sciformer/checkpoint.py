"""A trained model on disk: a directory of plain files, proved whole before anything in it is believed.

``config.json``, ``model.safetensors``, ``calibration.json``, ``MODEL_CARD.md`` and, written last as the
commit mark, ``manifest.json`` with the size and sha256 of each. Nothing is ever unpickled or downloaded.
"""

import contextlib
import dataclasses
import hashlib
import json
import math
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from sciformer.files import DISK_FULL, disk_full, flush_directory, flush_to_disk

SCHEMA_VERSION = 1
FILES = ("config.json", "model.safetensors", "calibration.json", "MODEL_CARD.md")
MANIFEST = "manifest.json"
PICKLES = (".ckpt", ".pt", ".pth", ".bin", ".pkl", ".pickle")

MAX_JSON_BYTES = 64 * 2**20
MAX_DEPTH = 32
MAX_INTEGER = 2**53
"""Larger integers are not exact in JSON readers, and no size in a config comes near."""

Limits = Mapping[str, tuple[int | float, int | float]]

MODEL_LIMITS: Limits = {
    "width": (1, 16384),
    "depth": (1, 512),
    "heads": (1, 1024),
    "expansion": (0, 64),
    "dropout": (0, 1),
    "context": (0, 2**31),
}
"""Far beyond any model that is trained, and small enough to be built without storage."""


class IntegrityError(ValueError):
    """A checkpoint that is not exactly what was written, or not one that may be read."""


@dataclass(frozen=True)
class Checkpoint:
    config: dict[str, Any]
    weights: dict[str, Tensor]
    calibration: dict[str, Any]
    path: Path

    @property
    def sha256(self) -> str:
        """Of its manifest, which holds those of all its files."""
        return hashlib.sha256((self.path / MANIFEST).read_bytes()).hexdigest()


# --- writing ---------------------------------------------------------------------------------------------


def save_checkpoint(
    path: str | os.PathLike[str],
    *,
    config: Mapping[str, Any],
    weights: Mapping[str, Tensor],
    calibration: Mapping[str, Any],
    card: str,
) -> Path:
    """Write a checkpoint directory so that ``path`` is at every moment an old or a new whole one.

    The files are written to a hidden sibling directory, flushed to disk, and renamed into place. An
    existing checkpoint at ``path`` is replaced; anything else there is left alone.

    Raises ``FileExistsError`` when ``path`` is something else than a checkpoint or an empty directory,
    ``ValueError`` when ``config`` or ``calibration`` is not plain finite JSON, ``OSError`` on disk faults.
    """
    path = Path(path).resolve()
    if path.exists() and not (path / MANIFEST).is_file() and not (path.is_dir() and not any(path.iterdir())):
        raise FileExistsError(f"{path} exists and is not a checkpoint: choose another place or remove it")
    if config.get("schema_version", SCHEMA_VERSION) != SCHEMA_VERSION:
        got = config["schema_version"]
        raise ValueError(f"this version writes schema_version {SCHEMA_VERSION}, got {got!r}")
    contents = {
        "config.json": _to_json("config", {"schema_version": SCHEMA_VERSION, **config}),
        "model.safetensors": safetensors.torch.save({name: _alone(x) for name, x in weights.items()}),
        "calibration.json": _to_json("calibration", calibration),
        "MODEL_CARD.md": card.encode(),
    }
    files = {name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in contents.items()}
    contents[MANIFEST] = _to_json("manifest", {"files": files})

    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    fresh.mkdir()
    try:
        for name, data in contents.items():
            with (fresh / name).open("xb") as file:
                file.write(data)
                flush_to_disk(file)
        flush_directory(fresh)
        _swap_in(fresh, path)
    except OSError as error:
        if error.errno in DISK_FULL:
            raise disk_full(path) from error
        raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return path


def _alone(x: Tensor) -> Tensor:
    """A copy with memory of its own: the format refuses tensors that share it (tied weights, views)."""
    return x.detach().cpu().clone(memory_format=torch.contiguous_format)


def _swap_in(fresh: Path, path: Path) -> None:
    """Rename ``fresh`` to ``path``. A directory cannot replace a full one in one step, so the old one steps
    aside first; a crash in between leaves both, complete, under names that ``load_checkpoint`` tells."""
    old = fresh.with_suffix(".old")
    if path.exists():
        path.rename(old)
    try:
        fresh.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    flush_directory(path.parent)
    for left in _leftovers(path):
        shutil.rmtree(left, ignore_errors=True)


def _leftovers(path: Path) -> list[Path]:
    """Directories that saves to ``path`` left beside it when they were killed."""
    if not path.parent.is_dir():
        return []
    beside = path.parent.iterdir()
    return sorted(p for p in beside if p.name.startswith(f".{path.name}.") and p.suffix in (".old", ".tmp"))


def _to_json(name: str, data: Mapping[str, Any]) -> bytes:
    try:
        return (json.dumps(data, indent=1, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} of a checkpoint must be plain JSON with finite numbers: {error}") from error


# --- reading ---------------------------------------------------------------------------------------------


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint directory after proving that every file is the one that was written.

    Other files in the directory are ignored, never read. Raises ``FileNotFoundError`` when there is
    nothing at ``path`` and ``IntegrityError`` for everything that must not be trusted.
    """
    folder = _local_directory(path)
    contents = _verified(folder)
    config = _from_json(folder / "config.json", contents["config.json"])
    _check_schema(folder, config)
    calibration = _from_json(folder / "calibration.json", contents["calibration.json"])
    try:
        weights = safetensors.torch.load(contents["model.safetensors"])
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise IntegrityError(f"{folder / 'model.safetensors'} is not a safetensors file: {error}") from error
    return Checkpoint(config, weights, calibration, folder)


def _local_directory(path: str | os.PathLike[str]) -> Path:
    if "://" in os.fspath(path):
        raise IntegrityError(f"checkpoints are read from local directories, got {path}: download it first")
    path = Path(path)
    if path.suffix.lower() in PICKLES and not path.is_dir():
        raise IntegrityError(
            f"{path} is a pickle, which can run any code when it is opened, so it is never loaded: "
            f"give the checkpoint directory that holds {MANIFEST}"
        )
    if path.is_file():
        raise IntegrityError(f"{path} is a file: give the checkpoint directory that holds {MANIFEST}")
    if not path.exists():
        whole = [left for left in _leftovers(path) if (left / MANIFEST).is_file()]
        hint = "`sciformer models list` names those that come with sciformer"
        if whole:
            hint = f"an interrupted save left {whole[0]}: rename that to {path.name}"
        raise FileNotFoundError(f"there is no checkpoint at {path}; {hint}")
    return path


def _verified(folder: Path) -> dict[str, bytes]:
    """The bytes of every file, each as the manifest says. Read once: what is proved is what is used."""
    manifest_path = folder / MANIFEST
    if not manifest_path.is_file():
        if (folder / "checkpoint" / MANIFEST).is_file():
            raise IntegrityError(f"{folder} is no checkpoint but a run: give {folder / 'checkpoint'}")
        raise IntegrityError(
            f"{folder} has no {MANIFEST}, so it is no checkpoint or was never completely written: use another"
        )
    entries = _from_json(manifest_path, _read(manifest_path, MAX_JSON_BYTES)).get("files")
    if not isinstance(entries, dict) or set(entries) != set(FILES):
        raise IntegrityError(f"{manifest_path} must list exactly {', '.join(FILES)}: the file was changed")
    contents = {}
    for name, entry in entries.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("bytes"), int):
            raise IntegrityError(f"{manifest_path} has no size for {name}: the file was changed")
        data = _read(folder / name, entry["bytes"])
        if hashlib.sha256(data).hexdigest() != entry.get("sha256"):
            raise IntegrityError(f"{folder / name} does not have the sha256 in {MANIFEST}: {_REMEDY}")
        contents[name] = data
    return contents


_REMEDY = "the file was damaged or exchanged; copy the checkpoint again or save it anew"


def _read(file: Path, size: int) -> bytes:
    """All bytes of a file of a known size (for the manifest: of at most that size)."""
    if not file.is_file():
        raise IntegrityError(f"{file} is missing: {_REMEDY}")
    found = file.stat().st_size
    if found > size or (found < size and file.name != MANIFEST):
        raise IntegrityError(f"{file} has {found} bytes instead of {size}: {_REMEDY}")
    return file.read_bytes()


def _from_json(file: Path, data: bytes) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    try:
        if len(data) > MAX_JSON_BYTES:
            raise ValueError(f"larger than {MAX_JSON_BYTES} bytes")
        parsed = json.loads(data, parse_constant=refuse)
        if not isinstance(parsed, dict):
            raise ValueError(f"the top must be an object, got {type(parsed).__name__}")
        _check_plain(parsed)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{file} cannot be read: {error or 'nested too deeply'}") from error
    return parsed


def _check_plain(data: Any, depth: int = 0) -> None:
    """Refuse what no honest config holds: names that address Python, absurd numbers, endless nesting."""
    if depth > MAX_DEPTH:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
    if isinstance(data, dict):
        for key, value in data.items():
            if key.startswith("__") or key in ("class_path", "_class_path", "_instantiator", "_target_"):
                raise ValueError(f"the key {key!r} is not allowed")
            _check_plain(value, depth + 1)
    elif isinstance(data, list):
        for value in data:
            _check_plain(value, depth + 1)
    elif isinstance(data, int) and abs(data) > MAX_INTEGER:
        raise ValueError("an integer is beyond 2**53")
    elif isinstance(data, float) and not math.isfinite(data):
        raise ValueError("a number is not finite")  # the parser reads 1e999 as infinity


def _check_schema(folder: Path, config: Mapping[str, Any]) -> None:
    version = config.get("schema_version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise IntegrityError(f"{folder / 'config.json'} has no schema_version, got {version!r}: {_REMEDY}")
    if version > SCHEMA_VERSION:
        raise IntegrityError(
            f"{folder} has schema_version {version} and this sciformer reads up to {SCHEMA_VERSION}: "
            "install a newer sciformer"
        )


# --- from sections of a config to objects ----------------------------------------------------------------


@contextlib.contextmanager
def refused(place: object) -> Iterator[None]:
    """Whatever goes wrong while objects are rebuilt from a file becomes an ``IntegrityError`` that names the place."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise IntegrityError(
            f"{place}: {what}; this is not as sciformer saved it: take another copy or save it anew"
        ) from error


def check_fields(section: Any, kind: type, where: str, limits: Limits | None = None) -> dict[str, Any]:
    """The section of a config that a dataclass is to be built from, after a check of its types and sizes.

    Raises ``ValueError`` naming the field that is unknown, missing, of another type than the dataclass
    declares, or whose number (of a list: whose length) is outside ``limits`` (inclusive).
    """
    if not isinstance(section, dict):
        raise ValueError(f"{where} must be an object, got {_shown(section)}")
    fields = dataclasses.fields(kind)
    if unknown := sorted(section.keys() - {field.name for field in fields}):
        known = ", ".join(field.name for field in fields)
        raise ValueError(f"{where} has unknown fields {', '.join(unknown)}; known are {known or 'none'}")
    hints = get_type_hints(kind)
    for column in fields:
        name, hint = column.name, hints[column.name]
        if name in section and not _fits(section[name], hint):
            wanted = hint.__name__ if isinstance(hint, type) else str(hint).removeprefix("typing.")
            raise ValueError(f"{where}.{name} must be of type {wanted}, got {_shown(section[name])}")
        if name not in section and column.default is column.default_factory is dataclasses.MISSING:
            raise ValueError(f"{where}.{name} is missing")
    for name, (low, high) in (limits or {}).items():
        value = section.get(name, low)
        size = len(value) if isinstance(value, list) else value
        if not low <= size <= high:
            what = "have a length" if isinstance(value, list) else "be a number"
            raise ValueError(f"{where}.{name} must {what} in {low:g}..{high:g}, got {size!r}")
    return section


def _fits(value: Any, hint: Any) -> bool:
    """Whether a JSON value is of a declared type. A list may stand for a tuple, an integer for a float."""
    kind, parts = get_origin(hint) or hint, get_args(hint)
    if kind is Literal:
        return value in parts
    if kind in (Union, UnionType):
        return any(_fits(value, part) for part in parts)
    if kind in (bool, int, str, NoneType):
        return type(value) is kind
    if kind is float:
        return type(value) in (int, float)
    if kind in (dict, Mapping):
        return isinstance(value, dict) and all(_fits(item, parts[1]) for item in value.values())
    if kind in (list, tuple, Sequence):
        kinds = [part for part in parts if part is not ...]
        return isinstance(value, list) and all(any(_fits(item, part) for part in kinds) for item in value)
    return True  # a type of the domain's own: its constructor decides


def _shown(value: Any) -> str:
    return f"{value!r:.60}" if isinstance(value, bool | int | float | str | None) else type(value).__name__


# --- weights into a module -------------------------------------------------------------------------------


@dataclass(frozen=True)
class LoadReport:
    """How saved weights fit a module; ``misshaped`` maps a name to (saved shape, shape in the module)."""

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshaped: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return not (self.missing or self.unexpected or self.misshaped)

    def __str__(self) -> str:
        shapes = [f"{name} (saved {saved}, needed {needed})" for name, (saved, needed) in self.misshaped.items()]
        parts = (("missing", self.missing), ("unexpected", self.unexpected), ("of another shape", shapes))
        return "; ".join(f"{what}: {_first(names)}" for what, names in parts if names) or "all weights fit"


def _first(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f", ... ({len(names)} in all)" if len(names) > most else "")


def compare_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> LoadReport:
    own = module.state_dict()
    return LoadReport(
        missing=tuple(sorted(own.keys() - weights.keys())),
        unexpected=tuple(sorted(weights.keys() - own.keys())),
        misshaped={
            name: (tuple(weights[name].shape), tuple(own[name].shape))
            for name in sorted(own.keys() & weights.keys())
            if weights[name].shape != own[name].shape
        },
    )


def require_fit(module: nn.Module, weights: Mapping[str, Tensor]) -> LoadReport:
    """Raise ``IntegrityError`` that tells every misfit; the module needs no storage."""
    report = compare_weights(module, weights)
    if not report.ok:
        raise IntegrityError(f"the weights do not fit the model that their config describes: {report}")
    return report


def load_strict(module: nn.Module, weights: Mapping[str, Tensor]) -> LoadReport:
    """Load weights that fit exactly, or nothing."""
    report = require_fit(module, weights)
    module.load_state_dict(dict(weights), strict=True)
    return report
