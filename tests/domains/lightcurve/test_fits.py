"""FITS light curves of Kepler and TESS, plain binary tables, and broken files."""

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from sciformer.adapter import Record
from sciformer.domains.lightcurve import reader


def read(source: object, **options: object) -> list[Record]:
    return list(reader.read(source, **options))


def spacecraft(path: Path, mission: str = "TESS", checksum: bool = True, **header: object) -> Path:
    """Five cadences in the form of the Kepler and TESS pipelines: big-endian, NaN gaps, flags."""
    time = np.array([1325.1, 1325.2, np.nan, 1325.4, 1325.5])
    columns = [
        fits.Column("TIME", "D", unit="BJD - 2457000, days", array=time),
        fits.Column("CADENCENO", "J", array=np.arange(5)),
        fits.Column("SAP_FLUX", "E", unit="e-/s", array=np.arange(5) + 90.0),
        fits.Column("SAP_FLUX_ERR", "E", unit="e-/s", array=np.full(5, 2.0)),
        fits.Column("PDCSAP_FLUX", "E", unit="e-/s", array=np.arange(5) + 100.0),
        fits.Column("PDCSAP_FLUX_ERR", "E", unit="e-/s", array=np.full(5, 1.0)),
        fits.Column("QUALITY", "J", array=np.array([0, 128, 0, 0, 8])),
        fits.Column("POS", "2E", array=np.zeros((5, 2))),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="LIGHTCURVE")
    table.header.update({"BJDREFI": 2457000, "BJDREFF": 0.0, "TIMEUNIT": "d", **header})
    primary = fits.PrimaryHDU()
    primary.header.update({"TELESCOP": mission, "OBJECT": "TIC 7", "RA_OBJ": 12.34567, "DEC_OBJ": -45.67891})
    fits.HDUList([primary, table, fits.ImageHDU(np.zeros((3, 3)), name="APERTURE")]).writeto(
        path, checksum=checksum, overwrite=True
    )
    return path


def test_a_spacecraft_light_curve(tmp_path: Path):
    (record,) = read(spacecraft(tmp_path / "tess7.fits"))
    curve = record.data
    assert record.key == "tess7"
    assert curve.time.tolist() == [1325.1, 1325.4]
    assert curve.value.tolist() == [100.0, 103.0]
    assert curve.error.tolist() == [1.0, 1.0]
    assert (curve.scale, curve.origin, curve.unit, curve.quantity) == ("BTJD", 2457000.0, "e-/s", "flux")
    assert set(curve.band) == {"TESS"}
    assert curve.position == (12.34567, -45.67891)
    assert curve.notes == ("observations flagged as bad, left out: 2", "observations without a time, left out: 1")
    assert all(column.dtype.isnative for column in (curve.time, curve.value, curve.error))


def test_flags_and_columns_are_options(tmp_path: Path):
    path = spacecraft(tmp_path / "a.fits")
    assert len(read(path, quality=0)[0].data) == 4
    assert len(read(path, quality=128)[0].data) == 3
    assert read(path, value="SAP_FLUX", quality=0)[0].data.error.tolist() == [2.0] * 4


def test_kepler_has_its_own_time_zero(tmp_path: Path):
    path = spacecraft(tmp_path / "k.fits", "Kepler", BJDREFI=2454833)
    curve = read(path)[0].data
    assert (curve.scale, curve.origin, curve.band[0]) == ("BKJD", 2454833.0, "Kepler")
    odd = read(spacecraft(tmp_path / "o.fits", BJDREFI=2456000, BJDREFF=0.25))[0].data
    assert (odd.scale, odd.origin) == ("BJD-2456000.25", 2456000.25)


def test_sectors_of_a_star_are_one_group(tmp_path: Path):
    for i in range(6):
        spacecraft(tmp_path / f"s{i}.fits.gz")
    records = read(tmp_path)
    assert [record.key for record in records] == [f"s{i}" for i in range(6)]
    assert len({record.group for record in records}) == 1
    assert all(record.data.position is not None for record in records)


def test_a_binary_table_of_several_objects(tmp_path: Path):
    columns = [
        fits.Column("star", "4A", array=np.array(["a", "b", "a"])),
        fits.Column("jd", "D", array=np.array([2455000.5, 2455001.5, 2455000.25])),
        fits.Column("mag", "E", unit="mag", array=np.array([12.0, 13.0, 12.5])),
        fits.Column("flag", "I", null=-1, array=np.array([0, -1, 1])),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "t.fits")
    first, second = read(tmp_path / "t.fits")
    assert (first.key, second.key) == ("a", "b")
    assert first.data.time.tolist() == [2455000.25, 2455000.5]
    assert (first.data.quantity, first.data.scale) == ("mag", "JD")


def test_a_lightkurve_like_table(tmp_path: Path):
    columns = [
        fits.Column("TIME", "D", unit="d", array=np.array([2000.0, 2001.0])),
        fits.Column("FLUX", "E", unit="electron / s", array=np.array([1.0, 2.0])),
        fits.Column("FLUX_ERR", "E", unit="electron / s", array=np.array([0.1, 0.2])),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="LIGHTCURVE")
    table.header.update({"BJDREFI": 2457000, "BJDREFF": 0.0})
    table.writeto(tmp_path / "lk.fits")
    curve = read(tmp_path / "lk.fits")[0].data
    assert (curve.scale, curve.unit, len(curve)) == ("BTJD", "electron / s", 2)


@pytest.mark.parametrize("keep", [2000, 4000, 6000, 8000, 9000, 10000, 12000, 14000])
def test_a_cut_file_is_one_clear_line(tmp_path: Path, keep: int):
    path = spacecraft(tmp_path / "a.fits")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"a.fits (is cut off|cannot be read as FITS).*download") as error:
        read(path)
    assert "\n" not in str(error.value)


def test_a_flipped_byte_is_found_by_the_checksum(tmp_path: Path):
    path = spacecraft(tmp_path / "a.fits")
    content = bytearray(path.read_bytes())
    start = content.index(np.array([1325.1], dtype=">f8").tobytes())
    content[start + 6] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"is damaged \((Checksum|Datasum) verification failed.*download it again"):
        read(path)
    assert len(read(spacecraft(tmp_path / "b.fits", checksum=False))[0].data) == 2


def test_garbage_and_files_without_tables(tmp_path: Path):
    (tmp_path / "a.fits").write_bytes(b"garbage" * 1000)
    with pytest.raises(ValueError, match="cannot be read as FITS"):
        read(tmp_path / "a.fits")
    fits.PrimaryHDU(np.zeros((2, 2))).writeto(tmp_path / "image.fits")
    with pytest.raises(ValueError, match="holds no binary table"):
        read(tmp_path / "image.fits")
    (tmp_path / "c.fits.gz").write_bytes(b"\x1f\x8b\x08\x00cut")
    with pytest.raises(ValueError, match="damaged gzip"):
        read(tmp_path / "c.fits.gz")


def test_a_missing_column_is_named(tmp_path: Path):
    fits.BinTableHDU.from_columns([fits.Column("TIME", "D", array=np.ones(2))]).writeto(tmp_path / "a.fits")
    with pytest.raises(ValueError, match=r"no column known to hold fluxes or magnitudes.*columns: TIME"):
        read(tmp_path / "a.fits")
    with pytest.raises(ValueError, match="no value column named 'FLUXX'"):
        read(spacecraft(tmp_path / "b.fits"), value="FLUXX")


def test_a_folder_keeps_a_damaged_file_in_its_place(tmp_path: Path):
    spacecraft(tmp_path / "a.fits")
    path = spacecraft(tmp_path / "b.fits")
    path.write_bytes(path.read_bytes()[:8000])
    good, bad = read(tmp_path)
    assert good.ok
    assert bad.key == "b"
    assert "b.fits" in bad.problem
