"""What tables say of every residue: numbers, classes, and which of them count.

A cell is a list or an array, or text: one letter per residue for classes of one letter and masks (``HHHEEC``,
``0111``), else entries that are separated by spaces, commas or semicolons. It has one entry per residue, or one per
character of the sequence as it is written, gaps and the stop at the end included.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from sciformer.data.targets import LARGEST, MOST_CLASSES, label, listed
from sciformer.domains.protein.alphabet import Cleaned
from sciformer.tokens import Target

UNKNOWN = ("", "-", ".", "?")
"""Entries that say nothing, unless a class is called so."""
_NO_NUMBER = (*UNKNOWN, "nan", "na", "none", "null")
MOSTLY = 0.9
"""Share of numbers among the different entries from which the others are mistakes."""
_SEPARATOR = re.compile(r"\s*[,;]\s*|\s+")
_COUNTS = {"0": False, "false": False, "1": True, "true": True}


def numbers(cell: Any, name: str, cleaned: Cleaned) -> Float[np.ndarray, " n"]:
    """NaN where unknown. Raises ``ValueError`` naming the position of what is no finite number."""
    entries = _entries(cell, name, letters=False)
    if entries is None:
        return np.full(len(cleaned.residues), np.nan)
    found = np.array([_number(entry) for entry in _per_residue(entries, name, cleaned)], dtype=np.float64)
    if (wrong := np.isinf(found)).any():
        place = int(wrong.argmax())
        entry = _per_residue(entries, name, cleaned)[place]
        raise ValueError(f"{name!r} must be numbers within ±{LARGEST:g}, got {entry!r:.40} at residue {place + 1}")
    return found


def _number(entry: Any) -> float:
    """Infinite for what is none that can be computed with."""
    if entry is None or entry is pd.NA or (isinstance(entry, str) and entry.strip().lower() in _NO_NUMBER):
        return np.nan
    try:
        number = float(entry)
    except (TypeError, ValueError):
        return np.inf
    return np.inf if abs(number) > LARGEST else number


def answers(cell: Any, target: Target, cleaned: Cleaned) -> Float[np.ndarray, " n"]:
    """Numbers, or indices of classes; NaN where unknown.

    Raises ``ValueError`` naming the position of what is neither a class nor unknown.
    """
    if not target.classes:
        return numbers(cell, target.name, cleaned)
    entries = _entries(cell, target.name, letters=all(len(text) == 1 for text in target.classes))
    if entries is None:
        return np.full(len(cleaned.residues), np.nan)
    index = {text: float(i) for i, text in enumerate(target.classes)}
    found = np.full(len(cleaned.residues), np.nan)
    for place, entry in enumerate(_per_residue(entries, target.name, cleaned)):
        text = entry if isinstance(entry, str) else "" if entry is None or entry != entry else label(entry)
        if text in index:
            found[place] = index[text]
        elif text not in UNKNOWN:
            raise ValueError(
                f"{target.name!r} is {text!r:.40} at residue {place + 1}, which is no class of it; "
                f"classes: {listed(target.classes)}; what is unknown is '-', '.' or '?'"
            )
    return found


def classes(cells: Iterable[Any], name: str) -> list[str]:
    """The classes of a column of answers, sorted; none where they are numbers: lists of them, or text with separators.

    Raises ``ValueError`` for a column without answers, with a single class, or with too many.
    """
    told = [cell for cell in cells if isinstance(cell, str) or pd.api.types.is_list_like(cell)]
    letters = all(isinstance(cell, str) and not _SEPARATOR.search(cell.strip()) for cell in told)
    entries = {label(entry) for cell in told for entry in _entries(cell, name, letters) or ()}
    found = sorted(text for text in entries if text.lower() not in _NO_NUMBER)
    numbers = pd.to_numeric(pd.Series(found, dtype=object), errors="coerce").notna()
    if found and not letters and numbers.mean() > MOSTLY:
        return []  # what is none is then named with its record
    if len(found) < 2:
        what = f"is {found[0]!r} at every residue" if found else "says nothing of any residue"
        raise ValueError(f"label {name!r} {what}; choose another column")
    if len(found) > MOST_CLASSES:
        raise ValueError(
            f"label {name!r} has {len(found)} classes, such as {found[0]!r}; give numbers, or fewer classes"
        )
    return found


def mask(cell: Any, name: str, cleaned: Cleaned) -> Bool[np.ndarray, " n"]:
    """Which residues count; all where the cell is empty. Raises ``ValueError`` for anything but 0 and 1."""
    entries = _entries(re.sub(r"[\s,;]", "", cell) if isinstance(cell, str) else cell, name, letters=True)
    if entries is None:
        return np.ones(len(cleaned.residues), dtype=bool)
    texts = [label(entry).lower() for entry in _per_residue(entries, name, cleaned)]
    for place, text in enumerate(texts):
        if text not in _COUNTS:
            raise ValueError(f"{name!r} must be 0 or 1, got {text!r:.40} at residue {place + 1}")
    return np.array([_COUNTS[text] for text in texts], dtype=bool)


def _entries(cell: Any, name: str, letters: bool) -> list[Any] | None:
    """The entries of a cell; None where it is empty."""
    if isinstance(cell, str):
        if not cell.strip():
            return None
        return list(cell) if letters else _SEPARATOR.split(cell.strip().strip("[]()").strip())
    if isinstance(cell, list | tuple | np.ndarray | pd.Series):
        return list(cell)
    if cell is None or cell is pd.NA or cell is pd.NaT or cell != cell:
        return None
    raise ValueError(
        f"{name!r} must say something of every residue, got {cell!r:.40} of type {type(cell).__name__}; "
        "give text or a list"
    )


def _per_residue(entries: Sequence[Any], name: str, cleaned: Cleaned) -> Sequence[Any]:
    n, written = len(cleaned.residues), cleaned.written
    if len(entries) == written:
        return [entries[place] for place in cleaned.places]
    if len(entries) != n:
        also = f" ({written} characters with gaps and stop)" if written != n else ""
        raise ValueError(f"{name!r} has {len(entries)} entries for {n} residues{also}; give one for each")
    return entries
