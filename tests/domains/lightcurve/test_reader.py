"""From any source to records: kinds of source, folders, the objects table, groups and units."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sciformer.adapter import Record
from sciformer.domains.lightcurve import reader
from sciformer.domains.lightcurve.curve import Curve
from sciformer.tokens import Target

KIND = Target("kind", "multiclass", "", ("RR", "Cep", "EB"))
PERIOD = Target("period", unit="d")


def read(source: object, **options: object) -> list[Record]:
    return list(reader.read(source, **options))


def curve(n: int = 3, **fields: object) -> Curve:
    given = {"time": 55000.0 + np.arange(n), "band": np.full(n, "g"), "value": np.ones(n), "error": np.full(n, 0.1)}
    return Curve(**{**given, **fields})


def rows(*names: str, n: int = 2) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "object_id": np.repeat(names, n),
            "mjd": np.tile(55000.0 + np.arange(n), len(names)),
            "mag": 15.0,
            "mag_err": 0.1,
        }
    )


def objects(**columns: object) -> pd.DataFrame:
    return pd.DataFrame({"object_id": ["a", "b", "c"], **columns})


# --- in memory -------------------------------------------------------------------------------------------


def test_curves_in_memory():
    assert [record.key for record in read([curve(), curve(1)])] == ["1", "2"]
    assert [record.key for record in read({"x": curve(), 7: curve()})] == ["x", "7"]
    assert read(curve())[0].data.value.tolist() == [1.0] * 3
    assert read([]) == []
    empty, full = read([curve(0), curve()])
    assert empty.problem == "no observations; add some or delete the object"
    assert full.ok


def test_what_is_no_light_curve_is_refused():
    with pytest.raises(ValueError, match="light curve '2' must be a Curve, got str"):
        reader.read([curve(), "x"])
    with pytest.raises(ValueError, match=r"source must be a path, a table or light curves \(Curve\), got float"):
        reader.read(1.5)
    with pytest.raises(ValueError, match="can only be given for a table or a file"):
        reader.read([curve()], time="mjd")


def test_a_time_series_in_memory():
    from astropy import units as u
    from astropy.time import Time
    from astropy.timeseries import TimeSeries

    series = TimeSeries(time=Time([2457001.5, 2457000.5], format="jd", scale="tdb"))
    series["flux"] = [1.0, 2.0] * u.electron / u.s
    series["flux_err"] = [0.1, 0.2] * u.electron / u.s
    (record,) = read(series)
    assert record.data.time.tolist() == [2457000.5, 2457001.5]
    assert (record.data.scale, record.data.unit) == ("JD", "electron / s")
    assert record.data.notes == ("times were not in order: sorted",)
    series["star"] = ["a", "b"]
    assert [record.key for record in read(series)] == ["a", "b"]


def test_masked_cells_are_missing():
    from astropy.table import MaskedColumn, Table

    table = Table(
        {"mjd": [55000.0, 55001.0, 55002.0], "band": MaskedColumn(["g", "g", "r"], mask=[False, True, False])}
    )
    table["mag"] = MaskedColumn([15, 16, 17], mask=[True, False, False])
    (record,) = read(table)
    assert record.data.value.tolist() == [16.0, 17.0]
    assert record.data.band.tolist() == ["", "r"]


def test_importing_the_domain_does_not_import_astropy():
    code = "import sys, sciformer.domains.lightcurve.reader; sys.exit('astropy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[3]).returncode == 0


# --- folders ---------------------------------------------------------------------------------------------


def test_a_folder_is_one_object_per_file(tmp_path: Path):
    for i in (2, 1, 3):
        (tmp_path / f"{i}.csv").write_text(f"time,mag,magerr,band\n5500{i}.5,15.{i},0.1,g\n")
    (tmp_path / "README.md").write_text("about")
    (tmp_path / "LICENSE").write_text("free")
    (tmp_path / "broken.csv").write_text("time,mag\n1,2,3\n")
    (tmp_path / "empty.csv").write_text("time,mag\n")
    records = read(tmp_path)
    assert [record.key for record in records] == ["1", "2", "3", "broken", "empty"]
    assert [record.ok for record in records] == [True, True, True, False, False]
    assert records[1].data.value.tolist() == [15.2]
    assert "broken.csv cannot be read as a table" in records[3].problem
    assert "empty.csv has no rows" in records[4].problem


def test_the_objects_table_may_lie_in_the_folder(tmp_path: Path):
    (tmp_path / "007.csv").write_text("mjd,mag\n55000,15\n")
    (tmp_path / "objects.csv").write_text("id,period\n007,0.5\n")
    (record,) = read(tmp_path, objects=tmp_path / "objects.csv", targets=[PERIOD])
    assert (record.key, record.targets) == ("007", {"period": 0.5})


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no light curves; known endings are"),
        (["README.md"], "holds no light curves"),
        (["a.csv", "b.xml"], r"several kinds, such as a.csv \(table\), b.xml \(xml\)"),
        (["a.csv", "b.xlsx"], "ends in '.xlsx'"),
        (
            ["a.csv", "b.csv"],
            "none of 2 light curves in .* can be read; the first: .*a.csv has no column known to hold",
        ),
    ],
)
def test_an_unusable_folder_is_one_clear_line(tmp_path: Path, names: list[str], message: str):
    for name in names:
        (tmp_path / name).write_text("x,y\n1,2\n")
    with pytest.raises(ValueError, match=message) as error:
        reader.read(tmp_path)
    assert "\n" not in str(error.value)


def test_two_files_of_one_id_are_refused(tmp_path: Path):
    for name in ("a.csv", "a.tsv"):
        (tmp_path / name).write_text("mjd,mag\n55000,15\n".replace(",", "\t" if name == "a.tsv" else ","))
    with pytest.raises(ValueError, match="two objects of the source have the id 'a'"):
        reader.read(tmp_path)


def test_real_stars_equal_the_prepared_table(mirror: Path):
    folder = mirror / "prepared" / "lightcurves"
    raw = next(mirror.glob("mirror/raw.githubusercontent.com/light-curve/test-data/*/RRLyrae/light-curves"))
    targets = [Target("type", "binary", "", ("c", "ab")), PERIOD]
    objects = folder / "stripe82_rrlyrae_objects.parquet"
    mine = {record.key: record for record in read(raw, objects=objects, targets=targets) if record.ok}
    prepared = read(folder / "stripe82_rrlyrae_observations.parquet", objects=objects, targets=targets)
    assert len(prepared) == 483
    assert all(record.ok for record in prepared)
    assert len(mine) == len(list(raw.glob("*.csv")))
    for record in prepared:
        if record.key in mine:
            assert mine[record.key].targets == record.targets
            assert mine[record.key].data.notes == record.data.notes
            assert mine[record.key].data.band.tolist() == record.data.band.tolist()
            for column in ("time", "value", "error"):
                np.testing.assert_allclose(
                    getattr(mine[record.key].data, column), getattr(record.data, column), rtol=1e-6
                )
    assert max(record.data.value.max() for record in prepared) < 30
    assert sum(np.isnan(record.data.error).sum() for record in prepared) == 5  # 59 placeholders, 54 without a value


# --- the objects table -----------------------------------------------------------------------------------


def test_targets_come_from_the_objects_table(tmp_path: Path):
    table = objects(kind=["RR", "", "EB"], period=[0.5, 1.5, np.nan])
    expected = [{"kind": 0.0, "period": 0.5}, {"period": 1.5}, {"kind": 2.0}]
    table.to_csv(tmp_path / "o.csv", index=False)
    table.to_parquet(tmp_path / "o.parquet")
    shuffled = table.iloc[::-1].rename(columns={"object_id": "ID"})
    for source in (table, tmp_path / "o.csv", tmp_path / "o.parquet", shuffled, table.set_index("object_id")):
        records = read(rows("a", "b", "c"), objects=source, targets=[KIND, PERIOD])
        assert [record.targets for record in records] == expected
        assert all(record.data.notes == () for record in records)


def test_labels_may_stand_in_the_table_of_observations():
    table = rows("a", "b").assign(kind=["RR", "RR", "EB", "EB"])
    assert [record.targets for record in read(table, targets=[KIND])] == [{"kind": 0.0}, {"kind": 2.0}]
    with pytest.raises(ValueError, match="the observations alone say nothing of kind: labels stand in a table"):
        reader.read(table.assign(kind=["RR", "EB", "EB", "EB"]), targets=[KIND])


def test_objects_of_only_one_of_the_tables_are_kept():
    table = objects(kind=["RR", "Cep", "EB"])
    records = read(rows("b", "x"), objects=table, targets=[KIND])
    assert [record.key for record in records] == ["b", "x", "a", "c"]
    assert [record.ok for record in records] == [True, True, False, False]
    assert [record.targets for record in records] == [{"kind": 1.0}, {}, {"kind": 0.0}, {"kind": 2.0}]
    assert records[1].data.notes == ("not in the objects table: nothing is known but its light",)
    assert records[2].problem.startswith("no observations of this object")
    with pytest.raises(ValueError, match=r"no object is in the objects table: ids such as 'x' against 'a'"):
        reader.read(rows("x", "y"), objects=table)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"object_id": ["a", "a"]}), "has the object 'a' more than once"),
        (pd.DataFrame({"object_id": ["a", None]}), "no object id in row 2"),
        (pd.DataFrame({"who": ["a"]}), r"hold object ids; name it as `object` \(--columns.object; .*\); columns: who"),
        (
            pd.DataFrame({"object_id": ["a"], "kind": ["RRc"]}),
            "'kind' of row 'a' must be one of RR, Cep, EB, got 'RRc'",
        ),
        (pd.DataFrame({"object_id": ["a"], "kinds": ["RR"]}), "no target column named 'kind'; did you mean 'kinds'"),
        (pd.DataFrame([["a", 1, 2]], columns=["id", "x", "x"]), "the objects table has two columns named 'x'"),
        ("objects.xlsx", "the objects table must end in .csv"),
        (3, "objects must be a path or a DataFrame, got int"),
    ],
)
def test_an_unusable_objects_table_is_one_clear_line(table: object, message: str):
    with pytest.raises(ValueError, match=message) as error:
        reader.read(rows("a"), objects=table, targets=[KIND])
    assert "\n" not in str(error.value)


def test_a_target_that_is_no_number_names_its_object():
    with pytest.raises(ValueError, match="target 'period' of row 'b' must be a finite number, got '>3'"):
        reader.read(rows("a", "b"), objects=objects(period=["1", ">3", ""]), targets=[PERIOD])


def test_metadata_are_known_numbers_only():
    table = objects(hostz=[0.5, -9.0, np.nan], hostz_err=[0.1, 0.2, 0.3], mwebv=[0.02, 0.03, -9], sim_z=[0.4, 0.5, 0.6])
    metas = [record.data.meta for record in read(rows("a", "b", "c"), objects=table)]
    assert metas == [{"redshift": 0.5, "redshift_err": 0.1, "extinction": 0.02}, {"extinction": 0.03}, {}]
    better = table.assign(redshift=[0.45, np.nan, 0.7])
    assert [r.data.meta.get("redshift") for r in read(rows("a", "b", "c"), objects=better)] == [0.45, None, 0.7]


# --- groups and units ------------------------------------------------------------------------------------


def test_the_same_place_on_the_sky_is_the_same_object():
    table = objects(ra=[10.12345, 10.12346, 200.98765], dec=[-5.54321, -5.54321, 89.99991])
    groups = [record.group for record in read(rows("a", "b", "c"), objects=table)]
    assert groups[0] == groups[1] != groups[2]
    assert [record.group for record in read(rows("a", "b"))] == ["a", "b"]


def test_impossible_and_shared_positions_are_not_used():
    table = objects(ra=[0.0, 0.0, 400.0], dec=[0.0, 0.0, 10.0])
    records = read(rows("a", "b", "c"), objects=table)
    assert [record.group for record in records] == ["a", "b", "c"]
    assert [record.data.position for record in records] == [None] * 3
    assert records[0].data.notes == ("its position is that of 2 objects, so of a field or a placeholder: left out",)


def test_mixed_units_are_refused_object_by_object():
    curves = {
        "a": curve(unit="Jy"),
        "b": curve(unit="mJy"),
        "c": curve(unit="Jy"),
        "d": curve(quantity="mag", unit="mag"),
    }
    records = read(curves)
    assert [record.ok for record in records] == [True, False, True, False]
    assert records[1].problem == "is in flux [mJy], most of the source in flux [Jy]; convert it"
    points = read([curve(zero_point=25.0), curve(zero_point=25.0), curve(zero_point=27.5)])
    assert points[2].problem.startswith("is in flux [no unit, zero point 27.5]")


def test_records_are_in_their_own_domain_of_problems():
    for record in read(pd.concat([rows("a"), rows("b").assign(mag=np.nan)])):
        assert record.ok == (record.data is not None)
        assert "\n" not in record.problem
