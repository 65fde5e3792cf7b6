"""Tables of observations: whatever stands in them, every object comes back, and what was left out is counted."""

import gzip
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sciformer.adapter import Record
from sciformer.domains.lightcurve import reader


def read(source: object, **options: object) -> list[Record]:
    return list(reader.read(source, **options))


def one(source: object, **options: object) -> Record:
    (record,) = read(source, **options)
    return record


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def star(**columns: object) -> pd.DataFrame:
    """Three good observations of one star, but for ``columns``."""
    given = {
        "object_id": "a",
        "mjd": [55000.0, 55001.0, 55002.0],
        "band": "g",
        "flux": [1.0, 2.0, 3.0],
        "flux_err": 0.1,
    }
    return pd.DataFrame({**given, **columns})


TEXT = "object_id,mjd,band,flux,flux_err\na,55000.5,g,1.5,0.1\na,55001.5,r,2.5,0.2\nb,55000.25,g,-1,0.3\n"


# --- kinds of table --------------------------------------------------------------------------------------


def test_every_kind_of_table_gives_the_same_curves(tmp_path: Path):
    from astropy.table import Table

    frame = pd.read_csv(write(tmp_path, "plain.csv", TEXT))
    frame.to_parquet(tmp_path / "a.parquet")
    Table.from_pandas(frame).write(tmp_path / "a.ecsv")
    renamed = frame.set_axis(["Star", "T", "Filter", "Flux", "e_flux"], axis=1)
    sources = [
        frame,
        tmp_path / "plain.csv",
        str(tmp_path / "plain.csv"),
        tmp_path / "a.parquet",
        tmp_path / "a.ecsv",
        Table.from_pandas(frame),
        renamed.rename(columns={"T": "MJD"}),
        frame.sample(frac=1, random_state=3)[["flux", "band", "flux_err", "mjd", "object_id"]].sort_values("object_id"),
        write(tmp_path, "bom.csv", b"\xef\xbb\xbf" + TEXT.encode()),
        write(tmp_path, "crlf.csv", TEXT.replace("\n", "\r\n")),
        write(tmp_path, "packed.csv.gz", gzip.compress(TEXT.encode())),
        write(tmp_path, "a.tsv", TEXT.replace(",", "\t")),
        write(tmp_path, "semicolon.csv", TEXT.replace(",", ";")),
        write(tmp_path, "spaces.dat", TEXT.replace(",", "   ")),
        write(
            tmp_path,
            "comment.txt",
            "# made by hand\n# " + TEXT.replace(",", "  ").replace("\na", "\n 1").replace("\nb", "\n2"),
        ),
    ]
    for source in sources:
        records = read(source)
        assert [record.key for record in records] in (["a", "b"], ["1", "2"]), source
        first, second = (record.data for record in records)
        assert first.time.tolist() == [55000.5, 55001.5]
        assert first.band.tolist() == ["g", "r"]
        assert first.value.tolist() == [1.5, 2.5]
        assert first.error.tolist() == [0.1, 0.2]
        assert second.value.tolist() == [-1.0]
        assert (first.quantity, first.scale, first.origin, first.time.dtype) == ("flux", "MJD", 2400000.5, np.float64)


def test_columns_are_named_by_option():
    frame = star().set_axis(["thing", "when", "colour", "brightness", "pm"], axis=1)
    options = {"object": "thing", "time": "when", "band": "colour", "value": "brightness", "error": "pm"}
    curve = one(frame, **options, quantity="flux", zero_point=27.5, unit="uJy", scale="MJD").data
    assert (curve.quantity, curve.zero_point, curve.unit, curve.scale, curve.notes) == ("flux", 27.5, "uJy", "MJD", ())
    with pytest.raises(ValueError, match="whether 'brightness' holds fluxes or magnitudes; give `quantity`"):
        read(frame, **options)


def test_magnitudes_are_told_from_fluxes():
    magnitudes = star().rename(columns={"flux": "mag", "flux_err": "magerr"})
    assert (one(magnitudes).data.quantity, one(magnitudes).data.unit) == ("mag", "mag")
    both = star(mag=[20.0, 21.0, 22.0], mag_err=0.5)
    with pytest.raises(ValueError, match="values in 'flux' and in 'mag'; name one of them as `value`"):
        read(both)
    assert one(both, value="mag").data.error.tolist() == [0.5] * 3
    assert one(both, quantity="flux").data.error.tolist() == [0.1] * 3


def test_files_without_header(tmp_path: Path):
    path = write(tmp_path, "star7.dat", "# nothing\n2450000.5 12.5 0.01\n2450001.5 12.6 0.02\n")
    with pytest.raises(ValueError, match=r"no header; give `names` \(.*\) for its 3 columns, or `quantity`"):
        read(path)
    record = one(path, quantity="mag")
    assert (record.key, record.data.quantity, record.data.scale) == ("star7", "mag", "JD")
    wide = write(tmp_path, "wide.dat", "55000 1 g 12.5 0.01\n55001 1 g 12.6 0.02\n")
    assert one(wide, names=("mjd", "flag", "band", "mag", "err")).data.error.tolist() == [0.01, 0.02]


def test_ids_are_text_and_numbers_are_one_id(tmp_path: Path):
    text = TEXT.replace("\na", "\n007").replace("\nb", "\n08")
    assert [record.key for record in read(write(tmp_path, "a.csv", text))] == ["007", "08"]
    assert one(star(object_id=7.0)).key == one(star(object_id=7)).key == "7"
    with pytest.raises(ValueError, match="no object id in row 2 of column 'object_id'"):
        read(star(object_id=["a", None, "a"]))


def test_ids_may_be_the_index_of_a_frame():
    frame = pd.concat([star(), star(object_id="b")]).set_index("object_id")
    assert [record.key for record in read(frame)] == ["a", "b"]
    assert [record.key for record in read(frame.set_index("mjd", append=True))] == ["a", "b"]


def test_a_table_without_ids_is_one_object_unless_a_column_may_hold_them():
    assert one(star().drop(columns="object_id")).key == "1"
    with pytest.raises(ValueError, match=r"'who' may; name the column as `object` \(.*\), or give ''"):
        read(star().drop(columns="object_id").assign(who=["a", "b", "b"]))
    assert len(one(star().drop(columns="object_id").assign(who=["a", "b", "b"]), object="").data) == 3


# --- observations ----------------------------------------------------------------------------------------


def test_unsorted_times_are_sorted_and_noted():
    curve = one(star(mjd=[55002.0, 55000.0, 55001.0])).data
    assert curve.value.tolist() == [2.0, 3.0, 1.0]
    assert curve.notes == ("times were not in order: sorted",)
    assert one(star()).data.notes == ()


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "object_id": rng.choice(list("abc"), 200),
            "mjd": 55000.0 + rng.integers(0, 30, 200),
            "band": rng.choice(list("gri"), 200),
            "flux": rng.integers(0, 5, 200) * 1.0,
            "flux_err": rng.choice([0.1, 0.2, np.nan], 200),
        }
    )
    curves = {record.key: record.data for record in read(frame)}
    for seed in range(3):
        for record in read(frame.sample(frac=1, random_state=seed)):
            for column in ("time", "band", "value", "error"):
                np.testing.assert_array_equal(getattr(record.data, column), getattr(curves[record.key], column))


def test_equal_times_stay_and_exact_repeats_go():
    frame = star(mjd=55000.0, band=["g", "r", "g"], flux=[1.0, 1.0, 2.0])
    assert len(one(frame).data) == 3
    curve = one(pd.concat([frame, frame, frame.iloc[:1]])).data
    assert len(curve) == 3
    assert "repeated observations, dropped: 4" in curve.notes
    unknown = star(mjd=[55000.0] * 3, flux=1.0, flux_err=np.nan)
    assert len(one(unknown).data) == 1
    assert len(one(star(mjd=55000.0, flux=1.0, flux_err=[0.1, 0.2, 0.3])).data) == 3


@pytest.mark.parametrize("value", [np.nan, np.inf, None, 99.999, 99.99, 100.01, -99.99, -999.0, 1e20])
def test_a_magnitude_that_is_none_is_left_out_and_counted(value: float):
    frame = star(flux=[20.0, value, 22.0]).rename(columns={"flux": "mag", "flux_err": "mag_err"})
    curve = one(frame).data
    assert curve.value.tolist() == [20.0, 22.0]
    assert len(curve.notes) == 1
    assert curve.notes[0].endswith("left out: 1")


@pytest.mark.parametrize("value", [np.nan, -np.inf, -999.0, -9999.0, 1e31])
def test_a_flux_that_is_none_is_left_out_and_counted(value: float):
    curve = one(star(flux=[1.0, value, 3.0])).data
    assert curve.value.tolist() == [1.0, 3.0]
    assert curve.notes[0].endswith("left out: 1")


def test_placeholders_survive_storage_in_32_bits_and_can_be_given():
    assert len(one(star(flux=np.array([1.0, -999.99, 3.0], dtype=np.float32))).data) == 2
    assert len(one(star(flux=[1.0, -9.0, 3.0], flux_err=[0.1, -9.0, 0.1])).data) == 2
    assert len(one(star(flux=[1.0, 99.0, 3.0])).data) == 3
    assert len(one(star(flux=[1.0, 99.0, 3.0]), sentinels=[99.0]).data) == 2


def test_negative_flux_is_legal():
    assert one(star(flux=[-5.0, 0.0, -1e3])).data.value.tolist() == [-5.0, 0.0, -1e3]


@pytest.mark.parametrize(("error", "note"), [(0.0, "zero or less"), (-1.0, "zero or less"), (-999.0, "placeholders")])
def test_an_impossible_error_is_unknown_and_noted(error: float, note: str):
    curve = one(star(flux_err=[0.1, error, 0.2])).data
    np.testing.assert_array_equal(curve.error, [0.1, np.nan, 0.2])
    assert len(curve.notes) == 1
    assert note in curve.notes[0]
    assert curve.notes[0].endswith("taken for unknown: 1")


def test_no_errors_at_all_are_noted():
    curve = one(star().drop(columns="flux_err")).data
    assert np.isnan(curve.error).all()
    assert curve.notes == ("no column of errors: all are unknown",)
    assert one(star(flux_err=np.nan)).data.notes == ()


def test_missing_times_and_bands_are_counted():
    curve = one(star(mjd=[55000.0, np.nan, 55002.0], band=["g", "g", None])).data
    assert curve.band.tolist() == ["g", ""]
    assert curve.notes == ("observations without a time, left out: 1", "observations without a band: 1")
    assert set(one(star().drop(columns="band")).data.band) == {""}
    assert set(one(star(band=[1, 2, 1])).data.band) == {"1", "2"}


def test_one_point_is_a_curve_and_none_is_a_problem():
    assert len(one(star().iloc[:1]).data) == 1
    gone, kept = read(pd.concat([star(flux=np.nan), star(object_id="b")]))
    assert not gone.ok
    assert gone.problem.startswith("no usable observation among 3 (observations without a value, left out: 3)")
    assert kept.ok


def test_text_among_numbers_is_a_problem_of_its_object():
    frame = pd.concat([star(flux=["1.5", "<18.2", "nan"]), star(object_id="b", flux=["1", "2", ""])])
    bad, good = read(frame)
    assert bad.problem == "flux '<18.2' is no number (1 such); correct it or leave it empty"
    assert good.data.value.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("dtype", ["category", "string", "string[pyarrow]", object])
def test_columns_of_any_type_of_pandas(dtype: object):
    frame = star(object_id=["a", "a", "b"], band=["g", None, "r"]).astype({"object_id": dtype, "band": dtype})
    frame = frame.astype({"flux": "Float32", "mjd": "str", "flux_err": "category"})
    first, second = (record.data for record in read(frame))
    assert (first.band.tolist(), second.band.tolist()) == ([("g"), ("")], ["r"])
    assert first.time.tolist() == [55000.0, 55001.0]
    assert first.error.tolist() == [0.1, 0.1]


def test_a_million_points_of_one_star():
    n = 1_000_000
    frame = pd.DataFrame({"mjd": 50000 + np.arange(n) / 100, "flux": np.arange(n) % 7.0, "flux_err": 0.1})
    start = time.perf_counter()
    assert len(one(frame).data) == n
    assert time.perf_counter() - start < 10


def test_half_a_million_rows_of_many_objects():
    n = 500_000
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "object_id": np.arange(n) // 100,
            "mjd": rng.uniform(50000, 51000, n),
            "band": np.array(list("ugriz"))[np.arange(n) % 5],
            "flux": rng.normal(size=n),
            "flux_err": 0.1,
        }
    )
    start = time.perf_counter()
    records = read(frame)
    assert time.perf_counter() - start < 10
    assert len(records) == 5000
    assert sum(len(record.data) for record in records) == n


# --- unusable as a whole ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"object_id,mjd,flux\n", "has no rows"),
        ("a.csv", b"# only\n# comments\n", "no lines but comments"),
        ("a.csv", b"\x00\x01\x02mjd", "is binary"),
        ("a.csv", b"<!DOCTYPE html><html></html>", "is a web page"),
        ("a.csv", b"mjd,flux,flux\n1,2,3\n", "two columns named 'flux'"),
        ("a.csv", b"mjd,flux\n1,2,3\n", "cannot be read as a table"),
        ("a.csv", b"when,flux\n1,2\n", r"to hold times; name it as `time` \(--columns.time; .*\); columns: when, flux"),
        ("a.csv", b"mjd,light\n1,2\n", "no column known to hold fluxes or magnitudes"),
        ("a.csv.gz", b"\x1f\x8b\x08\x00broken", "damaged gzip"),
        ("a.parquet", b"mjd,flux\n", "cannot be read as Parquet"),
        ("a.ecsv", b"# %ECSV 1.0\n# ---\n# datatype: [\nx\n", "cannot be read as ECSV"),
        ("a.xlsx", b"PK", "ends in '.xlsx'; known are .csv"),
        ("data", b"mjd,flux\n", "has no file name ending"),
    ],
)
def test_an_unusable_file_is_one_clear_line(tmp_path: Path, name: str, content: bytes, message: str):
    with pytest.raises(ValueError, match=message) as error:
        reader.read(write(tmp_path, name, content))
    assert "\n" not in str(error.value)


def test_options_may_be_text_as_from_a_command_line():
    curve = one(star(flux=[1.0, 99.0, 98.0]), zero_point="27.5", sentinels="99,98", quality="0").data
    assert (curve.zero_point, curve.value.tolist()) == (27.5, [1.0])
    assert one(star(point=25.0), zero_point="point").data.zero_point == 25.0


def test_wrong_options_are_one_clear_line():
    with pytest.raises(ValueError, match="no option named 'tiem'; options: object, time"):
        reader.read(star(), tiem="mjd")
    with pytest.raises(ValueError, match="no time column named 'mdj'; did you mean 'mjd'"):
        reader.read(star(), time="mdj")
    with pytest.raises(ValueError, match="quantity must be flux or mag, got 'light'"):
        reader.read(star(), quantity="light")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        reader.read("none.csv")
    for option, value in (("scale", 5), ("time", 1), ("quality", "all"), ("zero_point", float("nan"))):
        with pytest.raises(ValueError, match=f"{option} must be"):
            reader.read(star(), **{option: value})
    with pytest.raises(ValueError, match="two columns named 'flux'"):
        reader.read(pd.DataFrame([[1, 2, 3]], columns=["mjd", "flux", "flux"]))
