"""Splits as lists of 0-based rows, in a JSON file as of chemprop: ``[{"train": [0, 1], "val": "2-4", ...}]``."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def parts(content: Any, keys: Sequence[str], path: Path, seed: int, names: Mapping[str, str]) -> dict[str, str]:
    """The part of each listed row by its key; ``names`` are those of the parts by what a file may call them.

    Of several splits in one file the one numbered ``seed`` is taken; a single one is taken whatever the seed.
    Raises ``ValueError`` for another form, or a row that does not exist or is listed twice.
    """
    choices = content if isinstance(content, list) else [content]
    if len(choices) > 1 and seed >= len(choices):
        raise ValueError(f"{path} has {len(choices)} splits, numbered from 0; split.seed {seed} is none of them")
    chosen = choices[seed if len(choices) > 1 else 0] if choices else None
    if not isinstance(chosen, dict) or not all(str(name).lower() in names for name in chosen):
        raise ValueError(
            f'{path} must hold splits like [{{"train": [0, 1], "val": [2], "test": [3]}}], or be splits.json'
        )
    part: dict[str, str] = {}
    for label, rows in chosen.items():
        name = names[label.lower()]
        for row in _rows(rows, label, path):
            if not 0 <= row < len(keys):
                raise ValueError(f"{path}: row {row} of {label!r} does not exist; rows are 0..{len(keys) - 1}")
            if keys[row] in part:
                raise ValueError(f"{path}: row {row} is listed twice, in {part[keys[row]]} and {name}")
            part[keys[row]] = name
    return part


def _rows(rows: Any, label: str, path: Path) -> list[int]:
    """``[0, 1]`` or ``"0-1,7"``."""
    if isinstance(rows, list) and all(type(row) is int for row in rows):
        return rows
    if isinstance(rows, str) and re.fullmatch(r"\s*\d+(\s*-\s*\d+)?(\s*,\s*\d+(\s*-\s*\d+)?)*\s*", rows):
        spans = [[int(x) for x in span.split("-")] for span in rows.split(",")]
        return [row for span in spans for row in range(span[0], span[-1] + 1)]
    raise ValueError(f"{path}: {label!r} must be a list of row numbers or like '0-9,12', got {rows!r:.60}")
