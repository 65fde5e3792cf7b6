"""Prepared tables rebuilt from clones: row by row those of the cards, and never half a set under a card's name."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

import sciformer.data as data
from sciformer.cli import main
from sciformer.data import build, cards
from sciformer.domains.lightcurve import build as makers
from sciformer.domains.lightcurve.adapter import LightCurve

CLONES = {
    "snpcc": ("TransiXplore/2010SNPCC", 8, 671),
    "debosscher": ("longjp/lightcurves", 40, 4801),
    "stripe82_rrlyrae": ("light-curve/test-data", 37, 10596),
}
"""Where the files of a card come from; objects of the card and their observations in the sample of the mirror."""

STAR = """<VOSOURCE><ID>1</ID>
<Value2><c1>0.7</c1><c2>-23.5</c2></Value2>
<TABLE name="Clear:a"><FIELD name="t" unit="day"/><FIELD name="m" unit="mag"/><FIELD name="m_err" unit="mag"/>
<DATA><TABLEDATA><TR><TD>7897.25</TD><TD>10.5</TD><TD>VALUE</TD></TR></TABLEDATA></DATA></TABLE>
<class name="Mira"/></VOSOURCE>"""


def clone(mirror: Path, name: str) -> Path:
    (folder,) = (mirror / "mirror/raw.githubusercontent.com" / CLONES[name][0]).iterdir()
    return folder


def stars(folder: Path, *errors: str) -> Path:
    """A clone of Debosscher's stars, one observation each."""
    (folder / "data/debosscher").mkdir(parents=True)
    for i, error in enumerate(errors):
        (folder / f"data/debosscher/{i}.xml").write_text(STAR.replace("VALUE", error))
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SCIFORMER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.parametrize("name", CLONES)
def test_rows_from_a_clone_are_those_of_the_card(name, mirror):
    built = makers.tables(name, clone(mirror, name), iter)
    assert built is not None
    assert [len(built[part]) for part in ("", "observations")] == list(CLONES[name][1:])
    for part, table in built.items():
        whole = data.load(name, part)
        rows = whole[whole["object_id"].isin(table["object_id"])].reset_index(drop=True)
        pd.testing.assert_frame_equal(table, rows, check_exact=True)


@pytest.mark.parametrize("name", CLONES)
def test_whole_tables_are_byte_for_byte_those_of_the_card_and_land_in_the_cache(name, mirror, cache, monkeypatch):
    tables = {part: data.load(name, part) for part in ("", "observations")}
    monkeypatch.setattr(LightCurve, "build", lambda *args: tables)
    built = build.build(name, mirror)
    assert not built.difference
    assert built.objects == cards.card(name).rows
    monkeypatch.delenv("SCIFORMER_MIRROR")
    assert data.fetch(name) == list(built.paths)
    assert all(path.is_relative_to(cache) for path in built.paths)


def test_part_of_a_set_is_counted_and_never_reaches_the_cache(mirror, cache, tmp_path):
    folder = clone(mirror, "snpcc")
    message = "the clone holds 8 of the 5103 objects of 'snpcc'; nothing is written: complete the clone"
    for out in (None, cache / "prepared/lightcurves"):
        with pytest.raises(data.HashError, match=message):
            build.build("snpcc", folder, out)
    assert not cache.exists()
    built = build.build("snpcc", folder, tmp_path / "mine")
    assert built.difference == message.partition(";")[0]
    assert [path.name for path in built.paths] == ["snpcc_objects.parquet", "snpcc_observations.parquet"]
    records = list(LightCurve().read(built.paths[1], objects=built.paths[0], scale="MJD", zero_point=27.5))
    assert [record.ok for record in records] == [True] * 8


def test_whole_tables_of_other_rows_are_told_by_the_name_of_the_file(mirror, cache, monkeypatch):
    tables = {part: data.load("stripe82_rrlyrae", part) for part in ("", "observations")}
    tables[""].loc[0, "period"] += 1e-12
    monkeypatch.setattr(LightCurve, "build", lambda *args: tables)
    message = (
        r"^stripe82_rrlyrae_objects\.parquet, all 483 objects, is not byte for byte as in the card: the clone is of"
    )
    with pytest.raises(data.HashError, match=message):
        build.build("stripe82_rrlyrae", mirror)
    assert not cache.exists()


def test_the_command_says_what_came_of_it(tmp_path, cache, capsys):
    folder = stars(tmp_path / "clone", "0.02", "0.03")
    main(["data", "build", "debosscher", "--from", str(folder), "--out", str(tmp_path / "out")])
    *paths, said = capsys.readouterr().out.splitlines()
    assert said == "2 objects, not the files of the card: the clone holds 2 of the 1392 objects of 'debosscher'"
    objects, observations = (pd.read_parquet(path) for path in paths)
    assert objects.to_dict("list") == {"object_id": [0, 1], "label": ["Mira"] * 2, "ra": [0.7] * 2, "dec": [-23.5] * 2}
    assert observations["mag_err"].round(3).tolist() == pytest.approx([0.02, 0.03])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [Path(path).name for path in paths]


def test_a_folder_that_is_no_clone_is_told_what_it_lacks(tmp_path, mirror):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere; give that of a clone"):
        build.build("snpcc", tmp_path / "nowhere")
    for name, missing in (
        ("snpcc", r"data/SIMGEN_PUBLIC_DES/\*\.DAT"),
        ("debosscher", r"data/debosscher/\*\.xml"),
        ("stripe82_rrlyrae", r"RRLyrae/apj326724t2\.txt"),
    ):
        with pytest.raises(FileNotFoundError, match=rf"has no {missing}; give .* github\.com/{CLONES[name][0]}"):
            build.build(name, tmp_path)
    half = tmp_path / "RRLyrae"
    half.mkdir()
    shutil.copy(clone(mirror, "stripe82_rrlyrae") / "RRLyrae/apj326724t2.txt", half)
    with pytest.raises(FileNotFoundError, match=r"has no RRLyrae/light-curves/\*\.csv"):
        build.build("stripe82_rrlyrae", tmp_path)
    (half / "light-curves").mkdir()
    (half / "light-curves/7.csv").write_text("time,mag,magerr,band\n1,2,3,g\n")
    with pytest.raises(ValueError, match=r"7\.csv is of no star in .*apj326724t2\.txt; the files do not belong"):
        build.build("stripe82_rrlyrae", tmp_path)
    (half / "apj326724t2.txt").write_text("<html>")
    with pytest.raises(ValueError, match=r"apj326724t2\.txt cannot be read as a table of the journal"):
        build.build("stripe82_rrlyrae", tmp_path)


def test_supernovae_that_are_not_of_the_card_alone_are_refused(tmp_path):
    folder = tmp_path / "data/SIMGEN_PUBLIC_DES"
    folder.mkdir(parents=True)
    (folder / "DES_SN000019.DAT").write_text("SNID: 19\n")
    with pytest.raises(FileNotFoundError, match="has none of the supernovae of the card"):
        build.build("snpcc", tmp_path)
    (folder / "DES_SN000017.DAT").write_text("SNID: 17\n")
    with pytest.raises(ValueError, match=r"DES_SN000017\.DAT has no SNTYPE in its header; fetch it again"):
        build.build("snpcc", tmp_path)


@pytest.mark.parametrize(("error", "message"), [("wide", "0.xml cannot be read"), ("</TD>", "is no well-formed XML")])
def test_a_damaged_file_is_named(tmp_path, error, message):
    with pytest.raises(ValueError, match=message):
        build.build("debosscher", stars(tmp_path, error), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_downloaded_or_unknown_is_not_built(tmp_path):
    with pytest.raises(ValueError, match="'esol' are not built but downloaded: sciformer data fetch esol"):
        build.build("esol", tmp_path)
    with pytest.raises(ValueError, match="'esol_splits' cannot be built; put them into a folder of SCIFORMER_MIRROR"):
        build.build("esol_splits", tmp_path)
    with pytest.raises(ValueError, match="no data card named 'snpc'"):
        build.build("snpc", tmp_path)
