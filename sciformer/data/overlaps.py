"""Which times the windows of one part of a split share with those of another: told by ``Record.span``."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from sciformer.adapter import Record

Spans = Mapping[str, np.ndarray]
"""Of the windows of one part, by place, [windows, 3]."""


def overlaps(parts: Mapping[str, Sequence[Record]], place: Callable[[Record], str]) -> dict[str, int]:
    """How many windows share times with those of another part; empty where nothing is tested in windows."""
    spans = {part: _by_place([row for row in rows if row.span], place) for part, rows in parts.items()}
    test, train = spans["test"], spans["train"]
    if not test or not train:
        return {}
    others = _by_place([row for part, rows in parts.items() if part != "test" for row in rows if row.span], place)
    pairs = [pair for pair in combinations(parts, 2) if set(pair) != {"train", "test"}]
    everywhere = np.concatenate(list(train.values()))
    return {
        "test windows": sum(map(len, test.values())),
        "ask what training reads or asks": _shared(test, _targets, train, lambda x: x[:, [0, 2]]),
        "of other parts ask the same": sum(_shared(spans[b], _targets, spans[a], _targets) for a, b in pairs),
        "read what other parts ask": _shared(test, _context, others, _targets),
        "ask when training asks": sum(int(touching(_targets(x), _targets(everywhere)).sum()) for x in test.values()),
    }


def _by_place(windows: Sequence[Record], place: Callable[[Record], str]) -> Spans:
    found: dict[str, list[Any]] = {}
    for window in windows:
        found.setdefault(place(window), []).append(window.span)
    return {name: np.array(spans) for name, spans in found.items()}


def _targets(spans: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
    return spans[:, 1:]


def _context(spans: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 2"]:
    return np.column_stack([spans[:, 0], np.nextafter(spans[:, 1], -np.inf)])


def _shared(a: Spans, of_a: Callable[[Any], Any], b: Spans, of_b: Callable[[Any], Any]) -> int:
    """Windows of ``a`` of which a stretch of time touches one of a window of ``b`` at the same place."""
    return sum(int(touching(of_a(a[name]), of_b(b[name])).sum()) for name in set(a) & set(b))


def touching(queries: Float[np.ndarray, "n 2"], others: Float[np.ndarray, "m 2"]) -> Bool[np.ndarray, " n"]:
    """Which closed intervals have a moment in common with any of the others."""
    others = others[np.argsort(others[:, 0])]
    reach = np.maximum.accumulate(others[:, 1])
    last = np.searchsorted(others[:, 0], queries[:, 1], side="right") - 1
    return (last >= 0) & (reach[np.maximum(last, 0)] >= queries[:, 0])


def warnings(found: Mapping[str, int]) -> list[str]:
    said = []
    if leaks := found.get("ask what training reads or asks"):
        said.append(
            f"LEAK: {leaks} of {found['test windows']} test windows ask about times that training reads or asks about "
            "at the same place: the test error is too low; use split.kind time."
        )
    if torn := found.get("of other parts ask the same"):
        said.append(f"{torn} windows ask about times that another part asks about at the same place.")
    if (shared := found.get("ask when training asks")) and not found["ask what training reads or asks"]:
        said.append(
            f"{shared} of {found['test windows']} test windows ask about times that training asks about at other "
            "places: they share their weather, so the error is that of a place whose neighbours are known."
        )
    return said


def remarks(found: Mapping[str, int]) -> list[str]:
    """What was looked for and not found, or found and is allowed."""
    if not found:
        return []
    known = found["read what other parts ask"]
    clean = not found["ask what training reads or asks"] and not found["of other parts ask the same"]
    said = []
    if clean and not known:
        said.append("No target time of one part lies in the context or the targets of another at the same place.")
    elif clean:
        said.append("No target time of one part is a target of another at the same place.")
    if known:
        said.append(
            f"{known} of {found['test windows']} test windows read as their past what another part asks about: "
            "allowed, since the past is known when a forecast is made; split.gap true leaves such windows out."
        )
    return said
