"""Windows of series divided in time, and in space besides: what is learned lies before what is tested."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from sciformer.adapter import Record
from sciformer.data import placing

SHARED = (0, 0, 1, 2)
"""Which share of the places each part has: training and validation one, calibration and test one each."""


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


def apart(
    records: Sequence[Record],
    part: Mapping[str, str],
    place: Callable[[Record], str],
    fractions: Sequence[float | int],
    parts: Sequence[str],
    seed: int,
) -> dict[str, str]:
    """Of a division in time (``part``), the windows at the places of their own part: whole places are calibrated and
    tested on that training has not seen. Held out in space alone, the test would ask about days that training knows
    from the neighbours; so windows of later parts at the places of training, and of earlier ones at theirs, are in
    none.

    Raises ``ValueError`` where there are fewer places than shares of them.
    """
    sizes = Counter(place(record) for record in records)
    shares = [sum(f for f, k in zip(fractions, SHARED, strict=True) if k == share) for share in range(3)]
    if len(sizes) < sum(share > 0 for share in shares):
        raise ValueError(
            f"places held out need at least {sum(share > 0 for share in shares)} different ones, got {len(sizes)} "
            f"({', '.join(sorted(sizes)[:3])}); use split.kind time"
        )
    names = sorted(sizes)
    chosen = dict(zip(names, placing.balanced([sizes[name] for name in names], shares, seed), strict=True))
    own = dict(zip(parts, SHARED, strict=True))
    return {r.key: part[r.key] for r in records if r.key in part and own[part[r.key]] == chosen[place(r)]}
