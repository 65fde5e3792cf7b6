"""XML light curves: the dialect of Debosscher's stars, and VOTables."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sciformer.adapter import Record
from sciformer.domains.lightcurve import reader
from sciformer.tokens import Target

VOSOURCE = """<?xml version="1.0"?>
<VOSOURCE version="0.04">
  <ID>148012</ID>
  <WhereWhen><Position2D unit="deg"><Value2><c1>0.7004579</c1><c2>-23.0547019</c2></Value2></Position2D></WhereWhen>
  <VOTimeseries version="0.04">
    <TIMESYS><TimeType>MJD</TimeType><TimeZero>0.0 </TimeZero></TIMESYS>
    <Resource name="db photometry">TABLES</Resource>
  </VOTimeseries>
  <Classifications><class name="RR Lyrae"/></Classifications>
</VOSOURCE>
"""

TABLE = """<TABLE name="BAND:table6">
  <FIELD name="t" system="TIMESYS" datatype="float" unit="day"/>
  <FIELD name="m" datatype="float" unit="mag"/>
  <FIELD name="m_err" datatype="float" unit="mag"/>
  <DATA><TABLEDATA>
    <TR row="1"><TD>7897.25</TD><TD>10.5</TD><TD>0.02</TD></TR>
    <TR row="2"><TD>7898.25</TD><TD>10.6</TD><TD>0.03</TD></TR>
  </TABLEDATA></DATA>
</TABLE>"""


def read(source: object, **options: object) -> list[Record]:
    return list(reader.read(source, **options))


def write(folder: Path, text: str, name: str = "100148012.xml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.fixture
def stars(mirror: Path) -> Path:
    return next(mirror.glob("mirror/raw.githubusercontent.com/longjp/lightcurves/*/data/debosscher"))


def test_a_star_of_debosscher(tmp_path: Path):
    path = write(tmp_path, VOSOURCE.replace("TABLES", TABLE.replace("BAND", "Clear")))
    (record,) = read(path, scale="JD-2440000", targets=[Target("label", "binary", "", ("Cepheid", "RR Lyrae"))])
    curve = record.data
    assert (record.key, record.targets) == ("100148012", {"label": 1.0})
    assert curve.time.tolist() == [7897.25, 7898.25]
    assert (curve.quantity, curve.unit, curve.scale, curve.origin) == ("mag", "mag", "JD-2440000", 2440000.0)
    assert set(curve.band) == {"Clear"}
    assert curve.position == (0.7004579, -23.0547019)
    assert curve.notes == ()


def test_a_wrong_time_system_is_doubted(tmp_path: Path):
    curve = read(write(tmp_path, VOSOURCE.replace("TABLES", TABLE)))[0].data
    assert (curve.scale, curve.notes) == (
        "",
        ("times of 7897.25 to 7898.25 cannot be MJD as stated: time zero is unknown",),
    )


def test_tables_are_bands(tmp_path: Path):
    tables = TABLE.replace("BAND", "V") + TABLE.replace("BAND", "I").replace("10.", "9.")
    curve = read(write(tmp_path, VOSOURCE.replace("TABLES", tables)))[0].data
    assert curve.band.tolist() == ["I", "V", "I", "V"]
    assert curve.value.tolist() == [9.5, 10.5, 9.6, 10.6]


def test_real_stars_equal_the_prepared_table(mirror: Path, stars: Path):
    folder = mirror / "prepared" / "lightcurves"
    rows, objects = (pd.read_parquet(folder / f"debosscher_{name}.parquet") for name in ("observations", "objects"))
    raw = {record.key: record for record in read(stars, scale="JD-2440000")}
    assert len(raw) == 40
    keep = [int(key) for key in raw]
    prepared = read(rows[rows.object_id.isin(keep)], objects=objects, scale="JD-2440000")
    prepared = [record for record in prepared if record.ok]
    assert {record.key for record in prepared} == set(raw)
    for record in prepared:
        mine, other = raw[record.key].data, record.data
        assert (mine.scale, mine.origin) == (other.scale, other.origin)
        np.testing.assert_array_equal(mine.time, other.time)
        for column in ("value", "error"):
            np.testing.assert_allclose(getattr(mine, column), getattr(other, column), rtol=1e-6)
        assert mine.position == pytest.approx(other.position, abs=1e-6)
        assert raw[record.key].group == record.group
    labels = reader.load(stars).objects.set_index("object_id").label
    assert labels.to_dict() == {
        str(key): label for key, label in zip(objects.object_id, objects.label, strict=True) if key in keep
    }


def test_a_votable(tmp_path: Path):
    from astropy.io.votable import from_table, writeto
    from astropy.table import Table

    table = Table(
        {
            "object_id": ["a", "b", "a"],
            "mjd": [55000.0, 55001.0, 55002.0],
            "flux": [1.0, 2.0, np.nan],
            "flux_err": [0.1] * 3,
        }
    )
    table["flux"].unit = "mJy"
    table["flux_err"].unit = "uJy"
    for format, name in (("tabledata", "a.vot"), ("binary2", "b.xml")):
        writeto(from_table(table), str(tmp_path / name), tabledata_format=format)
        first, second = read(tmp_path / name)
        assert (first.key, second.key) == ("a", "b")
        assert first.data.value.tolist() == [1.0]
        assert first.data.error == pytest.approx([1e-4])
        assert (first.data.unit, first.data.scale) == ("mJy", "MJD")
        assert first.data.notes == ("observations without a value, left out: 1",)


def test_the_time_origin_of_a_votable(tmp_path: Path):
    text = """<?xml version="1.0" encoding="utf-8"?>
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE>
<TIMESYS ID="t" timeorigin="2457000" timescale="TDB" refposition="BARYCENTER"/>
<TABLE><FIELD name="time" ref="t" datatype="double" unit="d"/><FIELD name="mag" datatype="double" unit="mag"/>
<DATA><TABLEDATA><TR><TD>1325.5</TD><TD>12.5</TD></TR></TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>"""
    curve = read(write(tmp_path, text))[0].data
    assert (curve.scale, curve.origin, curve.time[0]) == ("BTJD", 2457000.0, 1325.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<!DOCTYPE a [<!ENTITY b "ha">]><VOSOURCE>&b;</VOSOURCE>', "defines a document type or entities"),
        (VOSOURCE[:300], "no well-formed XML .*it may be cut off"),
        (VOSOURCE.replace("TABLES", ""), "holds no TABLE with FIELDs and rows"),
        (VOSOURCE.replace("TABLES", TABLE.replace("<TD>0.03</TD>", "")), "2 cells in row 2 for the fields t, m, m_err"),
        (VOSOURCE.replace("TABLES", TABLE + TABLE.replace('"mag"', '"Jy"')), "tables of different fields or units"),
        ("<html><body/></html>", "its root is html"),
        ('<VOTABLE version="1.3"><RESOURCE/></VOTABLE>', "holds no table with rows"),
        ("", "is empty"),
    ],
)
def test_a_broken_file_is_one_clear_line(tmp_path: Path, text: str, message: str):
    with pytest.raises(ValueError, match=message) as error:
        read(write(tmp_path, text))
    assert "\n" not in str(error.value)


def test_no_encoding_hides_an_entity(tmp_path: Path):
    text = '<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "ha">]><VOSOURCE>&b;</VOSOURCE>'
    (tmp_path / "a.xml").write_bytes(text.encode("utf-16"))
    with pytest.raises(ValueError, match="is binary or UTF-16"):
        read(tmp_path / "a.xml")


def test_a_folder_keeps_a_broken_star(tmp_path: Path):
    write(tmp_path, VOSOURCE.replace("TABLES", TABLE), "a.xml")
    write(tmp_path, VOSOURCE[:300], "b.xml")
    good, bad = read(tmp_path)
    assert good.ok
    assert (bad.key, bad.ok) == ("b", False)
