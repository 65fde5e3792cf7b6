"""SNANA files, as they are distributed and as they break."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sciformer.adapter import Record
from sciformer.domains.lightcurve import reader
from sciformer.domains.lightcurve.snana import read_pair
from sciformer.tokens import Target

DAT = """SURVEY: DES
SNID:   742
SNTYPE:  -9
RA:      10.123456  deg
DECL:    -43.654321  deg
MWEBV:   0.0111    MW E(B-V)
HOST_GALAXY_PHOTO-Z:   0.4602  +- 0.0393
SIM_COMMENT:  SN Type = II , MODEL = SDSS-018297
SIM_REDSHIFT:  0.4541
NOBS: 3
NVAR: 9
VARLIST:  MJD  FLT FIELD   FLUXCAL   FLUXCALERR   SNR    MAG     MAGERR  SIM_MAG
OBS:  56171.051  g NULL  -3.864e-01   7.809e+01   0.00   28.532   99.468   25.695
OBS:  56172.039  r NULL   1.639e+01   1.759e+01  -0.93  128.000    0.000   25.480
OBS:  56173.051  i NULL  -9.000e+00  -9.000e+00  -0.40   20.000    0.100   25.327
END:
"""


def read(source: object, **options: object) -> list[Record]:
    return list(reader.read(source, **options))


def write(folder: Path, text: str, name: str = "DES_SN000742.DAT") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.fixture
def texts(mirror: Path) -> Path:
    return next(mirror.glob("mirror/raw.githubusercontent.com/TransiXplore/2010SNPCC/*/data/SIMGEN_PUBLIC_DES"))


@pytest.fixture
def pair(mirror: Path, tmp_path: Path) -> Path:
    """HEAD of a copy that may be changed."""
    for path in mirror.glob("mirror/raw.githubusercontent.com/supernnova/SuperNNova/*/tests/raw/DES_Ia-0001_*.FITS"):
        shutil.copyfile(path, tmp_path / path.name)
    return tmp_path / "DES_Ia-0001_HEAD.FITS"


def test_a_text_file_is_one_object_with_what_its_header_says(tmp_path: Path):
    targets = [Target("sim_type", "binary", "", ("Ia", "II")), Target("sim_redshift")]
    (record,) = read(write(tmp_path, DAT), targets=targets)
    curve = record.data
    assert record.key == "742"
    assert record.targets == {"sim_type": 1.0, "sim_redshift": 0.4541}
    assert curve.time.tolist() == [56171.051, 56172.039]
    assert curve.band.tolist() == ["g", "r"]
    assert curve.value.tolist() == [-0.3864, 16.39]
    assert (curve.quantity, curve.zero_point, curve.scale) == ("flux", 27.5, "MJD")
    assert curve.meta == {"redshift": 0.4602, "redshift_err": 0.0393, "extinction": 0.0111}
    assert curve.position == (10.123456, -43.654321)
    assert curve.notes == ("observations with a placeholder for a value, left out: 1",)


def test_magnitudes_can_be_asked_for(tmp_path: Path):
    (record,) = read(write(tmp_path, DAT), quantity="mag")
    assert record.data.value.tolist() == [28.532, 20.0]
    np.testing.assert_array_equal(record.data.error, [np.nan, 0.1])


def test_a_cut_file_says_so(tmp_path: Path):
    with pytest.raises(ValueError, match=r"is cut off in line 14: 5 of 9 columns; fetch it again"):
        read(write(tmp_path, DAT.replace("  -0.93  128.000    0.000   25.480", "")))
    short = DAT[: DAT.index("OBS:  56173")]
    with pytest.raises(ValueError, match=r"is cut off: 2 of 3 observations \(NOBS\); fetch it again"):
        read(write(tmp_path, short))
    with pytest.raises(ValueError, match="no column FLT or BAND in VARLIST"):
        read(write(tmp_path, DAT.replace("FLT", "XXX")))


def test_a_folder_keeps_what_cannot_be_read(tmp_path: Path):
    write(tmp_path, DAT)
    write(tmp_path, DAT.replace("742", "743"), "b.DAT")
    write(tmp_path, DAT, "c.DAT")
    write(tmp_path, DAT.replace("742", "744")[: DAT.index("OBS:  56173")], "d.DAT")
    write(tmp_path, DAT[: DAT.index("OBS:")].replace("742", "745").replace("NOBS: 3", "NOBS: 0"), "e.DAT")
    (tmp_path / "f.DAT").write_text("")
    write(tmp_path, "x", "SIM.README")
    records = read(tmp_path)
    assert [record.key for record in records] == ["742", "743", "c", "d", "745", "f"]
    assert [record.ok for record in records] == [True, True, False, False, False, False]
    for record, problem in zip(
        records[2:], ["SNID '742' of an earlier file", "is cut off", "no OBS", "empty"], strict=True
    ):
        assert problem in record.problem


def test_real_texts_equal_the_prepared_table(mirror: Path, texts: Path):
    folder = mirror / "prepared" / "lightcurves"
    rows, objects = (pd.read_parquet(folder / f"snpcc_{name}.parquet") for name in ("observations", "objects"))
    raw = {record.key: record.data for record in read(texts)}
    keep = rows.object_id.astype(str).isin(list(raw))  # the table has a part of the objects
    prepared = read(rows[keep], objects=objects, zero_point=27.5, scale="MJD")
    prepared = {record.key: record.data for record in prepared if record.ok}
    assert len(prepared) >= 5
    for key, other in prepared.items():
        mine = raw[key]
        assert mine.band.tolist() == other.band.tolist()
        assert (mine.scale, mine.zero_point) == (other.scale, other.zero_point)
        for column in ("time", "value", "error"):
            np.testing.assert_allclose(getattr(mine, column), getattr(other, column), rtol=1e-6)
        assert mine.meta == pytest.approx(other.meta, rel=1e-6)


def test_real_headers_equal_the_prepared_objects(mirror: Path, texts: Path):
    objects = pd.read_parquet(mirror / "prepared" / "lightcurves" / "snpcc_objects.parquet")
    other = objects.set_index(objects.object_id.astype(str))
    mine = reader.load(texts).objects.set_index("object_id")
    both = mine.index.intersection(other.index)
    mine, other = mine.loc[both], other.loc[both]
    assert len(both) >= 5
    assert mine.sim_type.tolist() == other.sim_type.tolist()
    assert mine.sntype.astype(int).tolist() == other.sntype.tolist()
    np.testing.assert_allclose(mine.sim_redshift, other.sim_z, rtol=1e-6)
    np.testing.assert_allclose(mine.sim_peakmjd, other.sim_peakmjd, rtol=1e-9)


def test_coordinates_of_a_field_are_not_those_of_its_objects(texts: Path):
    records = read(texts)
    assert all(record.data.position is None for record in records)
    assert len({record.group for record in records}) == len(records)
    assert all("of a field or a placeholder" in record.data.notes[-1] for record in records)


def test_a_real_pair_is_read_although_its_pointers_are_stale(pair: Path):
    from astropy.io import fits

    targets = [Target("sim_redshift_cmb")]
    records = read(pair, targets=targets)
    assert [r.key for r in records] == [r.key for r in read(pair.with_name("DES_Ia-0001_PHOT.FITS"))]
    head, phot = (fits.getdata(pair.with_name(f"DES_Ia-0001_{part}.FITS"), 1) for part in ("HEAD", "PHOT"))
    assert len(records) == 200
    assert all(record.ok for record in records)
    assert [len(record.data) for record in records] == head["NOBS"].tolist()
    light = phot[phot["MJD"] > 0]
    assert sum(record.data.value.sum() for record in records) == pytest.approx(light["FLUXCAL"].astype(float).sum())
    curve = records[0].data
    assert curve.time.tolist() == phot["MJD"][:71].tolist()
    assert all(column.dtype.isnative for column in (curve.time, curve.value, curve.error))
    assert curve.position == (36.076377, -7.104939)
    assert records[0].targets["sim_redshift_cmb"] == pytest.approx(0.44210234)
    assert "PTROBS of HEAD does not fit PHOT" in curve.notes[0]
    assert {name for record in records for name in record.data.band} == set("griz")


def made_pair(folder: Path, **head: object) -> Path:
    """Two objects of three and two rows, each followed by a separator."""
    from astropy.table import Table

    mjd = [56000.0, 56001, 56002, -777, 56010, 56011, -777]
    phot = {"MJD": mjd, "BAND": ["g "] * 7, "FLUXCAL": np.arange(7.0), "FLUXCALERR": np.ones(7)}
    columns = {"SNID": [" 11 ", " 12 "], "NOBS": [3, 2], "PTROBS_MIN": [1, 5], "PTROBS_MAX": [3, 6], **head}
    Table(phot).write(folder / "X_PHOT.FITS", overwrite=True)
    Table(columns).write(folder / "X_HEAD.FITS", overwrite=True)
    return folder / "X_HEAD.FITS"


def test_a_pair_with_good_pointers(tmp_path: Path):
    first, second = read(made_pair(tmp_path))
    assert (first.key, second.key) == ("11", "12")
    assert first.data.value.tolist() == [0.0, 1.0, 2.0]
    assert second.data.value.tolist() == [4.0, 5.0]
    assert (first.data.band[0], first.data.notes) == ("g", ())
    assert [record.key for record in read(tmp_path)] == ["11", "12"]


def test_an_object_without_rows_keeps_its_place(tmp_path: Path):
    empty, full = read(made_pair(tmp_path, PTROBS_MIN=[1, 5], PTROBS_MAX=[0, 6]))
    assert "no observations" in empty.problem
    assert len(full.data) == 2


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ({"PTROBS_MAX": [3, 9]}, "has 7 rows that do not fit rows 5 to 9 of object 12 in HEAD"),
        ({"PTROBS_MIN": [1, 3]}, "do not fit rows 3 to 6 of object 12"),
        ({"SNID": ["11", "11"]}, "has the SNID '11' twice"),
    ],
)
def test_a_pair_that_does_not_fit_is_one_clear_line(tmp_path: Path, head: dict, message: str):
    with pytest.raises(ValueError, match=message) as error:
        read(made_pair(tmp_path, **head))
    assert "\n" not in str(error.value)


def test_half_a_pair_is_refused(tmp_path: Path):
    path = made_pair(tmp_path)
    (tmp_path / "X_PHOT.FITS").unlink()
    with pytest.raises(FileNotFoundError, match=r"needs X_PHOT.FITS beside it"):
        read(path)


def test_a_cut_pair_is_refused(pair: Path):
    phot = pair.with_name("DES_Ia-0001_PHOT.FITS")
    phot.write_bytes(phot.read_bytes()[:500_000])
    with pytest.raises(ValueError, match=r"PHOT.FITS is cut off \(shorter than its header says\); download it again"):
        read_pair(pair, reader.options_from({}))
