"""Time scales, dates and units: what a number means is stated, or told by its size and noted."""

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


STATE = "; state the scale, as JD-2400000 or MJD, as `scale` (--columns.scale; in training --data.columns.scale)"
"""What is asked of those whose Julian dates are none."""


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


@pytest.mark.parametrize(
    ("column", "first", "scale", "origin", "note"),
    [
        ("mjd", 55000.0, "MJD", 2400000.5, ""),
        ("JD", 2455000.0, "JD", 0.0, ""),
        ("hjd", 2455000.0, "HJD", 0.0, ""),
        ("BJD_TDB", 2455000.0, "BJD", 0.0, ""),
        ("btjd", 1325.0, "BTJD", 2457000.0, ""),
        ("bkjd", 131.5, "BKJD", 2454833.0, ""),
        ("time", 55000.0, "MJD", 2400000.5, "no time scale is stated: taken for MJD by size"),
        ("time", 2455000.0, "JD", 0.0, "no time scale is stated: taken for JD by size"),
        ("time", 7865.0, "", np.nan, "no time scale is stated and 7865 to 7867 does not tell: time zero is unknown"),
        ("mjd", 2455000.0, "JD", 0.0, "times of 2455000 to 2455002 cannot be MJD as stated: taken for JD by size"),
        ("bjd", 7865.0, "", np.nan, "times of 7865 to 7867 cannot be BJD as stated: time zero is unknown" + STATE),
        ("btjd", 55000.0, "MJD", 2400000.5, "times of 55000 to 55002 cannot be BTJD as stated: taken for MJD by size"),
        ("JD-2400000", 55000.0, "JD-2400000", 2400000.0, ""),
        ("hjd-2440000", 15000.0, "HJD-2440000", 2440000.0, ""),
        ("BJD_TDB - 2454833", 200.0, "BKJD", 2454833.0, ""),
        ("jd-2400000.5", 55000.0, "MJD", 2400000.5, ""),
        ("jd", 55000.0, "", np.nan, "times of 55000 to 55002 cannot be JD as stated: time zero is unknown" + STATE),
    ],
)
def test_the_time_scale_is_stated_or_told_by_size(column: str, first: float, scale: str, origin: float, note: str):
    curve = one(star(mjd=first + np.arange(3)).rename(columns={"mjd": column})).data
    assert curve.scale == scale
    np.testing.assert_equal(curve.origin, origin)
    assert curve.time[0] == first
    assert "".join(curve.notes) == note


@pytest.mark.parametrize(
    ("scale", "first", "name", "origin"),
    [
        ("JD-2440000", 7865.0, "JD-2440000", 2440000.0),
        ("HJD - 2450000", 5000.0, "HJD-2450000", 2450000.0),
        ("BJD - 2454833, days", 200.0, "BKJD", 2454833.0),
        ("BJD-2457000", 1400.0, "BTJD", 2457000.0),
        ("jd-2400000.5", 55000.0, "MJD", 2400000.5),
        ("MJD-50000", 5000.0, "MJD-50000", 2450000.5),
    ],
)
def test_a_time_scale_may_have_an_offset(scale: str, first: float, name: str, origin: float):
    curve = one(star(mjd=first + np.arange(3)).rename(columns={"mjd": "t"}), scale=scale).data
    assert (curve.origin, curve.notes) == (origin, ())
    assert curve.scale == name


def test_an_unknown_time_scale_is_refused():
    with pytest.raises(ValueError, match=r"scale must be JD, .*, got 'stardate'"):
        read(star(), scale="stardate")


def test_objects_in_other_time_scales_get_their_own_and_say_so():
    frame = pd.concat([star(mjd=7865 + np.arange(3.0)), star(object_id="b", mjd=2450495 + np.arange(3.0))])
    first, second = (record.data for record in read(frame.rename(columns={"mjd": "time"}), scale="JD-2440000"))
    assert (first.scale, first.origin, second.scale, second.origin) == ("JD-2440000", 2440000.0, "JD", 0.0)
    assert first.notes == ("the source mixes time scales: JD-2440000 (1), JD (1)",)
    assert second.notes[0] == "times of 2450495 to 2450497 cannot be JD-2440000 as stated: taken for JD by size"


def test_one_object_in_two_time_scales_is_a_problem():
    record = one(star(mjd=[7865.0, 7866.0, 2450495.0]))
    assert record.problem == "times mix Julian dates with smaller ones (7865 to 2450495); bring them to one time scale"


def test_dates_become_modified_julian_dates():
    expected = [55197.0, 55197.5, 55198.25]
    text = ["2010-01-01", "2010-01-01T12:00:00", "2010-01-02T06:00:00Z"]
    for times in (
        pd.to_datetime(text, format="mixed", utc=True),
        pd.to_datetime(text, format="mixed", utc=True).tz_localize(None),
    ):
        curve = one(star(mjd=times).rename(columns={"mjd": "date"})).data
        np.testing.assert_allclose(curve.time, expected)
    curve = one(star(mjd=[text[1], text[1], text[2]], flux=[1.0, 2.0, 3.0]).rename(columns={"mjd": "date"})).data
    np.testing.assert_allclose(curve.time, [55197.5, 55197.5, 55198.25])
    assert (curve.scale, curve.notes) == ("MJD", ("times are dates: read as UTC, converted to MJD",))
    with pytest.raises(ValueError, match="column 'mjd': time 'yesterday' is neither a number nor a date"):
        read(star(mjd=["2010-01-01T00:00:00", "yesterday", "2010-01-01T00:00:00"]))


def test_dates_of_the_future_are_read():
    assert one(star(mjd=["2061-01-01T00:00:00"] * 3)).data.time[0] == pytest.approx(73825.0)


def test_times_in_32_bits_are_noted():
    curve = one(star(mjd=np.array([55000.0, 55001.0, 55002.0], dtype=np.float32))).data
    assert curve.notes == ("times are stored in 32 bits, in steps of 0.0039 days",)


# --- units -----------------------------------------------------------------------------------------------


def test_units_of_a_table_are_kept_and_converted():
    from astropy import units as u
    from astropy.table import QTable
    from astropy.time import Time

    table = QTable(
        {
            "time": Time([55000.0, 55001.0], format="mjd"),
            "flux": [1.0, 2.0] * u.mJy,
            "flux_err": [100.0, 200.0] * u.uJy,
        }
    )
    curve = one(table).data
    assert (curve.unit, curve.scale, curve.notes) == ("mJy", "MJD", ())
    np.testing.assert_allclose(curve.error, [0.1, 0.2])
    table["flux_err"] = [1.0, 2.0] * u.m
    with pytest.raises(ValueError, match="values in 'mJy' and errors in 'm', which do not convert"):
        read(table)


def test_times_in_other_units_become_days():
    from astropy import units as u
    from astropy.table import QTable

    curve = one(QTable({"time": [0.0, 36.0] * u.hour, "flux": [1.0, 2.0], "flux_err": [0.1, 0.1]})).data
    assert curve.time.tolist() == [0.0, 1.5]
    assert "times converted to days from h" in curve.notes
    with pytest.raises(ValueError, match="one of time or a time scale such as MJD, got 'm'"):
        read(QTable({"time": [0.0, 36.0] * u.m, "flux": [1.0, 2.0], "flux_err": [0.1, 0.1]}))


def test_mixed_and_impossible_units_are_refused():
    with pytest.raises(ValueError, match=r"mixes units \(Jy, mJy\) in 'unit'; convert to one unit"):
        read(star(unit=["Jy", "mJy", "Jy"]))
    assert one(star(unit="Jy")).data.unit == "Jy"
    with pytest.raises(ValueError, match="'flux' in 'mag', which is no unit of flux"):
        read(star(), unit="mag")


def test_zero_points_of_rows_become_one():
    curve = one(star(flux=[10.0, 10.0, 10.0], flux_err=1.0, zp=[25.0, 27.5, 25.0])).data
    assert curve.zero_point == 25.0
    np.testing.assert_allclose(curve.value, [10.0, 1.0, 10.0])
    np.testing.assert_allclose(curve.error, [1.0, 0.1, 1.0])
    assert curve.notes == ("fluxes of another zero point, brought to 25: 1",)
    assert one(star(zp=27.5)).data.zero_point == 27.5
    with pytest.raises(ValueError, match="no zero point in row 2 of 'zp'"):
        read(star(zp=[25.0, np.nan, 25.0]))


def test_masked_times_are_missing():
    from astropy.table import QTable
    from astropy.time import Time

    times = Time([55000.0, 55001.0, 55002.0], format="mjd")
    times[1] = np.ma.masked
    curve = one(QTable({"time": times, "mag": [15.0, 16.0, 17.0]})).data
    assert curve.value.tolist() == [15.0, 17.0]
    assert "observations without a time, left out: 1" in curve.notes
