"""A long series as many questions: windows of context and horizon, cut at even steps."""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from sciformer.adapter import Record
from sciformer.domains.climate.questions import date
from sciformer.domains.climate.series import Series


def windows(records: Sequence[Record], context: int, horizon: int, stride: int) -> list[Record]:
    """Views of the series of ``records``. Of all series the windows begin at the same moments, and those of one moment
    are a group: places that are close see the same weather."""
    begin = min(record.data.time[0] for record in records if record.ok)
    out = []
    for record in records:
        if record.ok:
            out += _cut(record, context, horizon, stride, begin)
        else:
            out.append(record)
    return out


def last_windows(
    records: Sequence[Record], names: Sequence[str], context: int, horizon: int, stride: int, most: int
) -> list[Record]:
    """The last windows of every series, at moments that are common to all: one ends where the last of the variables
    ``names`` was observed in any of them. What is known beforehand may go on, and nothing can be scored there."""
    ends = [_last_observed(record.data.take(names), context + horizon) for record in records]
    end, series = max(zip(ends, (record.data for record in records), strict=True), key=lambda pair: pair[0])
    begin = end - (context + horizon - 1) * series.pace
    out = []
    for record in records:
        stop = np.searchsorted(record.data.time, end + record.data.step / 2)
        ended = dataclasses.replace(record, data=record.data.between(0, int(stop)))
        out += _cut(ended, context, horizon, stride, begin, most) if stop else ()
    return out


def _last_observed(series: Series, steps: int) -> float:
    """The last moment at which anything was, looked for from the end, so many steps at once; the first of all where
    nothing was."""
    for stop in range(len(series), 0, -steps):
        part = series.between(max(stop - steps, 0), stop).loaded()
        known = np.flatnonzero(np.isfinite(part.values).any((1, 2, 3)))
        if len(known):
            return float(part.time[known[-1]])
    return float(series.time[0])


def _cut(
    record: Record, context: int, horizon: int, stride: int, begin: float, most: int | None = None
) -> Iterator[Record]:
    """Windows that begin whole strides before or after ``begin``, of these the last ``most``."""
    series: Series = record.data
    step = np.round((series.time - begin) / series.pace).astype(int)
    first = -(-int(step[0]) // stride) * stride
    starts = range(first, int(step[-1]) - context - horizon + 2, stride)
    for start in starts if most is None else starts[-most:]:
        low, cut, high = np.searchsorted(step, [start, start + context, start + context + horizon])
        if cut - low < 2 or high == cut:
            continue
        window = series.between(int(low), int(high))
        moment = date(series.time[cut], series)
        yield dataclasses.replace(
            record,
            key=f"{record.key} {moment}",
            group=moment,
            data=window,
            span=(float(window.time[0]), float(series.time[cut]), float(window.time[-1])),
        )
