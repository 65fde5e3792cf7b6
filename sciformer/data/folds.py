"""Test parts that are not drawn by a fraction: one of k folds, or all records of one survey or instrument."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

from sciformer.adapter import Record


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
