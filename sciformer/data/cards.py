"""The data-card registry: what a public data set is, where its files lie, and whether they are intact.

A card is ``data_cards/<name>.md``: a YAML head between two lines ``---``, parsed here, and prose for people.
Files are looked for in the cache (``SCIFORMER_CACHE``, else the user's cache folder), then in the folders
of ``SCIFORMER_MIRROR``, then downloaded to the cache, unless one of those folders does not exist. Whatever
the way, sha256 is checked every time.
"""

import dataclasses
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

if TYPE_CHECKING:
    import pandas as pd

    from sciformer.tokens import Target

ROLES = ("id", "input", "target", "split", "forbidden", "other")
KINDS = ("regression", "binary", "multiclass")
TIMEOUT = 30.0
"""Seconds without an answer after which a download is given up."""


class FetchError(OSError):
    """A file of a data set could be found nowhere."""


class HashError(OSError):
    """A file of a data set is not, byte for byte, the one its card describes."""


@dataclass(frozen=True)
class File:
    """One upstream file. ``url`` is its public address; a set without one was ``prepared`` from many
    small files and lies under that path in a mirror folder."""

    sha256: str
    bytes: int
    url: str | None = None
    prepared: str | None = None
    part: str = ""
    """What the file holds where it is not rows of the card's own table: ``observations`` of the objects there."""

    @property
    def path(self) -> Path:
        """Where the file lies below the cache: ``<host>/<path of the URL>`` or ``prepared/<path>``."""
        if self.url is None:
            return Path("prepared", str(self.prepared))
        address = urlsplit(self.url)
        return Path(address.netloc, address.path.lstrip("/"))

    @property
    def mirrored(self) -> Path:
        """Where the file lies below a folder of ``SCIFORMER_MIRROR``."""
        return self.path if self.url is None else "mirror" / self.path


@dataclass(frozen=True)
class Column:
    """A column of the table: ``forbidden`` as an input because it would leak or answer the question."""

    name: str
    role: str
    meaning: str
    unit: str = ""
    kind: str = ""
    """Of a target: ``regression``, ``binary`` or ``multiclass``."""
    classes: tuple[str, ...] = ()
    """Labels of a target of classes; of a binary one the negative label first."""


@dataclass(frozen=True)
class Score:
    """What a peer reached; ``source`` begins with ``measured`` (on these files) or ``published``."""

    model: str
    split: str
    metric: str
    value: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Card:
    """A data card, checked field by field when it is read."""

    name: str
    title: str
    domain: str
    task: str
    rows: int
    licence: str
    citation: str
    split: str
    """The split protocol in words, and which splits say nothing."""
    files: tuple[File, ...]
    columns: tuple[Column, ...]
    table: Mapping[str, Any] = field(default_factory=dict)
    """How text becomes a table: ``sep`` (else a comma), ``comment`` (what lines to skip begin with) and
    ``names`` (the columns of a file without header)."""
    read: Mapping[str, Any] = field(default_factory=dict)
    """Options of the domain's ``read`` that say which column is what, for instance ``smiles``."""
    traps: tuple[str, ...] = ()
    baselines: tuple[Score, ...] = ()
    prose: str = ""

    def roles(self, role: str) -> tuple[Column, ...]:
        return tuple(column for column in self.columns if column.role == role)

    def targets(self) -> "tuple[Target, ...]":
        """The columns to be predicted."""
        from sciformer.tokens import Target

        return tuple(Target(c.name, c.kind, c.unit, c.classes) for c in self.roles("target"))  # type: ignore[arg-type]


def names() -> tuple[str, ...]:
    """Names of all data cards, sorted."""
    return tuple(sorted(path.stem for path in _folder().glob("*.md")))


def card(name: str) -> Card:
    """The card of a data set.

    Raises ``ValueError`` for an unknown name (naming the known ones) or a card that breaks its format
    (naming file and field).
    """
    if name not in names():
        raise ValueError(f"no data card named {name!r}; known: {', '.join(names())}")
    return parse(_folder() / f"{name}.md")


def parse(path: Path) -> Card:
    """Read one card file.

    Raises ``ValueError`` naming the file and the field that is missing, unknown or wrong.
    """
    parts = re.split(r"^---[ \t]*$", path.read_text(encoding="utf-8"), maxsplit=2, flags=re.MULTILINE)
    if len(parts) != 3 or parts[0].strip():
        raise ValueError(f"{path}: a data card begins with a YAML head between two lines '---'")
    try:
        head = yaml.safe_load(parts[1])
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: the YAML head cannot be parsed: {' '.join(str(error).split())}") from None
    made = _build(Card, {**_mapping(head, path, "head"), "prose": parts[2].strip()}, path, "")
    if made.name != path.stem:
        raise ValueError(f"{path}: field 'name' must be the file's name {path.stem!r}, got {made.name!r}")
    return made


def fetch(name: str) -> list[Path]:
    """Paths of the intact files of a data set, in the order of its card, downloading what is missing.

    Raises ``ValueError`` for an unknown name, ``HashError`` for a file that is not the card's,
    ``FetchError`` for one that can be had nowhere.
    """
    return [_fetch(file) for file in card(name).files]


def load(name: str, part: str = "") -> "pd.DataFrame":
    """The table of a data set as upstream wrote it: every row and column, texts stripped of outer blanks.

    Several files of one ``part`` are laid end to end. Which columns are what, and in which unit, is in ``card(name)``;
    ``adapter.read(load(name), targets=card(name).targets(), **card(name).read)`` gives the records.
    Raises like ``fetch``.
    """
    import pandas as pd

    files = card(name).files
    if part not in {file.part for file in files}:
        parts = sorted({file.part for file in files} - {""})
        raise ValueError(f"data card {name!r} has no files of part {part!r}; parts: {', '.join(parts) or 'none'}")
    chosen = [_fetch(file) for file in files if file.part == part]
    frames = [_table(path, **card(name).table) for path in chosen]
    table = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    texts = table.select_dtypes(include=["object", "string"]).columns
    return table.assign(**{column: table[column].str.strip() for column in texts})


def source(name: str) -> tuple[Any, dict[str, Any]]:
    """What a reader takes for a data set, and its options: a table; one of observations, with the objects beside it;
    or raw files."""
    from sciformer.adapter import adapter_class  # brings torch, which a plain list of cards does not need

    options, parts = dict(card(name).read), {file.part for file in card(name).files}
    if "observations" in parts:
        return load(name, "observations"), {**options, "objects": load(name)}
    return fetch(name) if adapter_class(card(name).domain).long else load(name), options


def _table(path: Path, sep: str = ",", comment: str | None = None, names: list[str] | None = None) -> "pd.DataFrame":
    """pandas' own ``comment`` would cut a line at any #, which is a triple bond in SMILES."""
    import pandas as pd

    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    skip = []
    if comment is not None:
        skip = [i for i, line in enumerate(path.read_text("utf-8").splitlines()) if line.startswith(comment)]
    header = 0 if names is None else None
    return pd.read_csv(
        path, sep=sep, names=names, header=header, skiprows=skip, skipinitialspace=True, low_memory=False
    )


def cache_folder() -> Path:
    """Where downloads are kept: ``SCIFORMER_CACHE`` if set, else the user's cache folder."""
    if chosen := os.environ.get("SCIFORMER_CACHE"):
        return Path(chosen).expanduser()
    import pooch

    return Path(pooch.os_cache("sciformer"))


def mirror_folders() -> list[Path]:
    """The existing or missing folders named by ``SCIFORMER_MIRROR``, in order."""
    return [Path(folder).expanduser() for folder in os.environ.get("SCIFORMER_MIRROR", "").split(os.pathsep) if folder]


def _folder() -> Path:
    """The cards inside an installed wheel, else those of a source checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_data_cards", package.parent / "data_cards"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the data cards are missing beside {package}: reinstall sciformer")


def _fetch(file: File) -> Path:
    cached = cache_folder() / file.path
    if cached.is_file():
        _check(cached, file, "delete it and fetch again")
        return cached
    for folder in mirror_folders():
        if (path := folder / file.mirrored).is_file():
            _check(path, file, f"put the right file there, or take {folder} out of SCIFORMER_MIRROR")
            return path
    if missing := [str(folder) for folder in mirror_folders() if not folder.is_dir()]:
        raise FetchError(
            f"SCIFORMER_MIRROR names {', '.join(missing)}, which is no folder, and {file.path.name} is in no other: "
            "correct the variable, or unset it to download"
        )
    return _download(file, cached)


def _check(path: Path, file: File, remedy: str) -> None:
    with path.open("rb") as stream:
        got = hashlib.file_digest(stream, "sha256").hexdigest()
    if got != file.sha256:
        raise HashError(
            f"{path} is not the file of its data card: expected sha256 {file.sha256}, got {got} "
            f"({path.stat().st_size} of {file.bytes} bytes); {remedy}"
        )


def _download(file: File, target: Path) -> Path:
    """Download through a temporary file, which takes the final name only when its hash is right."""
    mirror = f"name in SCIFORMER_MIRROR a folder that has it as {file.mirrored}"
    if file.url is None:
        raise FetchError(
            f"{file.prepared} has no public address: put the file at {target}, or {mirror}, "
            "or build it, if its card says how"
        )
    import pooch

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        pooch.retrieve(
            file.url,
            known_hash=f"sha256:{file.sha256}",
            fname=target.name,
            path=target.parent,
            downloader=pooch.HTTPDownloader(timeout=TIMEOUT),  # pyright: ignore[reportArgumentType]
        )
    except ValueError as error:  # how pooch reports a wrong hash; it has removed what it downloaded
        raise HashError(
            f"what {file.url} sent is not the file of its data card (expected sha256 {file.sha256}); "
            f"try again, and if it stays so, put the right file at {target}, or {mirror}"
        ) from error
    except OSError as error:
        raise FetchError(
            f"cannot download {file.url} ({type(error).__name__}); check the connection, "
            f"or put the file at {target}, or {mirror}"
        ) from error
    _check(target, file, "delete it and fetch again")
    return target


# --- checking a card's head ---------------------------------------------------------------------------------


def _build(kind: type, head: Mapping[str, Any], path: Path, where: str) -> Any:
    """Make the dataclass ``kind`` from a YAML mapping, refusing missing, unknown and wrong fields."""
    fields = {f.name: f for f in dataclasses.fields(kind)}
    for name in head:
        if name not in fields:
            raise ValueError(f"{path}: unknown field '{where}{name}'; known: {', '.join(fields)}")
    values = {}
    for name, spec in fields.items():
        if name in head:
            values[name] = _value(spec, head[name], path, f"{where}{name}")
        elif spec.default is dataclasses.MISSING and spec.default_factory is dataclasses.MISSING:
            raise ValueError(f"{path}: field '{where}{name}' is missing")
    made = kind(**values)
    for name, (rule, holds) in _RULES.get(kind, {}).items():
        if not holds(made):
            raise ValueError(f"{path}: field '{where}{name}' {rule}, got {getattr(made, name)!r}")
    return made


def _value(spec: dataclasses.Field, value: Any, path: Path, where: str) -> Any:
    """A YAML value as the field's type."""
    if spec.name in _ITEMS:
        item = _ITEMS[spec.name]
        if not isinstance(value, list):
            raise ValueError(f"{path}: field '{where}' must be a list, got {value!r}")
        if item is str:
            return tuple(_scalar(str, x, path, f"{where}[{i}]") for i, x in enumerate(value))
        return tuple(
            _build(item, _mapping(x, path, f"{where}[{i}]"), path, f"{where}[{i}].") for i, x in enumerate(value)
        )
    if spec.name in ("table", "read"):
        return _mapping(value, path, where)
    if value is None and spec.default is None:
        return None
    return _scalar(spec.type if spec.type in (int, float) else str, value, path, where)


def _scalar(kind: Any, value: Any, path: Path, where: str) -> Any:
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or value == "":
        name = {str: "a text", int: "a whole number", float: "a number"}[kind]
        if not (value == "" and where == "prose"):
            raise ValueError(f"{path}: field '{where}' must be {name}, got {value!r}")
    return value


def _mapping(value: Any, path: Path, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ValueError(f"{path}: field '{where}' must be a mapping with text keys, got {value!r}")
    return value


_ITEMS = {"files": File, "columns": Column, "baselines": Score, "traps": str, "classes": str}

_RULES: dict[type, dict[str, tuple[str, Any]]] = {
    File: {
        "sha256": ("must be 64 hexadecimal digits", lambda x: re.fullmatch("[0-9a-f]{64}", x.sha256)),
        "bytes": ("must be positive", lambda x: x.bytes > 0),
        "url": (
            "must be an https address, or null beside 'prepared'",
            lambda x: (x.url or "").startswith("https://") if x.prepared is None else x.url is None,
        ),
        "prepared": (
            "must be a relative path without '..'",
            lambda x: x.prepared is None or not (Path(x.prepared).is_absolute() or ".." in Path(x.prepared).parts),
        ),
    },
    Column: {
        "role": (f"must be one of {', '.join(ROLES)}", lambda x: x.role in ROLES),
        "kind": (
            f"must be one of {', '.join(KINDS)} for a target and absent otherwise",
            lambda x: (x.kind in KINDS) if x.role == "target" else not x.kind,
        ),
        "classes": (
            "must list the labels of a target of classes (two of a binary one), and no others",
            lambda x: len(x.classes) == 2 if x.kind == "binary" else bool(x.classes) == (x.kind == "multiclass"),
        ),
    },
    Score: {
        "source": (
            "must begin with 'measured' or 'published'",
            lambda x: x.source.startswith(("measured", "published")),
        ),
    },
    Card: {
        "files": ("must not be empty", lambda x: x.files),
        "columns": (
            "must have different names",
            lambda x: x.columns and len({c.name for c in x.columns}) == len(x.columns),
        ),
        "rows": ("must be positive", lambda x: x.rows > 0),
        "table": ("may have sep, comment and names", lambda x: set(x.table) <= {"sep", "comment", "names"}),
    },
}
