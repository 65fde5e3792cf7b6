"""The audit finds every planted leak, counts it right, and is silent where there is none."""

import dataclasses
import json
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from sciformer.adapter import DomainAdapter, Grouping, Record
from sciformer.data.audit import audit
from sciformer.data.splits import PARTS, SplitConfig, Splits, make_splits
from sciformer.tokens import Schema, Target


@dataclass(frozen=True)
class Line(DomainAdapter):
    """Records are numbers, alike when near; tens are groups."""

    name: ClassVar[str] = "line"

    @property
    def schema(self):
        return Schema()

    def read(self, source, **columns):
        yield from ()

    def tokenize(self, record):
        raise NotImplementedError

    def groupings(self, records):
        return {"ten": lambda record: str(int(record.data) // 10)}

    def nearest(self, queries, references):
        gap = np.abs(np.subtract.outer([q.data for q in queries], [r.data for r in references]))
        return np.clip(1 - gap.min(1) / 100, 0, 1), gap.argmin(1)


def table(values, answers=None):
    answers = answers or [float(v) for v in values]
    return [
        Record(key=str(i), data=float(v), group=f"v{v}", targets={"y": a})
        for i, (v, a) in enumerate(zip(values, answers, strict=True))
    ]


def parts(train, validation=(), calibration=(), test=()):
    chosen = zip(PARTS, (train, validation, calibration, test), strict=True)
    return Splits(parts={name: tuple(str(i) for i in rows) for name, rows in chosen})


def test_far_parts_without_copies_raise_only_the_warning_of_a_small_test_part():
    found = audit(table([0, 1, 500, 501, 900]), parts([0, 1], [2], [3], [4]), Line())
    assert found.warnings == (
        "The test part has 5 records: with fewer than 30, scores are mostly noise.".replace("5", "1"),
    )
    assert found.similarity["test to train"]["share above 0.9"] == 0.0
    assert found.groupings["ten"] == {
        "groups": 3,
        "share of largest": 0.4,
        "share of test seen in train": 0.0,
    }


def test_copies_across_parts_are_counted_and_named():
    found = audit(table([0, 7, 0, 7, 0, 300]), parts([0, 1], [5], [], [2, 3, 4]), Line())
    assert found.duplicates["groups in several parts"] == 2
    assert found.duplicates["test records also in train"] == 3
    assert found.duplicates["first"][0] == {"group": "v0", "row 0": "train", "row 2": "test", "row 4": "test"}
    assert found.similarity["test to train"]["share equal 1"] == 1.0
    (leak,) = (w for w in found.warnings if w.startswith("LEAK: 3 test records"))
    assert leak.endswith("(row 0 in train = row 2 in test = row 4 in test; row 1 in train = row 3 in test).")
    assert any("100% of the test records have a neighbour in train" in w for w in found.warnings)


def test_records_that_the_measure_cannot_tell_apart_are_counted_beside_the_copies():
    records = [*table([0, 7, 0]), Record(key="3", data=7.0, group="mirror image of v7")]
    found = audit(records, parts([0, 1], [], [], [2, 3]), Line())
    assert found.duplicates["test records also in train"] == 1
    assert found.similarity["test to train"]["equal but no copies"] == 1
    assert any("no difference between 1 test records and one in train" in w for w in found.warnings)
    alike = audit(table([0, 7, 0, 50]), parts([0, 1], [], [], [2, 3]), Line())
    assert alike.similarity["test to train"]["equal but no copies"] == 0
    assert not any("no difference" in w for w in alike.warnings)


def test_copies_between_other_parts_are_reported_without_crying_leak():
    found = audit(table([0, 700, 700, 300]), parts([0], [1], [2], [3]), Line())
    assert any(
        w.startswith("1 things lie in several parts") and "(row 1 in validation = row 2 in calibration)" in w
        for w in found.warnings
    )
    assert not any("LEAK" in w for w in found.warnings)


def test_contradicting_numbers_count_from_a_tenth_of_the_spread():
    values = [0, 0, 50, 50, 90, 10]
    records = table(values, [0.0, 0.05, 3.0, 8.0, 1.0, 2.0])
    found = audit(records, parts([0, 1, 2, 3], [4], [], [5]), Line())
    assert found.contradictions["repeated groups"] == 2
    assert found.contradictions["groups"] == 1
    assert found.contradictions["first"] == [{"target": "y", "group": "v50", "row 2": 3.0, "row 3": 8.0}]
    assert any(w.startswith("1 of 2 things measured more than once contradict") for w in found.warnings)


def test_contradicting_classes_and_missing_classes_are_named():
    target = Target("y", "binary", classes=("no", "yes"))
    found = audit(table([0, 0, 50, 90], [0.0, 1.0, 1.0, 1.0]), parts([0, 1], [2], [], [3]), Line(), (target,))
    assert found.contradictions["first"] == [{"target": "y", "group": "v0", "row 0": "no", "row 1": "yes"}]
    assert found.parts["train"]["y"] == {"known": 2, "no": 1, "yes": 1}
    assert any("The test part has no record of class no of y" in w for w in found.warnings)


def test_random_split_over_shared_groups_says_that_it_proves_nothing_about_new_ones():
    records = table(list(range(200)))
    random = audit(records, make_splits(records, SplitConfig(), {}), Line())
    assert any("this random split says nothing about a new ten" in w for w in random.warnings)
    grouped = make_splits(records, SplitConfig("ten"), Line().groupings(records))
    found = audit(records, grouped, Line())
    assert found.groupings["ten"]["share of test seen in train"] == 0.0
    assert not any("says nothing about a new ten" in w for w in found.warnings)


def test_one_group_of_most_records_makes_a_group_split_suspect():
    records = table([*[v / 10 for v in range(15)], *range(100, 3600, 100)])
    found = audit(records, make_splits(records, SplitConfig("ten"), Line().groupings(records)), Line())
    assert any("cannot be divided" in w for w in found.warnings)


def test_histogram_counts_every_test_record_and_the_file_is_plain_json(tmp_path):
    records = table(list(range(100)))
    splits = make_splits(records, SplitConfig(), {})
    found = audit(records, splits, Line())
    nearest = found.similarity["test to train"]["nearest"]
    assert sum(nearest["counts"]) == 10
    assert len(nearest["edges"]) == len(nearest["counts"]) + 1
    found.save(tmp_path / "audit.json")
    assert json.loads((tmp_path / "audit.json").read_text()) == found.to_json()
    assert [path.name for path in tmp_path.iterdir()] == ["audit.json"]


def test_splits_of_other_records_are_refused():
    with pytest.raises(ValueError, match="not in the data"):
        audit(table([1, 2]), parts([0], [1], [], [2]), Line())
    with pytest.raises(dataclasses.FrozenInstanceError):
        audit(table([1, 2]), parts([0], [1]), Line()).warnings = ()


def test_of_many_records_some_are_drawn_and_the_audit_says_how_many():
    records = table(list(range(2000)))
    found = audit(records, parts(range(800), [], [], range(800, 2000)), Line())
    facts = found.similarity["test to train"]
    assert (facts["looked at"], facts["of"], sum(facts["nearest"]["counts"])) == (500, 1200, 500)
    close = audit(records, parts(range(0, 2000, 2), [], [], range(1, 2000, 2)), Line())
    assert any("100% of the test records of 500 drawn at random have a neighbour" in w for w in close.warnings)
    assert close == audit(records, parts(range(0, 2000, 2), [], [], range(1, 2000, 2)), Line())


def test_a_test_part_beyond_the_others_is_promised_nothing_and_the_limit_is_told():
    records = table(list(range(200)))
    splits = make_splits(records, SplitConfig("size", test="150"), {}, orders={"size": lambda record: record.data})
    found = audit(records, splits, Line())
    assert any("nothing promises that they hold the truth as often here" in w for w in found.warnings)
    assert "Split by size: records with size above 150 are tested" in found.remarks[0]
    inside = audit(records, make_splits(records, SplitConfig(), {}), Line())
    assert not any("promises" in w for w in inside.warnings)
    assert not inside.remarks


def test_how_groups_were_found_is_told():
    records = table(list(range(0, 2000, 10)))
    ten = Grouping(lambda record: str(int(record.data) // 10), "tens of the numbers")
    found = audit(records, make_splits(records, SplitConfig("ten"), {"ten": ten}), Line(), groupings={"ten": ten})
    assert found.remarks == ("Split by ten: tens of the numbers.",)
