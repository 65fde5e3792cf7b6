"""Laws of splits: a partition, groups whole, a function of the seed; and files that come back as written."""

import json
import os
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sciformer.adapter import Record
from sciformer.data.splits import PARTS, SplitConfig, Splits, make_splits

GROUPINGS = {"letter": lambda record: record.group[:1]}


def rows(groups):
    return [Record(key=str(i + 1), data=i, group=group, targets={"y": 0.0}) for i, group in enumerate(groups)]


TABLES = st.lists(st.sampled_from([a + b for a in "abcdefghijkl" for b in "01234"]), min_size=60, max_size=150).map(
    rows
)
CONFIGS = st.builds(
    SplitConfig,
    kind=st.sampled_from(["random", "letter"]),
    order=st.sampled_from(["balanced", "deepchem"]),
    seed=st.integers(0, 1000),
    fractions=st.sampled_from([(0.7, 0.1, 0.1, 0.1), (0.6, 0.2, 0.0, 0.2), (0.4, 0.2, 0.2, 0.2)]),
)


def split(records, config, **options):
    """The splits, or None where the groups are too few: a documented refusal."""
    try:
        return make_splits(records, config, GROUPINGS, **options)
    except ValueError as error:
        if "groups" in str(error):
            return None
        raise


@given(TABLES, CONFIGS)
def test_every_record_is_in_exactly_one_part_and_the_same_ones_for_the_same_seed(records, config):
    splits = split(records, config)
    if splits is not None:
        assert sorted(key for keys in splits.parts.values() for key in keys) == sorted(r.key for r in records)
        assert splits == make_splits(records, config, GROUPINGS)


@given(TABLES, CONFIGS)
def test_groups_are_never_torn_apart(records, config):
    splits = split(records, config)
    if splits is not None:
        of = GROUPINGS["letter"] if config.kind == "letter" else lambda record: record.group
        whole = of if config.fractions[2] or config.kind == "random" else lambda record: record.group
        placed = {(whole(record), splits.part_of(record.key)) for record in records}
        assert len(placed) == len({whole(record) for record in records})


@given(st.integers(40, 400), st.integers(0, 99))
def test_fractions_are_met_to_one_record_where_groups_are_single(n, seed):
    splits = make_splits(rows([f"g{i}" for i in range(n)]), SplitConfig(seed=seed), {})
    for name in PARTS[1:]:
        assert abs(splits.counts()[name] - 0.1 * n) <= 0.5


@given(TABLES, st.randoms(), st.integers(0, 99))
def test_random_split_does_not_depend_on_the_order_of_rows(records, random, seed):
    shuffled = random.sample(records, len(records))
    one, two = (split(x, SplitConfig(seed=seed)) for x in (records, shuffled))
    assert (one is None) == (two is None)
    if one is not None and two is not None:
        assert {n: set(k) for n, k in one.parts.items()} == {n: set(k) for n, k in two.parts.items()}
        assert one.fingerprint == two.fingerprint


def test_other_seed_gives_another_split():
    records = rows([f"g{i}" for i in range(100)])
    one, two = (make_splits(records, SplitConfig(seed=seed), {}) for seed in (0, 1))
    assert one.parts["test"] != two.parts["test"]


def test_large_groups_go_to_train():
    records = rows(["a0"] * 30 + [f"{letter}0" for letter in "bcdefghijkl" for _ in range(2)])
    splits = make_splits(records, SplitConfig("letter", (0.7, 0.1, 0.1, 0.1)), GROUPINGS)
    assert {splits.part_of(str(i)) for i in range(1, 31)} == {"train"}


def test_deepchem_order_places_the_largest_groups_first_and_of_equal_ones_the_later():
    records = rows(["a0", "b0", "c0", "d0", "d1", "d2", "e0", "e1", "e2", "e3"])
    splits = make_splits(records, SplitConfig("letter", (0.7, 0.1, 0.1, 0.1), "deepchem"), GROUPINGS)
    assert splits.parts["train"] == ("4", "5", "6", "7", "8", "9", "10")
    assert (splits.parts["validation"], splits.parts["calibration"], splits.parts["test"]) == (
        ("3",),
        ("2",),
        ("1",),
    )


def test_eight_records_are_enough():
    assert min(make_splits(rows("abcdefgh"), SplitConfig(), {}).counts().values()) == 1


@pytest.mark.parametrize("n", [0, 1, 3])
def test_too_few_records_are_refused_with_a_remedy(n):
    with pytest.raises(ValueError, match=rf"needs at least 4 different groups, got {n} .*more data"):
        make_splits(rows("abc"[:n]), SplitConfig(), {})


def test_unreadable_and_unlabelled_records_are_in_no_part():
    records = [
        *rows("abcdefgh"),
        Record(key="bad", problem="no atoms"),
        Record(key="blank", data=0, group="z"),
    ]
    splits = make_splits(records, SplitConfig(), {})
    assert splits.part_of("bad") is None
    assert splits.part_of("blank") is None
    unlabelled = [Record(key=str(i), data=i) for i in range(20)]
    assert sum(make_splits(unlabelled, SplitConfig(), {}).counts().values()) == 20


def test_column_labels_name_the_parts_and_half_of_validation_becomes_calibration():
    records = rows("abcdefgh")
    labels = dict(zip("12345678", ["train", "Train", " val", "valid", "validation", "VAL", "test", ""], strict=True))
    config = SplitConfig("column", column="part")
    splits = make_splits(records, config, {}, labels)
    assert splits.counts() == {"train": 2, "validation": 2, "calibration": 2, "test": 1}
    assert splits.parts["test"] == ("7",)
    assert splits.part_of("8") is None
    kept = SplitConfig("column", column="part", calibration_share=0)
    assert make_splits(records, kept, {}, labels).counts()["calibration"] == 0
    with pytest.raises(ValueError, match=r"'part' of row '2' must be empty or one of train.*got 'holdout'"):
        make_splits(records, config, {}, {**labels, "2": "holdout"})
    with pytest.raises(ValueError, match="leaves validation without records"):
        make_splits(records, config, {}, dict.fromkeys(labels, "train"))
    with pytest.raises(ValueError, match="needs the cells of column 'part'"):
        make_splits(records, config, {})


def test_row_lists_are_read_and_the_seed_chooses_among_several(tmp_path):
    file = tmp_path / "splits.json"
    file.write_text(json.dumps([{"train": [0, 1], "val": [2, 3], "test": [4]}, {"train": "2-3, 4", "val": "0-1"}]))
    records = rows("abcde")
    first, second = (make_splits(records, SplitConfig("file", file=str(file), seed=seed), {}) for seed in (0, 1))
    assert first.parts["test"] == ("5",)
    assert first.parts["train"] == ("1", "2")
    assert second.parts["train"] == ("3", "4", "5")
    with pytest.raises(ValueError, match=r"has 2 splits.*seed 2"):
        make_splits(records, SplitConfig("file", file=str(file), seed=2), {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"train": [0, 9], "val": [1]}]', "row 9 of 'train' does not exist"),
        ('[{"train": [0, 1], "val": [1]}]', "row 1 is listed twice"),
        ('[{"train": [0, 1.5], "val": [1]}]', "must be a list of row numbers"),
        ('[{"train": "0-", "val": [1]}]', "must be a list of row numbers"),
        ('[{"learn": [0]}]', "must hold splits like"),
        ("[]", "must hold splits like"),
        ("{", "is not JSON"),
    ],
)
def test_bad_split_files_say_what_is_wrong(tmp_path, content, message):
    file = tmp_path / "splits.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=message):
        make_splits(rows("abcde"), SplitConfig("file", file=str(file)), {})


def test_saved_splits_come_back_equal_and_divide_the_same_records_alike(tmp_path):
    records = rows([f"g{i}" for i in range(40)])
    made = make_splits(records, SplitConfig(seed=3), {})
    made.save(tmp_path / "splits.json")
    assert [path.name for path in tmp_path.iterdir()] == ["splits.json"]
    assert Splits.load(tmp_path / "splits.json") == made
    again = make_splits(records, SplitConfig("file", file=str(tmp_path / "splits.json")), {})
    assert again.parts == made.parts


def test_saved_splits_refuse_other_records(tmp_path):
    records = rows([f"g{i}" for i in range(40)])
    make_splits(records, SplitConfig(), {}).save(tmp_path / "splits.json")
    config = SplitConfig("file", file=str(tmp_path / "splits.json"))
    with pytest.raises(ValueError, match=r"1 records of the splits are not in the data \(first '40'\)"):
        make_splits(records[:-1], config, {})
    with pytest.raises(ValueError, match="have changed"):
        make_splits(rows([f"g{i}" for i in reversed(range(40))]), config, {})


def test_damaged_and_missing_files_are_refused(tmp_path):
    file = tmp_path / "splits.json"
    with pytest.raises(FileNotFoundError, match="does not exist"):
        Splits.load(file)
    make_splits(rows("abcdefgh"), SplitConfig(), {}).save(file)
    content = json.loads(file.read_text())
    content["parts"]["train"].pop()
    file.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="damaged"):
        Splits.load(file)
    file.write_text("[]")
    with pytest.raises(ValueError, match=r"no splits\.json"):
        Splits.load(file)


def test_splits_check_themselves():
    empty = dict.fromkeys(PARTS, ())
    with pytest.raises(ValueError, match="'1' is in train and again in test"):
        Splits(parts={**empty, "train": ("1",), "test": ("1",)})
    with pytest.raises(ValueError, match="'1' is in train and again in train"):
        Splits(parts={**empty, "train": ("1", "1")})
    with pytest.raises(ValueError, match="exactly the parts"):
        Splits(parts={"train": ()})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fractions": (0.5, 0.1, 0.1, 0.1)}, "sum to 1"),
        ({"fractions": (1.2, -0.2, 0.0, 0.0)}, "0 or more"),
        ({"fractions": (0.0, 0.5, 0.0, 0.5)}, "some train"),
        ({"seed": -1}, "at least 0, got -1"),
        ({"kind": "column"}, r"needs --split\.column"),
        ({"file": "x.json"}, "set split.kind to 'file'"),
    ],
)
def test_impossible_configurations_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SplitConfig(**options)


def test_unknown_kind_and_repeated_keys_are_refused():
    with pytest.raises(
        ValueError, match=r"unknown split kind .scafold.; did you mean .kfold.\? known: random, letter, "
    ):
        make_splits(rows("abcdefgh"), SplitConfig("scafold"), GROUPINGS)
    with pytest.raises(ValueError, match="'1' is not"):
        make_splits([*rows("abcdefgh"), *rows("a")], SplitConfig(), {})


@pytest.mark.skipif(not os.environ.get("SCIFORMER_MIRROR"), reason="SCIFORMER_MIRROR is not set: no real data")
@pytest.mark.parametrize(
    ("column", "order", "seed"),
    [
        ("scafb0", "balanced", 0),
        ("scafb1", "balanced", 1),
        ("scafb2", "balanced", 2),
        ("scafdc", "deepchem", 0),
    ],
)
def test_scaffold_splits_of_peers_are_reproduced_row_by_row(column, order, seed):
    import sciformer.data
    from sciformer.discovery import adapter_class

    table, molecule = sciformer.data.load("esol_splits"), adapter_class("molecule")()
    records = list(molecule.read(table, smiles="smiles"))
    config = SplitConfig("scaffold", (0.8, 0.1, 0.0, 0.1), order, seed=seed, calibration_share=0)
    splits = make_splits(records, config, molecule.groupings(records))
    expected = table[column].replace("val", "validation").tolist()
    assert Counter(expected) == Counter({name: n for name, n in splits.counts().items() if n})
    assert [splits.part_of(record.key) for record in records] == expected
