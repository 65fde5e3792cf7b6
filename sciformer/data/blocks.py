"""Windows of series divided in time: what is learned lies before what is tested."""

from collections.abc import Sequence

import numpy as np

from sciformer.adapter import Record


def divided(
    records: Sequence[Record], fractions: Sequence[float | int], parts: Sequence[str], *, gap: bool
) -> dict[str, str]:
    """The part of each window by the time of what it asks: ``fractions`` of the time in which anything is asked, the
    first part earliest. A window that asks across a border is in no part, nor, with ``gap``, one whose context begins
    before its own part does.

    Raises ``ValueError`` for records that are no windows.
    """
    if lost := [record.key for record in records if record.span is None]:
        raise ValueError(f"record {lost[0]!r} has no time: split.kind 'time' divides windows of series")
    spans = np.array([record.span for record in records])
    start, cut, end = spans.T
    borders = cut.min() + np.cumsum([0.0, *fractions]) * (end.max() - cut.min())
    borders[0], borders[-1] = -np.inf, np.inf
    out = {}
    for record, first, asked, last in zip(records, start, cut, end, strict=True):
        place = int(np.searchsorted(borders, asked, side="right")) - 1
        if last < borders[place + 1] and (first >= borders[place] or not gap):
            out[record.key] = parts[place]
    return out
