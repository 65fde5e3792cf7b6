"""Folds share out classes and never tear a thing apart; a hold-out is a whole survey."""

import numpy as np
import pytest

from sciformer.adapter import Record
from sciformer.data.folds import by_answer
from sciformer.data.splits import PARTS, SplitConfig, Splits, make_splits
from sciformer.tokens import Target


def records(n: int = 120) -> list[Record]:
    """One in six is of the rare class; every third thing was measured twice."""
    return [
        Record(key=str(i), data=i, group=f"g{i - 1 if i % 3 == 1 else i}", targets={"y": float(i // 2 % 6 == 0)})
        for i in range(n)
    ]


def fold(which: str, seed: int = 0, rows: list[Record] | None = None):
    config = SplitConfig(kind="kfold", test=which, seed=seed, fractions=(0.7, 0.0, 0.1, 0.2))
    return make_splits(rows or records(), config, {})


def test_every_record_is_tested_once():
    tested = [key for i in range(1, 6) for key in fold(f"{i}/5").parts["test"]]
    assert sorted(tested, key=int) == [r.key for r in records()]


def test_every_fold_has_its_share_of_the_rare_class():
    rare = {r.key for r in records() if r.targets["y"]}
    shares = [np.mean([key in rare for key in fold(f"{i}/4").parts["test"]]) for i in range(1, 5)]
    assert min(shares) > 0.05
    assert max(shares) < 0.3


def test_nothing_is_torn_apart_and_everything_has_a_part():
    splits = fold("2/5")
    group = {r.key: r.group for r in records()}
    for a in PARTS:
        for b in PARTS:
            if a != b:
                assert not {group[k] for k in splits.parts[a]} & {group[k] for k in splits.parts[b]}
    assert sum(map(len, splits.parts.values())) == 120
    assert len(splits.parts["calibration"]) == pytest.approx(12, abs=3)


def test_folds_do_not_depend_on_the_order_of_the_rows():
    assert set(fold("1/3").parts["test"]) == set(fold("1/3", rows=records()[::-1]).parts["test"])
    assert set(fold("1/3").parts["test"]) != set(fold("1/3", seed=1).parts["test"])


@pytest.mark.parametrize("which", ["6/5", "0/5", "5", "one", "1/1"])
def test_a_fold_that_cannot_be_is_refused(which):
    with pytest.raises(ValueError, match=r"needs --split\.test like 1/5"):
        fold(which)


def test_more_folds_than_things_are_refused():
    with pytest.raises(ValueError, match="9 folds need at least 9 different records"):
        fold("1/9", rows=records(6))


def test_a_whole_survey_is_held_out():
    labels = {r.key: "south" if int(r.key) >= 90 else "north" for r in records()}
    config = SplitConfig(kind="holdout", column="survey", test="south", fractions=(0.8, 0.0, 0.1, 0.1))
    splits = make_splits(records(), config, {}, labels)
    assert set(splits.parts["test"]) == {str(i) for i in range(90, 120)}
    assert len(splits.parts["train"]) + len(splits.parts["calibration"]) == 90


def test_copies_of_what_is_held_out_are_in_no_part():
    labels = {r.key: "south" if r.key == "0" else "north" for r in records()}
    config = SplitConfig(kind="holdout", column="survey", test="south")
    splits = make_splits(records(), config, {}, labels)
    assert splits.parts["test"] == ("0",)
    assert splits.part_of("1") is None  # the same thing as 0


def test_a_value_that_nobody_has_cannot_be_held_out():
    config = SplitConfig(kind="holdout", column="survey", test="west")
    with pytest.raises(ValueError, match="no record has 'west' in column 'survey', to be held out; it holds north"):
        make_splits(records(), config, {}, {r.key: "north" for r in records()})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "kfold"}, "needs --split.test, as 1/5"),
        ({"kind": "holdout", "test": "x"}, "needs --split.column"),
        ({"kind": "random", "test": "1/5"}, "set split.kind to 'kfold' or 'holdout'"),
    ],
)
def test_options_that_do_not_belong_together_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        SplitConfig(**settings)


ORDERS = {"size": lambda record: float(int(record.key) // 10), **by_answer([Target("y")])}


def beyond(kind: str, test: str | None = None, rows: list[Record] | None = None, **options):
    config = SplitConfig(kind=kind, test=test, fractions=(0.6, 0.1, 0.1, 0.2), **options)
    return make_splits(rows or records(), config, {}, orders=ORDERS)


def answers(values) -> list[Record]:
    return [Record(key=str(i), data=i, targets={"y": float(v)}) for i, v in enumerate(values)]


def test_what_lies_above_a_limit_is_tested_and_the_others_keep_their_proportions():
    splits = beyond("size", "7")
    assert {int(key) // 10 for key in splits.parts["test"]} == {8, 9, 10, 11}
    assert splits.counts() == {"train": 60, "validation": 10, "calibration": 10, "test": 40}
    assert splits.beyond
    assert splits.method == "records with size above 7 are tested, the others are divided at random"


def test_without_a_limit_the_test_part_is_the_highest_share():
    assert beyond("size").counts()["test"] == 21  # a tie is not divided; 99 and 100 are one thing
    splits = beyond("low_to_high", rows=answers(range(50)))
    assert splits.parts["test"] == tuple(str(i) for i in range(40, 50))
    assert splits.method.startswith("records whose answer lies above 39 are tested")
    assert beyond("low_to_high", "9.5", answers(range(50))).counts()["test"] == 40


def test_things_measured_twice_stay_together_beyond_a_limit_and_share_their_mean():
    rows = [Record(key=str(i), data=i, group=f"g{i // 2}", targets={"y": i + 4.0 * (i % 2)}) for i in range(40)]
    splits = beyond("low_to_high", "30", rows)
    assert set(splits.parts["test"]) == {str(i) for i in range(28, 40)}
    for i in range(0, 40, 2):
        assert splits.part_of(str(i)) == splits.part_of(str(i + 1))


def test_a_split_beyond_a_limit_comes_back_from_its_file(tmp_path):
    splits = beyond("size", "7", seed=2)
    splits.save(tmp_path / "splits.json")
    assert Splits.load(tmp_path / "splits.json") == splits
    other = beyond("size", "7", seed=3)
    assert other.parts["test"] == splits.parts["test"]
    assert other.parts["train"] != splits.parts["train"]


def test_records_without_an_answer_are_not_tested():
    rows = [*answers(range(40)), Record(key="blank", data=0, targets={"other": 1.0})]
    assert beyond("low_to_high", "30", rows).part_of("blank") in PARTS[:3]


@pytest.mark.parametrize(
    ("kind", "test", "message"),
    [
        ("size", "many", "split.test must be the number that the test part lies above, got 'many'"),
        ("size", "11", "0 of 120 records lie above 11, which leaves one part empty: they go from 0 to 11"),
        ("size", "-1", "120 of 120 records lie above -1"),
        ("sise", None, "unknown split kind 'sise'; did you mean 'size'\\? known: random, size, low_to_high, column"),
        ("time", "3", "set split.kind to 'kfold' or 'holdout' or an order of the records"),
    ],
)
def test_limits_that_cannot_be_are_refused(kind, test, message):
    with pytest.raises(ValueError, match=message):
        beyond(kind, test)


def test_only_numbers_go_from_low_to_high():
    assert not by_answer([]) | by_answer([Target("y", "binary", classes=("no", "yes"))])
    with pytest.raises(ValueError, match="needs numbers as its first target"):
        make_splits(records(), SplitConfig(kind="low_to_high"), {})


def test_a_grouping_has_no_limit():
    with pytest.raises(ValueError, match=r"split\.test is given but split\.kind is 'parity'"):
        make_splits(records(), SplitConfig(kind="parity", test="3"), {"parity": lambda record: "odd"})
