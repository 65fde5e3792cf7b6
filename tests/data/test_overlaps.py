"""The audit of windows: what parts have in common in time, at the same place and elsewhere."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sciformer.adapter import Record
from sciformer.data import overlaps
from sciformer.data.splits import PARTS, SplitConfig, make_splits


def windows(place: str, n: int = 60) -> list[Record]:
    """Context of 10 and horizon of 5 steps, one after the other."""
    return [
        Record(key=f"{place} {i}", data=place, group=str(i), span=(5.0 * i, 5.0 * i + 10, 5.0 * i + 14))
        for i in range(n)
    ]


def found(records: list[Record], config: SplitConfig) -> tuple[list[str], list[str]]:
    splits, known = make_splits(records, config, {}), {record.key: record for record in records}
    shared = overlaps.overlaps({part: [known[key] for key in splits.parts[part]] for part in PARTS}, lambda r: r.data)
    return overlaps.warnings(shared), overlaps.remarks(shared)


def test_parts_with_a_gap_share_nothing_and_that_is_said():
    warnings, remarks = found(windows("a"), SplitConfig(kind="time"))
    assert warnings == []
    assert remarks == ["No target time of one part lies in the context or the targets of another at the same place."]


def test_without_a_gap_the_past_is_known_and_that_is_said_too():
    warnings, remarks = found(windows("a"), SplitConfig(kind="time", gap=False))
    assert warnings == []
    assert remarks[0] == "No target time of one part is a target of another at the same place."
    assert remarks[1].startswith("2 of 6 test windows read as their past what another part asks about: allowed")


def test_windows_drawn_at_random_leak():
    warnings, remarks = found(windows("a"), SplitConfig(seed=1))
    splits = make_splits(windows("a"), SplitConfig(seed=1), {})
    train, test = ({int(key.split()[1]) for key in splits.parts[part]} for part in ("train", "test"))
    read = sum(bool({i + 1, i + 2} & train) for i in test)  # the two windows after it have its questions as their past
    assert read > 0
    assert warnings[0].startswith(f"LEAK: {read} of 6 test windows ask about times that training reads or asks about")
    assert not any(remark.startswith("No target") for remark in remarks)


def test_the_same_moments_at_other_places_are_no_leak_but_said():
    records = [*windows("a"), *(replace(window, group=f"b{window.group}") for window in windows("b"))]
    parts = {part: [] for part in PARTS} | {"train": records[:60], "test": records[60:]}
    shared = overlaps.overlaps(parts, lambda record: record.data)
    (told,) = overlaps.warnings(shared)
    assert told.startswith("60 of 60 test windows ask about times that training asks about at other places")
    assert overlaps.overlaps({part: [Record(key="x")] for part in PARTS}, lambda record: "") == {}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), min_size=1, max_size=12), st.integers(0, 2**32 - 1))
def test_intervals_touch_where_they_have_a_moment_in_common(pairs, seed):
    others = np.array([(start, start + length) for start, length in pairs], dtype=float)
    starts = np.random.default_rng(seed).integers(-5, 40, 20).astype(float)
    queries = np.column_stack([starts, starts + 2])
    slow = [any(low <= b and a <= high for a, b in others) for low, high in queries]
    assert overlaps.touching(queries, others).tolist() == slow
