"""FASTA becomes a table: headers give keys and columns, and nothing before the first header is passed over."""

import gzip
from pathlib import Path

import pytest

from sciformer.data import fasta
from sciformer.domains.protein.table import load_table

PATH = Path("x.fasta")


def test_a_header_gives_key_columns_and_description():
    table = fasta.table(PATH, ">a first one SET=train TARGET=0.3\nMK V\nLA\n\n>b\nMK\n>c TARGET=a=b VALIDATION=False\n")
    assert list(table.columns) == ["id", "sequence", "description", "SET", "TARGET", "VALIDATION"]
    assert table["id"].tolist() == ["a", "b", "c"]
    assert table["sequence"].tolist() == ["MKVLA", "MK", ""]
    assert table["description"].tolist() == ["first one", "", ""]
    assert table["TARGET"].iloc[[0, 2]].tolist() == ["0.3", "a=b"]
    assert table["TARGET"].isna().tolist() == [False, True, False]


def test_values_of_uniprot_end_where_the_next_key_begins():
    header = ">sp|P0A7B8|HSLV_ECOLI ATP-dependent protease OS=Escherichia coli (strain K12) OX=83333 GN=hslV PE=1 SV=2"
    (row,) = fasta.table(PATH, f"{header}\nMTTIV").to_dict("records")
    assert row["id"] == "sp|P0A7B8|HSLV_ECOLI"
    assert row["description"] == "ATP-dependent protease"
    assert row["OS"] == "Escherichia coli (strain K12)"
    assert row["SV"] == "2"


def test_a_key_cannot_hide_the_sequence():
    (row,) = fasta.table(PATH, ">a id=b sequence=MMMM\nMK").to_dict("records")
    assert (row["id"], row["sequence"]) == ("a", "MK")


def test_three_lines_per_record_are_told_from_wrapped_sequences():
    three = fasta.table(PATH, ">a\nMKVL\nSSOO\n>b\nMKV\nSOO\n")
    assert three["sequence"].tolist() == ["MKVL", "MKV"]
    assert three["labels"].tolist() == ["SSOO", "SOO"]
    wrapped = fasta.table(PATH, ">a\nMKVL\nMKVL\n>b\nMKVL\nMKVA\n")
    assert wrapped["sequence"].tolist() == ["MKVLMKVL", "MKVLMKVA"]
    assert "labels" not in wrapped
    named = fasta.table(Path("x.3line"), ">a\nMKVL\nSSOO\n")
    assert named[["sequence", "labels"]].to_numpy().tolist() == [["MKVL", "SSOO"]]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("MKVLA\nMK", "x.fasta begins in line 1 with 'MKVLA', no header; FASTA begins with '>' and an id"),
        ("\n; remark\n>a\nMK", "x.fasta begins in line 2 with '; remark', no header"),
        (">a\nMK\n>b N=1 N=2\nMK", "x.fasta: record 2 ('b') has N= twice in its header; keep one"),
    ],
)
def test_what_is_no_fasta_is_refused(text: str, problem: str):
    with pytest.raises(ValueError, match=r"x\.fasta") as error:
        fasta.table(PATH, text)
    assert problem in str(error.value)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
@pytest.mark.parametrize(
    "text", [b">a X=1\nMK\n>b\nNA\n", b"\xef\xbb\xbf>a X=1\r\nMK\r\n>b\r\nNA\r\n", b">a X=1\rMK\r>b\rNA"]
)
def test_line_ends_marks_and_packing_change_nothing(tmp_path: Path, text: bytes, pack):
    path = tmp_path / "x.faa"  # packed or not: the content says so
    path.write_bytes(pack(text))
    table = load_table(path)
    assert table["id"].tolist() == ["a", "b"]
    assert table["sequence"].tolist() == ["MK", "NA"]  # no word for a missing cell, but asparagine and alanine
