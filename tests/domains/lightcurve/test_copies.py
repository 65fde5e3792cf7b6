"""One object under two ids: found by place, name or observations, kept in one part, and told where a split tears it."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from sciformer.adapter import Record
from sciformer.data.audit import Audit, audit
from sciformer.data.splits import SplitConfig, make_splits
from sciformer.domains.lightcurve import copies, reader
from sciformer.domains.lightcurve.adapter import LightCurve
from sciformer.domains.lightcurve.curve import Curve
from sciformer.domains.lightcurve.data import LightCurveData
from sciformer.domains.lightcurve.objects import positions


def star(seed: int, n: int = 20, **fields: object) -> Curve:
    """Seen at the same times as every other star, as in a survey."""
    rng = np.random.default_rng(seed)
    value = np.round(15 + rng.normal(size=n), 3)
    given = {
        "time": 55000.0 + np.arange(n),
        "band": np.tile(["g", "r"], n)[:n],
        "value": value,
        "error": np.full(n, 0.1),
    }
    return Curve(**{**given, "quantity": "mag", "scale": "MJD", **fields})  # type: ignore[arg-type]


def part(curve: Curve, rows: slice) -> Curve:
    columns = {name: getattr(curve, name)[rows] for name in ("time", "band", "value", "error")}
    return dataclasses.replace(curve, **columns)


def read(curves: dict[str, Curve]) -> list[Record]:
    return list(reader.read(curves))


def together(curves: dict[str, Curve]) -> bool:
    return len({record.group for record in read(curves)}) == 1


def test_the_same_observations_are_the_same_object():
    one = star(0)
    records = read({"a": one, "b": star(1), "c": dataclasses.replace(one, error=np.full(20, 0.2))})
    assert [record.group for record in records] == ["a", "b", "a"]
    backwards = read({"c": one, "b": star(1), "a": one})
    assert [record.group for record in backwards] == ["a", "b", "a"]
    as_float32 = dataclasses.replace(one, value=one.value.astype(np.float32).astype(float))
    assert together({"a": one, "b": as_float32})


@pytest.mark.parametrize(("rows", "same"), [(slice(0, 12), True), (slice(3, 20), True), (slice(0, 2), False)])
def test_part_of_a_light_curve_is_a_copy_of_it(rows, same):
    assert together({"whole": star(0), "part": part(star(0), rows)}) == same


@pytest.mark.parametrize(("common", "same"), [(4, False), (9, False), (10, True)])
def test_half_of_the_observations_make_a_copy(common, same):
    one, other = star(0), star(1)
    value = np.concatenate([one.value[:common], other.value[common:]])
    assert together({"a": one, "b": dataclasses.replace(other, value=value)}) == same


def test_many_copies_are_one_object():
    records = read({f"{i:02}": star(i % 2) for i in range(40)})
    assert {record.group for record in records} == {"00", "01"}


def test_equal_limits_and_other_bands_or_times_are_no_copies():
    nothing = star(0, value=np.zeros(20), quantity="flux")
    assert not together({"a": nothing, "b": nothing})
    assert not together({"a": star(0), "b": star(0, band=np.full(20, "i"))})
    assert not together({"a": star(0), "b": star(0, time=55000.5 + np.arange(20))})


ARCSEC = 1 / 3600


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ((10.0, 20.0), (10.0, 20.0 + 1.4 * ARCSEC), True),
        ((10.0, 20.0), (10.0, 20.0 + 1.6 * ARCSEC), False),
        ((359.99999, 0.0), (0.00001, 0.0), True),
        ((10.0, 89.99999), (190.0, 89.99999), True),
        ((10.0, 60.0), (10.0 + 2.5 * ARCSEC, 60.0), True),
        ((10.0, 0.0), (10.0 + 2.5 * ARCSEC, 0.0), False),
    ],
)
def test_places_within_an_arc_second_and_a_half_are_one(first, second, same):
    shift = 0.00123  # so that no coordinate is round, as that of a pointing would be
    curves = {
        "a": star(0, position=(first[0], first[1] - shift)),
        "b": star(1, position=(second[0], second[1] - shift)),
    }
    if first[1] > 89:
        curves = {"a": star(0, position=first), "b": star(1, position=second)}
    assert together(curves) == same


def test_files_of_one_name_are_one_object_wherever_they_lie():
    from sciformer.domains.lightcurve.clean import Found

    curves = {"a": star(0, position=(10.00123, 5.0)), "b": star(1), "c": star(2, position=(200.00123, 5.0))}
    found = [Found(key=key, data=curve, identity="TIC 7") for key, curve in curves.items()]
    assert len(set(copies.groups([*found, Found(key="d", data=star(3))]))) == 2


def test_a_chain_of_reasons_makes_one_object():
    place = (123.456, -45.678)
    curves = {"a": star(0, position=place), "b": star(1, position=place), "c": star(1), "d": star(2)}
    records = read(curves)
    assert len({record.group for record in records[:3]}) == 1
    assert records[3].group == "d"


# --- splits and the audit --------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path) -> LightCurveData:
    """Fifty stars; ids from 50 name ten of them again: five by their place, five by their observations."""
    rng = np.random.default_rng(0)
    curves = [star(i) for i in range(50)] + [star(100 + i) for i in range(5)] + [star(5 + i) for i in range(5)]
    frames = [
        pd.DataFrame({"object_id": i, "mjd": c.time, "band": c.band, "mag": c.value, "mag_err": c.error})
        for i, c in enumerate(curves)
    ]
    ra, dec = rng.uniform(0, 360, 60), rng.uniform(-60, 60, 60)
    ra[50:55], dec[50:55] = ra[:5], dec[:5] + 0.5 * ARCSEC
    objects = pd.DataFrame({"object_id": range(60), "RAJ2000": ra, "DEJ2000": dec, "y": np.arange(60) % 50 + 0.5})
    objects["part"] = ["train"] * 30 + ["valid"] * 15 + ["test"] * 15
    pd.concat(frames).to_csv(tmp_path / "observations.csv", index=False)
    objects.to_csv(tmp_path / "objects.csv", index=False)
    source, table = (str(tmp_path / name) for name in ("observations.csv", "objects.csv"))
    return LightCurveData(source=source, objects=table, targets="y")


@pytest.mark.parametrize("config", [SplitConfig(seed=s) for s in range(5)] + [SplitConfig("kfold", test="1/5")])
def test_no_split_by_rule_tears_one_star_apart(table, config):
    found = table.load()
    splits = make_splits(found.records, config, found.adapter.groupings(found.records))
    for i in range(10):
        assert splits.part_of(str(i)) == splits.part_of(str(50 + i))
    assert not leaks(audit(found.records, splits, found.adapter))


def leaks(found: Audit) -> list[str]:
    return [warning for warning in found.warnings if warning.startswith("LEAK")]


def test_a_given_split_that_tears_stars_apart_is_told_with_their_ids(table):
    found = table.load("part")
    splits = make_splits(found.records, SplitConfig("column", column="part"), {}, found.labels)
    told = audit(found.records, splits, found.adapter, found.targets)
    (leak,) = leaks(told)
    assert leak.startswith("LEAK: 10 test records are also in train under another row")
    assert "row 0 in train = row 50 in test" in leak
    assert told.duplicates["groups in several parts"] == 10
    assert told.similarity["test to train"]["share equal 1"] == pytest.approx(5 / 15)
    assert told.similarity["test to train"]["equal but no copies"] == 0


def test_similarity_is_the_share_of_observations_in_common():
    one = star(0)
    queries = [
        one,
        part(one, slice(0, 5)),
        star(1),
        dataclasses.replace(one, value=np.r_[one.value[:5], np.full(15, 9.0)]),
    ]
    references = [star(2), part(one, slice(0, 10)), one]
    wrap = [[Record(key=str(i), data=c) for i, c in enumerate(side)] for side in (queries, references)]
    share, index = LightCurve().nearest(*wrap)
    assert share.tolist() == [1, 1, 0, 0.25]
    assert index.tolist()[::2] == [2, -1]
    assert set(index.tolist()[1::2]) <= {1, 2}
    nothing = Record(key="?", problem="no observations")
    share, index = copies.nearest([nothing, *wrap[0]], [nothing])
    assert share.tolist() == [0] * 5
    assert index.tolist() == [-1] * 5
    assert copies.nearest([], wrap[1])[0].shape == (0,)
    assert copies.groups([]) == []


def test_real_stars_with_two_ids_are_found_and_kept_together(mirror):
    found = LightCurveData(source="debosscher", targets="label").load()
    members: dict[str, list[str]] = {}
    for record in found.records:
        members.setdefault(record.group, []).append(record.key)
    twice = [keys for keys in members.values() if len(keys) > 1]
    assert len(twice) == 16
    assert ["100148103", "100148841"] in twice  # by its 97 observations alone: one of the two has no position
    splits = make_splits(found.records, SplitConfig(), {})
    told = audit(found.records, splits, found.adapter, found.targets)
    assert told.duplicates["groups in several parts"] == 0
    assert told.contradictions["groups"] == 13
    assert told.similarity["test to train"]["share above 0.9"] == 0


@pytest.mark.parametrize("name", ["snpcc", "stripe82_rrlyrae"])
def test_no_two_objects_of_a_clean_set_are_taken_for_one(name, mirror):
    records = LightCurveData(source=name).load().records
    assert len({record.group for record in records}) == len(records)


# --- positions of a table --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ra", "dec", "expected"),
    [
        (187.5, -12.25, (187.5, -12.25)),
        ("187.5", " -12.25 ", (187.5, -12.25)),
        (-50.5, 1.25, (309.5, 1.25)),
        ("12:30:00", "-12:15:00", (187.5, -12.25)),
        ("12 30 00.0", "+12 15 00", (187.5, 12.25)),
        ("12h30m00s", "-00d15m00s", (187.5, -0.25)),
        ("187d30m00s", "−12°15′00″", (187.5, -12.25)),
        (np.nan, np.nan, None),
        ("", "--", None),
    ],
)
def test_positions_are_degrees_or_sexagesimal(ra, dec, expected):
    found, notes = positions(pd.DataFrame({"RA": [ra], "Decl": [dec]}))
    assert notes == [""]
    assert np.isnan(found).all() if expected is None else found[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("ra", "dec"),
    [(360.5, 0.0), (10.0, 90.5), (-999.0, -999.0), (np.inf, 0.0), (10.0, np.nan), ("25:00:00", "1:00:00"), ("M31", 41)],
)
def test_a_position_that_is_none_is_left_out_and_noted(ra, dec):
    table = pd.DataFrame({"object_id": ["a", "b"], "ra": [ra, 12.3456], "dec": [dec, 7.8912]})
    table["ra"] = table["ra"].astype(object)
    bad, good = reader.read({"a": star(0), "b": star(1)}, objects=table)
    assert bad.data.position is None
    assert bad.group == "a"
    (note,) = bad.data.notes
    assert (
        note == f"its position ({ra}, {float(dec) if not isinstance(dec, str) else dec}) is none on the sky: left out"
    )
    assert good.data.position == (12.3456, 7.8912)
    assert not good.data.notes
