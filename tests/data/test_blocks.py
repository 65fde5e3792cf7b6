"""Windows divided in time: nothing that is asked in one part was seen, or asked, in an earlier one."""

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
