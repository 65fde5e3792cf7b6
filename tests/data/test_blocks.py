"""Windows divided in time: nothing that is asked in one part was seen, or asked, in an earlier one."""

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciformer.adapter import Record
from sciformer.data.splits import PARTS, SplitConfig, make_splits


def windows(context: int, horizon: int, stride: int, n: int = 400) -> list[Record]:
    starts = range(0, n - context - horizon + 1, stride)
    return [
        Record(key=str(i), data=i, span=(float(i), float(i + context), float(i + context + horizon - 1)))
        for i in starts
    ]


@given(st.integers(1, 30), st.integers(1, 20), st.integers(1, 10), st.booleans())
def test_no_part_asks_what_another_asks_or_with_a_gap_sees(context, horizon, stride, gap):
    records = windows(context, horizon, stride)
    config = SplitConfig(kind="time", fractions=(0.4, 0.2, 0.2, 0.2), gap=gap)
    splits = make_splits(records, config, {})
    known = {record.key: record.span for record in records}
    spans = {part: np.array([known[key] for key in splits.parts[part]]) for part in PARTS}
    for earlier, later in itertools.pairwise(PARTS):
        assert spans[earlier][:, 2].max() < spans[later][:, 1].min()
        if gap:
            assert spans[earlier][:, 2].max() < spans[later][:, 0].min()


def test_records_that_are_no_windows_cannot_be_divided_in_time():
    with pytest.raises(ValueError, match="'a' has no time"):
        make_splits([Record(key="a", data=1)], SplitConfig(kind="time"), {})


def test_a_gap_that_leaves_nothing_is_said():
    with pytest.raises(ValueError, match="without records"):
        make_splits(windows(100, 10, 10, 200), SplitConfig(kind="time"), {})


def stations(n: int = 10) -> list[Record]:
    return [
        dataclasses.replace(window, key=f"s{k} {window.key}", group=f"day {window.key}", data=f"s{k}")
        for k in range(n)
        for window in windows(10, 5, 5)
    ]


def test_places_held_out_are_new_in_space_and_in_time():
    records = stations()
    config = SplitConfig(kind="station", fractions=(0.5, 0.1, 0.2, 0.2))
    splits = make_splits(records, config, {"station": lambda record: record.data})
    known = {record.key: record for record in records}
    parts = {part: [known[key] for key in splits.parts[part]] for part in PARTS}
    places = {part: {record.data for record in rows} for part, rows in parts.items()}
    assert places["validation"] == places["train"]
    assert not places["train"] & (places["calibration"] | places["test"])
    assert not places["calibration"] & places["test"]
    assert len(places["test"]) == 2
    for earlier, later in itertools.pairwise(PARTS):
        assert max(r.span[2] for r in parts[earlier]) < min(r.span[0] for r in parts[later])


def test_too_few_places_cannot_be_held_out():
    with pytest.raises(ValueError, match=r"at least 3 different ones, got 2 \(s0, s1\); use split.kind time"):
        make_splits(stations(2), SplitConfig(kind="station"), {"station": lambda record: record.data})
