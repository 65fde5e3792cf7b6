"""The data-card registry: what a public data set is, where its files lie, and whether they are intact.

A card is ``data_cards/<name>.md``: a YAML head between two lines ``---``, parsed here, and prose for people.
Its files are found, or downloaded, by ``upstream``.
"""

import dataclasses
import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sciformer.data.upstream import File, find

if TYPE_CHECKING:
    import pandas as pd

    from sciformer.tokens import Target

ROLES = ("id", "input", "target", "label", "split", "validation", "forbidden", "other")
"""What columns are for. A ``label`` is an answer for every residue; a ``validation`` column marks with TRUE the
validation rows of a split column that names train and test alone."""
KINDS = ("regression", "binary", "multiclass")


@dataclass(frozen=True)
class Column:
    """A column of the table: ``forbidden`` as an input because it would leak or answer the question."""

    name: str
    role: str
    meaning: str
    unit: str = ""
    kind: str = ""
    """Of a target or label: ``regression``, ``binary`` or ``multiclass``."""
    classes: tuple[str, ...] = ()
    """Labels of a target of classes; of a binary one the negative label first. Classes of a label are letters."""


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
    """How text becomes a table: ``sep`` (else a comma), ``comment`` (what lines to skip begin with), ``names`` (the
    columns of a file without header) and ``join`` (the column by which parts are laid side by side). Letters of a
    FASTA file are the column named like its part, else ``sequence``."""
    read: Mapping[str, Any] = field(default_factory=dict)
    """Options of the domain's ``read`` that say which column is what, for instance ``smiles``."""
    traps: tuple[str, ...] = ()
    baselines: tuple[Score, ...] = ()
    prose: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """What the files hold, in their order; the first is the card's own table."""
        return tuple(dict.fromkeys(part for file in self.files for part in file.parts))

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
    return [find(file) for file in card(name).files]


def load(name: str, part: str = "") -> "pd.DataFrame":
    """The table of a data set as upstream wrote it: every row and column, texts stripped of outer blanks.

    Several files of one ``part`` are laid end to end. Without a part it is the first of the card, and those that the
    card joins stand beside it. Which columns are what, and in which unit, is in ``card(name)``;
    ``adapter.read(load(name), targets=card(name).targets(), **card(name).read)`` gives the records.
    Raises like ``fetch``.
    """
    asked, options = card(name), dict(card(name).table)
    column = options.pop("join", None)
    if part and part not in asked.parts:
        known = ", ".join(sorted(set(asked.parts) - {""})) or "none"
        raise ValueError(f"data card {name!r} has no files of part {part!r}; parts: {known}")
    table = _part(asked, part or asked.parts[0], options)
    for other in asked.parts[1:] if column and not part else ():
        table = table.merge(_part(asked, other, options), on=column, how="left", validate="one_to_one")
    return table.assign(**{str(name): text.str.strip() for name, text in table.select_dtypes(["string"]).items()})


def _part(asked: Card, part: str, options: Mapping[str, Any]) -> "pd.DataFrame":
    import pandas as pd

    from sciformer.data.tables import read_file

    letters = part or "sequence"
    frames = [
        read_file(find(file), file.parts[part], letters=letters, marks=file.marks, **options)
        for file in asked.files
        if part in file.parts
    ]
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def source(name: str) -> tuple[Any, dict[str, Any]]:
    """What a reader takes for a data set, and its options: a table; one of observations, with the objects beside it;
    or raw files."""
    from sciformer.discovery import adapter_class  # brings torch, which a plain list of cards does not need

    options = dict(card(name).read)
    if "observations" in card(name).parts:
        return load(name, "observations"), {**options, "objects": load(name)}
    return fetch(name) if adapter_class(card(name).domain).long else load(name), options


def meant(source: str, domain: str, called: str) -> Card | None:
    """The card that ``source`` names; None where it names none, or where there is such a file.

    Raises ``ValueError`` for a card of another domain than ``domain``, which is ``called`` so in a sentence.
    """
    if source not in names() or Path(source).exists():
        return None
    found = card(source)
    if found.domain != domain:
        raise ValueError(f"the data card {found.name!r} belongs to the domain {found.domain!r}, not to {called}")
    return found


def check_file(source: str, *others: str) -> None:
    """Raise ``FileNotFoundError`` where ``source`` is no file and is not called like one, with the card, or the one of
    ``others``, that is spelt most like it. A missing file with an ending is left to the reader."""
    if Path(source).exists() or Path(source).suffix:
        return
    close = difflib.get_close_matches(source, [*others, *names()], n=1)
    hint = f"did you mean {close[0]!r}?" if close else "`sciformer data list` names the cards"
    raise FileNotFoundError(f"there is no file and no data card {source!r}; {hint}")


def _folder() -> Path:
    """The cards inside an installed wheel, else those of a source checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_data_cards", package.parent / "data_cards"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the data cards are missing beside {package}: reinstall sciformer")


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
    if spec.name in ("table", "read", "members", "marks"):
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
        "members": (
            "must name the files inside of a .zip by part, and be absent of other files",
            lambda x: bool(x.members) == (x.path.suffix == ".zip") and all(x.members.values()),
        ),
    },
    Column: {
        "role": (f"must be one of {', '.join(ROLES)}", lambda x: x.role in ROLES),
        "kind": (
            f"must be one of {', '.join(KINDS)} for a target or label and absent otherwise",
            lambda x: (x.kind in KINDS) if x.role in ("target", "label") else not x.kind,
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
        "table": (
            "may have sep, comment, names and join",
            lambda x: set(x.table) <= {"sep", "comment", "names", "join"},
        ),
    },
}
