"""Columns of a table as answers: what kind of property each is, and the known values per row."""

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from sciformer.tokens import Target

MOST_CLASSES = 50
"""Text columns with more different values are names or remarks rather than classes."""

LARGEST = 1e18
"""Squares of larger numbers have no place in single precision, in which models compute."""

_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*")
_NEGATIVE = frozenset({"0", "-1", "false", "f", "no", "n", "negative", "neg", "inactive", "-"})


def infer_targets(
    table: pd.DataFrame,
    names: Sequence[str],
    kinds: Mapping[str, str] | None = None,
    units: Mapping[str, str] | None = None,
) -> tuple[Target, ...]:
    """Targets for the columns ``names``; ``kinds`` and ``units`` (by column) overrule what is inferred.

    Two values that are 0 and 1, -1 and 1, false and true, or two texts: ``binary``; other text:
    ``multiclass``; other numbers: ``regression``. Classes are sorted, the negative one of two comes first.

    Raises ``ValueError`` where a column is missing, has no value, a single value, text among numbers, numbers
    with a decimal comma, or a class that contains ``|``.
    """
    kinds, units = kinds or {}, units or {}
    for option, given in (("kind", kinds), ("unit", units)):
        for name in set(given) - set(names):
            raise ValueError(f"a {option} is given for {name!r}, no target; targets: {', '.join(names)}")
    if len(set(names)) < len(names):
        raise ValueError(f"targets must be different columns, got {', '.join(names)}")
    return tuple(_infer(table, name, kinds.get(name), units.get(name, "")) for name in names)


def known_targets(table: pd.DataFrame, targets: Sequence[Target], keys: Sequence[str]) -> list[dict[str, float]]:
    """Per row the targets that are known: numbers, or indices into ``Target.classes``.

    Raises ``ValueError`` naming column, row and value where a cell is no number or no class of its target.
    """
    rows: list[dict[str, float]] = [{} for _ in keys]
    for target in targets:
        column = column_of(table, target.name, "target")
        values = _class_indices(column, target, keys) if target.classes else _numbers(column, keys)
        for row, value in zip(rows, values.tolist(), strict=True):
            if not np.isnan(value):
                row[target.name] = value
    return rows


def column_of(table: pd.DataFrame, name: str, role: str) -> pd.Series:
    """The column ``name``; else ``ValueError`` with those that are like it."""
    return table[find_column([str(other) for other in table.columns], name, role)]


def column_names(told: Sequence[str] | str, table: pd.DataFrame | None = None) -> list[str]:
    """Columns told as a list, or as text with commas between them; a name may itself contain a comma if it is a column
    of ``table`` as it stands."""
    if not isinstance(told, str):
        return list(told)
    whole = told.strip()
    parts = [whole] if table is not None and whole in table.columns else whole.split(",")
    return [part.strip() for part in parts if part.strip()]


def find_column(names: Sequence[str], name: str, role: str) -> str:
    """``name`` if it is among ``names``; else ``ValueError`` with those that are like it."""
    if name in names:
        return name
    folded = {other.strip().lower(): other for other in names}
    close = difflib.get_close_matches(name.strip().lower(), folded, n=3)
    hint = f"did you mean {' or '.join(repr(folded[match]) for match in close)}? " if close else ""
    raise ValueError(f"no {role} column named {name!r}; {hint}columns: {listed(names)}")


def listed(names: Sequence[str], most: int = 20) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _infer(table: pd.DataFrame, name: str, kind: str | None, unit: str) -> Target:
    if kind not in (None, "regression", "binary", "multiclass"):
        raise ValueError(f"kind of target {name!r} must be regression, binary or multiclass, got {kind!r}")
    column = column_of(table, name, "target")
    present = column[~_missing(column)]
    if present.empty:
        where = f"any of {len(column)} rows" if len(column) > 1 else "the only row"
        raise ValueError(f"target {name!r} has no value in {where}; choose another column")
    labels = sorted({label(cell) for cell in present})
    if len(labels) == 1:
        where = f"in all {len(present)} labelled rows" if len(present) > 1 else "in the only labelled row"
        raise ValueError(f"target {name!r} is {labels[0]!r} {where}; choose another")
    kind = kind or _kind(present, labels)
    if kind == "regression":
        _numbers(column, [str(row) for row in range(1, len(column) + 1)])
        return Target(name, "regression", unit)
    if torn := next((text for text in labels if "|" in text), None):
        raise ValueError(
            f"class {torn!r} of target {name!r} contains '|', which separates the classes of a set; rename it"
        )
    if kind == "binary":
        if len(labels) != 2:
            raise ValueError(f"binary target {name!r} needs two classes, got {listed(labels, 5)}")
        labels.sort(key=lambda text: text.strip().lower() not in _NEGATIVE)
    return Target(name, kind, unit, tuple(_ordered(labels) if kind == "multiclass" else labels))  # pyright: ignore[reportArgumentType]


def _kind(present: pd.Series, labels: Sequence[str]) -> str:
    numeric = pd.to_numeric(present, errors="coerce").notna() | present.map(_has_decimal_comma).astype(bool)
    known = {text.lower() for text in labels} in ({"0", "1"}, {"-1", "1"}, {"false", "true"})
    if known or (len(labels) == 2 and not numeric.any()):
        return "binary"
    if numeric.any():
        return "regression"  # text among numbers, or a decimal comma, is then named with its row
    if len(labels) <= min(MOST_CLASSES, len(present) - 1):
        return "multiclass"
    raise ValueError(
        f"target {present.name!r} is text with {len(labels)} different values in {len(present)} rows, "
        f"such as {labels[0]!r}; choose a column of numbers or classes, or say which kind it is"
    )


def _ordered(labels: Sequence[str]) -> list[str]:
    """Numbers by size, else by text."""
    numbers = pd.to_numeric(pd.Series(labels), errors="coerce")
    return [labels[i] for i in np.lexsort((np.arange(len(labels)), numbers))]  # pyright: ignore[reportReturnType]


def label(cell: Any) -> str:
    """Text of a class: 1, 1.0 and "1" are one class."""
    if isinstance(cell, float | np.floating) and float(cell).is_integer():
        return str(int(cell))
    text = str(cell).strip()
    whole, _, zeros = text.partition(".")
    return whole if zeros and set(zeros) == {"0"} and whole.lstrip("+-").isdigit() else text


def _missing(column: pd.Series) -> pd.Series:
    """True where a cell is empty, blank or NaN."""
    missing = column.isna()
    if pd.api.types.is_numeric_dtype(column):
        return missing
    return missing | column.map(lambda cell: isinstance(cell, str) and not cell.strip())


def _has_decimal_comma(cell: Any) -> bool:
    return isinstance(cell, str) and _DECIMAL_COMMA.fullmatch(cell) is not None


def _numbers(column: pd.Series, keys: Sequence[str]) -> np.ndarray:
    """float64, NaN where unknown."""
    missing = _missing(column).to_numpy(dtype=bool)
    values = pd.to_numeric(column.mask(missing), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~missing & ~np.isfinite(values)
    if wrong.any():
        row = int(wrong.argmax())
        comma = _has_decimal_comma(column.iloc[row])
        raise ValueError(
            f"target {column.name!r} of row {keys[row]!r} must be a finite number, "
            f"got {column.iloc[row]!r:.40} ({int(wrong.sum())} such rows); "
            f"{'write decimal points' if comma else 'correct it'}, leave it empty, or make it a class target"
        )
    if (large := ~missing & (np.abs(values) > LARGEST)).any():
        row = int(large.argmax())
        raise ValueError(
            f"target {column.name!r} of row {keys[row]!r} must lie within ±{LARGEST:g}, got {values[row]:g} "
            f"({int(large.sum())} such rows); choose another unit, take logarithms, or leave it empty"
        )
    return np.where(missing, np.nan, values)


def _class_indices(column: pd.Series, target: Target, keys: Sequence[str]) -> np.ndarray:
    """Index into ``target.classes`` as float64, NaN where unknown."""
    index = {text: float(i) for i, text in enumerate(target.classes)}
    missing = _missing(column).to_numpy(dtype=bool)
    values = np.full(len(column), np.nan)
    for row in np.flatnonzero(~missing):
        text = label(column.iloc[row])
        if text not in index:
            raise ValueError(
                f"target {target.name!r} of row {keys[row]!r} must be one of {listed(target.classes)}, "  # pyright: ignore[reportArgumentType, reportCallIssue]
                f"got {text!r}; correct it or leave it empty"
            )
        values[row] = index[text]
    return values
