"""Each kind of bad input has one line that names what is wrong and where."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from sciformer.adapter import Record
from sciformer.domains.protein import reader
from sciformer.tokens import Target

WILD = "MKVLAAGIC"
SS = Target("ss", "multiclass", classes=("H", "E", "C"))
DEPTH = Target("depth")


def read(source: object, **options: object) -> list[Record]:
    return list(reader.read(source, **options))


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (None, "missing: no sequence; fill the cell or delete the row"),
        (float("nan"), "missing: no sequence"),
        (pd.NA, "missing: no sequence"),
        ("", "missing: no sequence"),
        (" \n", "missing: no sequence"),
        ("--.*", "no residues: '--.*' has nothing but gaps and stops"),
        ("MKV1A", "'1' at position 4 is no amino acid; letters are ACDEFGHIKLMNPQRSTVWYUOBZJX*"),
        ("M-K V1A", "'1' at position 5 is no amino acid"),
        ("MKМ", r"'\u041c' at position 3 is no amino acid"),
        ("MKﬁ", r"'\ufb01' at position 3 is no amino acid"),
        ("MK🧬V1", r"'\U0001f9ec' at position 3 is no amino acid"),
        ("K2R", "'2' at position 2 is no amino acid"),
        (7, "not a sequence: 7 is of type int"),
        (["M", "K"], "not a sequence: ['M', 'K'] is of type list"),
        (Path("x.txt"), "not a sequence: PosixPath('x.txt')"),
    ],
)
def test_an_unreadable_row_keeps_its_place_and_says_why(cell: object, problem: str):
    records = read(["MKV", cell, "MKL"])
    assert [record.ok for record in records] == [True, False, True]
    assert [record.key for record in records] == ["1", "2", "3"]
    assert problem in records[1].problem
    assert "\n" not in records[1].problem
    assert records[1].data is None


def test_a_bad_variant_keeps_its_place_and_its_answer():
    table = pd.DataFrame({"variant": ["K2R", "K3R", "K2R,K2L"], "y": [1, 2, 3]})
    records = read(table, wild_type=WILD, targets=(Target("y"),))
    assert [record.ok for record in records] == [True, False, False]
    assert "wild type has V at 3, the variant says K3R" in records[1].problem
    assert [record.targets["y"] for record in records] == [1, 2, 3]


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        ({"ss": "HE"}, "'ss' has 2 entries for 3 residues; give one for each"),
        ({"ss": "HEHE", "seq": "MK--V"}, "'ss' has 4 entries for 3 residues (5 characters with gaps and stop)"),
        ({"ss": "HEX"}, "'ss' is 'X' at residue 3, which is no class of it; classes: H, E, C"),
        ({"ss": "H C"}, "'ss' is ' ' at residue 2, which is no class of it"),
        ({"ss": 110}, "'ss' must say something of every residue, got 110 of type int; give text or a list"),
        ({"depth": "1 2 x"}, "'depth' must be numbers within ±1e+18, got 'x' at residue 3"),
        ({"depth": [1.0, float("inf"), 2.0]}, "'depth' must be numbers within ±1e+18, got inf at residue 2"),
        ({"depth": "1 2"}, "'depth' has 2 entries for 3 residues"),
        ({"mask": "012"}, "'mask' must be 0 or 1, got '2' at residue 3"),
        ({"mask": "01"}, "'mask' has 2 entries for 3 residues"),
        ({"plddt": "1"}, "'plddt' has 1 entries for 3 residues"),
    ],
)
def test_what_is_said_of_residues_must_fit_them(cells: dict[str, object], problem: str):
    row = {"seq": "MKV", "ss": "HEC", "depth": "1 2 3", "mask": "111", "plddt": "1 2 3"} | cells
    (record,) = read(pd.DataFrame([row]), labels=(SS, DEPTH), features=("plddt",), mask="mask")
    assert problem in record.problem
    assert "\n" not in record.problem


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("x.fasta", b"", "is empty; it needs one row or record per protein"),
        ("x.fasta", b"MKVLA\nMKV\n", "begins in line 1 with 'MKVLA', no header; FASTA begins with '>' and an id"),
        ("x.fasta", b"seq,y\nMKV,1\n", "begins in line 1 with 'seq,y', no header"),
        ("x.csv", b">a\nMKV\n", "holds FASTA; rename it to end in .fasta"),
        (
            "x.fasta",
            b">a\nMK\n>b\nMV\n>a\nML\n",
            "rows 1 and 3 share the id 'a' of column 'id'; make it unique, or number",
        ),
        ("x.fasta", b">a\nMK\n>\nMV\n", "row 2 has no id in column 'id'; fill it, or number the rows with an empty"),
        ("x.csv", b"seq,seq\nMKV,1\n", "has 2 columns named 'seq'"),
        ("x.csv", b"seq,y\n", "has no data rows"),
        ("x.csv", b"text,y\nMKV,1\n", "no column is known to hold sequences; name it with --data.sequence COLUMN"),
        ("x.csv", b"seq,Seq\nMKV,1\n", "several columns may hold the sequences: seq, Seq; name one"),
        ("x.csv", b"mutant,y\nK2R,1\n", "column 'mutant' holds variants, which say nothing without their wild type"),
        ("x.csv", b"seq,y\nMKV,1,2\n", "cannot be read as a table separated by ','"),
        ("x.csv", b"seq,y\nMKV,\xff\n", "is not UTF-8 text (byte 0xff in line 2)"),
        ("x.csv", "seq,y\nMKV,1\n".encode("utf-16"), "is UTF-16 text; save it as UTF-8"),
        ("x.csv", b"PK\x03\x04", "is a zip archive or an Excel workbook"),
        ("x.fasta", b"<html>", "is a web page"),
        ("x.fasta", b"\x1f\x8bgarbage", "is a damaged gzip file"),
        ("x.fasta", gzip.compress(b">a\nMKV" * 99, mtime=0)[:-9], "is a damaged gzip file"),
        ("x.docx", b"MKV", "ends in '.docx'; known are .fasta, .fa"),
    ],
)
def test_an_unusable_file_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes, problem: str):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r".") as error:
        reader.read(path)  # before the first record is asked for
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def test_repeated_ids_may_be_numbered(tmp_path: Path):
    path = tmp_path / "x.fasta"
    path.write_text(">a\nMK\n>a\nMV\n>\nML\n")
    assert [record.key for record in read(path, id="")] == ["1", "2", "3"]


def test_rows_of_a_bad_fasta_keep_their_place(tmp_path: Path):
    path = tmp_path / "x.fasta"
    path.write_bytes(">a M\xfcller\nMK\n>b\n>c\nMK\xe4\n>d\n1 MKV\n".encode("latin-1"))
    records = read(path)
    assert [record.key for record in records] == ["a", "b", "c", "d"]
    assert [record.problem.split(";")[0] for record in records] == [
        "",
        "missing: no sequence",
        r"'\xe4' at position 3 is no amino acid",
        "'1' at position 1 is no amino acid",
    ]


@pytest.mark.parametrize(
    ("source", "options", "problem"),
    [
        (pd.DataFrame({"seq": ["MKV"], "mutant": ["K2R"]}), {"sequence": "seq", "variant": "mutant"}, "name one of"),
        (pd.DataFrame({"seq": ["MKV"]}), {"sequence": "sek"}, "no sequence column named 'sek'; did you mean 'seq'?"),
        (pd.DataFrame({"seq": ["MKV"]}), {"mask": "m"}, "no mask column named 'm'"),
        (pd.DataFrame({"seq": ["MKV"]}), {"features": ("f",)}, "no feature column named 'f'"),
        (pd.DataFrame({"seq": ["MKV"], "y": ["x"]}), {"targets": (Target("y"),)}, "target 'y' of row '1' must be"),
        (pd.DataFrame([["MKV", "MKL"]], columns=["seq", "seq"]), {}, "the table has 2 columns named 'seq'"),
        ({"seq": "MKV"}, {}, "a dict has no rows in order"),
        (7, {}, "source must be a path, a table or a list of sequences, got int"),
        ("MKV", {"sep": ";"}, "sep can only be given for a file, got str"),
        ("MKV", {"smiles": "x"}, "no option 'smiles' of the reader; options: sequence, variant, structure, id, mask"),
        ("MKV", {"wild_type": "MK1"}, "'1' at position 3 is no amino acid"),
    ],
)
def test_an_unusable_source_is_refused_in_one_line(source: object, options: dict[str, object], problem: str):
    with pytest.raises(ValueError, match=r".") as error:
        reader.read(source, **options)
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"no\.fasta does not exist; check the path"):
        reader.read(str(tmp_path / "no.fasta"))
