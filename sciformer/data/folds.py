"""Test parts that are not drawn by a fraction: one of k folds, all records of one survey or instrument, or those beyond
a limit."""

import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sciformer.adapter import Record
from sciformer.tokens import Target

LOW_TO_HIGH = "low_to_high"
"""The kind of a split whose test part has the highest answers."""


def fold(records: Sequence[Record], units: Sequence[str], which: str, seed: int) -> set[str]:
    """Keys of fold ``which`` ("2/5" is the second of five). Folds hold equal shares of every class of the first
    target that has classes; records of one unit are never torn apart.

    Raises ``ValueError`` where ``which`` is no fold or there are fewer units than folds.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", which)
    number, count = (int(x) for x in found.groups()) if found else (0, 0)
    if not 1 <= number <= count or count < 2:
        raise ValueError(f"a split of kind 'kfold' needs --split.test like 1/5 (the first of five), got {which!r}")
    if len(set(units)) < count:
        raise ValueError(f"{count} folds need at least {count} different records, got {len(set(units))}")
    order = sorted(range(len(units)), key=units.__getitem__)  # so that the order of the rows does not matter
    strata = np.array([_stratum(records[i]) for i in order])
    groups = np.array(units)[order]
    folds = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    held = list(folds.split(np.zeros(len(order)), strata, groups))[number - 1][1]
    return {records[int(order[i])].key for i in held}


def _stratum(record: Record) -> int:
    """The class of the first target, if it has classes; numbers are one stratum."""
    value = next(iter(record.targets.values()), 0.0)
    return int(value) if float(value).is_integer() and 0 <= value < 100 else 0


def held_out(records: Sequence[Record], labels: Mapping[str, str] | None, column: str | None, value: str) -> set[str]:
    """Keys of the records whose cell of ``column`` is ``value``.

    Raises ``ValueError`` where no record has that value.
    """
    cells = labels or {}
    keys = {record.key for record in records if cells.get(record.key) == value.strip()}
    if not keys:
        known = sorted({cells.get(record.key, "") for record in records})[:9]
        raise ValueError(f"no record has {value!r} in column {column!r}, to be held out; it holds {', '.join(known)}")
    return keys


def by_answer(targets: Sequence[Target]) -> dict[str, Callable[[Record], float]]:
    """The order of the records by their first target, where that is a number; NaN where it is unknown."""
    if not targets or targets[0].classes:
        return {}
    return {LOW_TO_HIGH: lambda record: float(record.targets.get(targets[0].name, np.nan))}


def beyond(
    records: Sequence[Record],
    units: Sequence[str],
    order: Callable[[Record], float],
    limit: str | None,
    share: float | int,
) -> tuple[set[str], float]:
    """Keys of the records above a limit, and the limit: the number that is given, or the lowest one that no more than
    ``share`` of the records exceed. Records of one unit share their mean.

    Raises ``ValueError`` where the limit is no number, or nothing lies above or nothing below it.
    """
    of = np.array([order(record) for record in records], dtype=np.float64)
    _, unit = np.unique(np.array(units), return_inverse=True)
    known = np.isfinite(of)
    count = np.bincount(unit, weights=known)
    total = np.bincount(unit, weights=np.where(known, of, 0.0))
    value = np.where(count > 0, total / np.maximum(count, 1), np.nan)[unit]
    ordered = np.sort(value[np.isfinite(value)])
    border = _number(limit) if limit else _exceeded(ordered, share)
    above = value > border
    if not above.any() or not (value <= border).any():
        raise ValueError(
            f"{int(above.sum())} of {len(ordered)} records lie above {border:g}, which leaves one part empty: they go "
            f"from {min(ordered, default=np.nan):g} to {max(ordered, default=np.nan):g}; give a limit between them "
            "with --split.test"
        )
    return {record.key for record, chosen in zip(records, above, strict=True) if chosen}, border


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"split.test must be the number that the test part lies above, got {text!r}") from None


def _exceeded(ordered: np.ndarray, share: float | int) -> float:
    """The lowest of rising values that no more than ``share`` of them exceed."""
    more = len(ordered) - np.searchsorted(ordered, ordered, side="right")
    return float(ordered[np.argmax(more <= share * len(ordered) + 1e-9)]) if len(ordered) else np.nan
