"""Light curves of any kind to records: what cannot be read keeps its place and says why.

What is read and what becomes of bad input is written in ``docs/lightcurves.md``.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sciformer.adapter import Record
from sciformer.data.targets import known_targets
from sciformer.domains.lightcurve import copies, fits, snana, table, votable
from sciformer.domains.lightcurve.clean import Found, Unreadable
from sciformer.domains.lightcurve.columns import Options, options_from
from sciformer.domains.lightcurve.curve import Curve
from sciformer.domains.lightcurve.objects import check_labels, join, load_objects, metadata, positions
from sciformer.domains.lightcurve.sheet import astropy_sheet, frame_sheet, objects_in
from sciformer.tokens import Target

SUFFIXES = (*table.SUFFIXES, *fits.SUFFIXES, *votable.SUFFIXES)
"""Known file name endings, each also with ``.gz``."""

_BESIDE = (
    ".md",
    ".rst",
    ".py",
    ".ipynb",
    ".sh",
    ".html",
    ".pdf",
    ".png",
    ".readme",
    ".list",
    ".ignore",
    ".dump",
    ".log",
)
"""Endings of files that stand in folders beside light curves."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """All objects of a source, and one row of the objects table for each."""

    found: Sequence[Found]
    objects: pd.DataFrame
    """Column ``object_id``, then those of the given table and of the headers of the files."""


def read(
    source: Any, *, targets: Sequence[Target] = (), objects: Any = None, withheld: Sequence[str] = (), **options: Any
) -> Iterator[Record]:
    """Yield one record per object, unreadable ones included; ``Record.data`` is a ``Curve``.

    ``source``: a file or folder, a list of files (``Path``), a DataFrame, an astropy table or ``TimeSeries``, a
    ``Curve``, a list of them or a mapping from ids to them. ``objects``: a table (path or DataFrame) of labels and
    other facts, one row per object; its columns ``withheld`` are answers and are not read into ``Curve.meta``.
    ``options``: see ``columns.Options``.

    Raises ``ValueError`` or ``OSError``, before the first record, where the source as a whole, an option or a
    target is unusable.
    """
    classes = [target.name for target in targets if target.classes]
    survey = load(source, objects=objects, classes=classes, withheld=withheld, **options)
    check_labels(survey.objects, [target.name for target in targets], objects is not None)
    return records(survey, survey.objects, targets)


def records(survey: Survey, objects: pd.DataFrame, targets: Sequence[Target]) -> Iterator[Record]:
    """The records of a survey, with the targets that ``objects`` holds, row by row that of each object.

    Raises ``ValueError``, before the first record, where a column is missing or a cell is no answer.
    """
    answers = known_targets(objects, targets, [item.key for item in survey.found])
    groups = copies.groups(survey.found)
    return (
        Record(key=item.key, group=group, targets=known, problem=str(item.data))
        if isinstance(item.data, Unreadable)
        else Record(key=item.key, data=item.data, group=group, targets=known)
        for item, group, known in zip(survey.found, groups, answers, strict=True)
    )


def load(
    source: Any, *, objects: Any = None, classes: Sequence[str] = (), withheld: Sequence[str] = (), **options: Any
) -> Survey:
    """The objects behind a source, in the order of the records; columns in ``classes`` stay text, those ``withheld``
    are no metadata."""
    chosen = options_from(options)
    found = _sources(source, chosen, objects)
    if twice := [key for key, count in Counter(item.key for item in found).items() if count > 1]:
        raise ValueError(f"two objects of the source have the id {twice[0]!r}; make the ids unique")
    given = None if objects is None else load_objects(objects, chosen, classes)
    found, frame, known = join(found, given)
    facts = zip(known, metadata(frame, withheld), *positions(frame), strict=True)
    found = [_described(item, *fact) for item, fact in zip(found, facts, strict=True)]
    return Survey(found=_noted(_of_one_unit(copies.without_pointings(found))), objects=frame)


# --- kinds of source -------------------------------------------------------------------------------------


def _sources(source: Any, options: Options, objects: Any) -> list[Found]:
    if isinstance(source, str | Path):
        path = Path(source)
        if not path.exists():
            raise FileNotFoundError(f"{path} does not exist; check the path (working directory {Path.cwd()})")
        return _together(sorted(path.iterdir()), str(path), options, objects) if path.is_dir() else _file(path, options)
    if isinstance(source, pd.DataFrame):
        return objects_in(frame_sheet(source), options)
    if hasattr(source, "colnames"):
        return objects_in(astropy_sheet(source), options)
    if isinstance(source, list | tuple) and source and all(isinstance(item, Path) for item in source):
        return _together(source, f"{source[0].parent} and others", options, objects)
    return _native(source, options)


def _native(source: Any, options: Options) -> list[Found]:
    if isinstance(source, Curve):
        source = [source]
    if isinstance(source, Mapping):
        items = {str(key): curve for key, curve in source.items()}
    elif isinstance(source, list | tuple):
        items = {str(i): curve for i, curve in enumerate(source, start=1)}
    else:
        raise ValueError(f"source must be a path, a table or light curves (Curve), got {type(source).__name__}")
    if dataclasses.replace(options, object=None) != Options():
        raise ValueError("options of columns and files can only be given for a table or a file, got light curves")
    for key, curve in items.items():
        if not isinstance(curve, Curve):
            raise ValueError(f"light curve {key!r} must be a Curve, got {type(curve).__name__}")
    nothing = Unreadable("no observations; add some or delete the object")
    return [Found(key=key, data=curve if len(curve) else nothing) for key, curve in items.items()]


def _file(path: Path, options: Options, alone: bool = True) -> list[Found]:
    kind = _kind(path)
    if kind == "snana":
        return snana.read_texts([path], options)
    if kind == "fits":
        return snana.read_pair(path, options) if snana.is_pair(path) else fits.read_file(path, options, alone=alone)
    if kind == "xml":
        return votable.read_file(path, options, alone=alone)
    return objects_in(table.load_sheet(path, options), options, alone=alone)


def _kind(path: Path) -> str:
    suffix = table.suffix_of(path)
    if suffix in fits.SUFFIXES:
        return "fits"
    if suffix in votable.SUFFIXES:
        return "xml"
    if suffix not in table.SUFFIXES:
        found = f"ends in {suffix!r}" if suffix else "has no file name ending"
        raise ValueError(f"{path} {found}; known are {', '.join(SUFFIXES)}, each also with .gz")
    if suffix in (".dat", ".txt") and snana.is_text(table.read_bytes(path)[:200_000].decode("latin-1")):
        return "snana"
    return "table"


def _together(files: Sequence[Path], where: str, options: Options, objects: Any) -> list[Found]:
    """The light curves of the files of a folder; a file that cannot be read is an object that cannot."""
    kinds = _kinds(files, where, objects)
    if len(set(kinds.values())) > 1:
        several = ", ".join(
            f"{path.name} ({kind})" for kind, path in {kind: path for path, kind in kinds.items()}.items()
        )
        raise ValueError(f"{where} holds files of several kinds, such as {several}; keep one kind in a folder")
    paths = list(kinds)
    if "snana" in kinds.values():
        found = snana.read_texts(paths, options, alone=False)
    else:
        pairs = [path for path in paths if snana.is_pair(path)]
        paths = [path for path in paths if not (path in pairs and "_PHOT." in path.name.upper())] or paths
        found = [item for path in paths for item in _attempt(lambda path: _file(path, options, alone=False), path)]
    if all(isinstance(item.data, Unreadable) for item in found):
        raise ValueError(f"none of {len(found)} light curves in {where} can be read; the first: {found[0].data}")
    return found


def _kinds(files: Sequence[Path], where: str, objects: Any) -> dict[Path, str]:
    """Those of the files that are light curves, each with its kind."""
    beside = Path(objects).resolve() if isinstance(objects, str | Path) else None
    kinds: dict[Path, str] = {}
    for path in files:
        if path.is_dir() or path.name.startswith(".") or table.suffix_of(path) in _BESIDE or path.resolve() == beside:
            continue
        try:
            kinds[path] = _kind(path)
        except ValueError:
            if table.suffix_of(path) in SUFFIXES:
                kinds[path] = kinds[next(reversed(kinds))] if kinds else "table"  # damaged: it is reported on reading
                continue
            if not path.suffix:
                continue  # README, LICENSE
            raise
    if not kinds:
        raise ValueError(f"{where} holds no light curves; known endings are {', '.join(SUFFIXES)}")
    return kinds


def _attempt(reader: Callable[[Path], list[Found]], path: Path) -> list[Found]:
    try:
        return reader(path)
    except (ValueError, OSError) as error:
        return [Found(key=table.stem_of(path), data=Unreadable(str(error)))]


# --- the objects together --------------------------------------------------------------------------------


def _described(item: Found, known: bool, meta: Mapping[str, float], position: np.ndarray, doubt: str) -> Found:
    """The object with what its row of the objects table says."""
    if isinstance(item.data, Unreadable):
        return item
    curve = item.data
    changes: dict[str, Any] = {"meta": {**meta, **curve.meta}}
    if np.isfinite(position).all():
        changes["position"] = (float(position[0]), float(position[1]))
    unknown = "" if known else "not in the objects table: nothing is known but its light"
    changes["notes"] = (*curve.notes, *(note for note in (doubt, unknown) if note))
    return dataclasses.replace(item, data=dataclasses.replace(curve, **changes))


def _of_one_unit(found: list[Found]) -> list[Found]:
    """What differs in unit from most of the source cannot be compared with it, and is refused."""
    units = Counter(_unit(item.data) for item in found if isinstance(item.data, Curve))
    if len(units) < 2:
        return found
    usual, _ = units.most_common(1)[0]
    return [
        item
        if isinstance(item.data, Unreadable) or _unit(item.data) == usual
        else dataclasses.replace(
            item, data=Unreadable(f"is in {_unit(item.data)}, most of the source in {usual}; convert it")
        )
        for item in found
    ]


def _unit(curve: Curve) -> str:
    zero_point = "" if curve.zero_point is None or curve.quantity == "mag" else f", zero point {curve.zero_point:g}"
    return f"{curve.quantity} [{curve.unit or 'no unit'}{zero_point}]"


def _noted(found: list[Found]) -> list[Found]:
    """With a note on each object where the source mixes time scales."""
    scales = Counter(item.data.scale or "unknown" for item in found if isinstance(item.data, Curve))
    if len(scales) < 2:
        return found
    note = "the source mixes time scales: " + ", ".join(f"{name} ({count})" for name, count in scales.most_common())
    return [
        item
        if isinstance(item.data, Unreadable)
        else dataclasses.replace(item, data=dataclasses.replace(item.data, notes=(*item.data.notes, note)))
        for item in found
    ]
