"""Whatever a chemist's file contains, every row comes back: as a molecule or with a reason in one line."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from rdkit.Chem import rdDepictor, rdDistGeom

from sciformer.adapter import Record
from sciformer.data.delimited import MISSING_WORDS
from sciformer.data.targets import infer_targets
from sciformer.domains.molecule import Molecule
from sciformer.domains.molecule.table import NO_REASON, load_table
from sciformer.tokens import Target

ADAPTER = Molecule()
LOG_S = Target("logS", "regression")


def read(source: object, **columns: object) -> list[Record]:
    return list(ADAPTER.read(source, **columns))


def write(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.fixture
def mirror(mirror: Path) -> Path:
    return mirror / "mirror" / "raw.githubusercontent.com"


def mirrored(folder: Path, pattern: str) -> Path:
    return next(folder.glob(pattern))


# --- one row ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "problem"),
    [
        (None, "missing: no SMILES"),
        (float("nan"), "missing: no SMILES"),
        (pd.NA, "missing: no SMILES"),
        ("", "missing: no SMILES"),
        (" \t ", "missing: no SMILES"),
        ("CCO CCN", "two tokens: 'CCO CCN'"),
        ("CC(C)(C)(C)C", "Explicit valence for atom # 1 C, 5, is greater than permitted"),
        ("C1CC", "unparsable: unclosed ring"),
        ("CC(", "unparsable: syntax error while parsing: CC("),
        ("c1cccc1", "unparsable: Can't kekulize mol"),
        ("CCO>>CC=O", "reaction SMILES"),
        ("C" * 3000, "too large: 3000 atoms; the limit is 512"),
        ("C" * 60_000, "too large: 60000 characters; the limit is 512 atoms"),
        ("СCO", r"unparsable: '\u0421' in 'СCO' is not ASCII; type it anew, in Latin letters"),
        ("СО", r"unparsable: '\u0421' in 'СО' is not ASCII"),
        ("\0C", r"unparsable: '\x00' in '\x00C' is no printable character"),
        ("InChI=1S/CH4/h1H4", "unparsable: 'InChI=1S/CH4/h1H4' is an InChI; give the SMILES of the molecule"),
        ("VNWKTOKETHGBQD-UHFFFAOYSA-N", "is an InChIKey; give the SMILES"),
        (Chem.Mol(), "no atoms"),
        (7, "not a SMILES: 7 is of type int"),
    ],
)
def test_an_unreadable_row_keeps_its_place_and_says_why(cell: object, problem: str, capfd):
    records = read(["CCO", cell, "CCN"])
    assert [record.ok for record in records] == [True, False, True]
    assert [record.key for record in records] == ["1", "2", "3"]
    assert problem in records[1].problem
    assert "\n" not in records[1].problem
    assert records[1].data is None
    assert capfd.readouterr() == ("", "")  # RDKit is not heard


@pytest.mark.parametrize(
    ("smiles", "atoms", "group"),
    [
        ("*CC", 3, "*CC"),
        ("CC(=O)[O-].[Na+]", 5, "CC(=O)[O-].[Na+]"),
        ("[H][H]", 2, "[H][H]"),
        ("[H]C([H])([H])[H]", 1, "C"),
        ("[2H]C", 2, "[2H]C"),
        ("[CH3:1][OH:2]", 2, "CO"),
        ("[CH3]", 1, "[CH3]"),
        ("  CCO\n", 3, "CCO"),
        ("[NH3]->[Pt]", 2, "[NH3]->[Pt]"),
        ("FS(F)(F)(F)(F)F", 7, "FS(F)(F)(F)(F)F"),
        ("C[C@H](F)Cl |$a;;;$|", 4, "C[C@H](F)Cl"),
    ],
)
def test_policy_for_unusual_molecules(smiles: str, atoms: int, group: str, capfd):
    (record,) = read(smiles)
    assert record.ok, record.problem
    assert record.data.GetNumAtoms() == atoms
    assert record.group == group
    assert capfd.readouterr() == ("", "")


def test_a_row_that_rdkit_says_nothing_of_is_shown(monkeypatch):
    monkeypatch.setattr("sciformer.domains.molecule.reader.reason", lambda log: NO_REASON)
    assert read("C1CC")[0].problem == "unparsable: RDKit gives no reason for 'C1CC'"


def test_a_native_molecule_is_read_like_its_smiles_and_not_changed():
    mol = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    (record,) = read([mol])
    assert mol.GetNumAtoms() == 9
    assert record.data.GetNumAtoms() == 3
    assert record.group == "CCO"
    raw = Chem.MolFromSmiles("CC(C)(C)(C)C", sanitize=False)
    assert "valence" in read([raw])[0].problem


def test_coordinates_that_cannot_be_are_refused():
    mol = Chem.MolFromSmiles("CCO")
    flat = Chem.Conformer(3)
    flat.Set3D(True)
    mol.AddConformer(flat)
    assert "lie within 0.1 Å" in read([mol])[0].problem
    mol.GetConformer().SetPositions(np.full((3, 3), np.nan))
    assert "not finite" in read([mol])[0].problem


# --- kinds of source -------------------------------------------------------------------------------------


def test_every_kind_of_source_gives_the_same_records(tmp_path: Path):
    smiles = ["CCO", "c1ccccc1", "CC(=O)O"]
    text = "SMILES,logS\n" + "".join(f"{s},{i}\n" for i, s in enumerate(smiles))
    table = pd.DataFrame({"SMILES": smiles, "logS": [0, 1, 2]}, index=["x", "y", "z"])
    table.to_parquet(tmp_path / "a.parquet")
    mols = [Chem.MolFromSmiles(s) for s in smiles]
    sdf = "".join(Chem.MolToMolBlock(mol) + "$$$$\n" for mol in mols)
    sources = [
        smiles,
        tuple(smiles),
        np.array(smiles),
        pd.Series(smiles, index=[7, 8, 9]),
        mols,
        table,
        tmp_path / "a.parquet",
        write(tmp_path, "a.csv", text),
        str(write(tmp_path, "bom.csv", b"\xef\xbb\xbf" + text.encode())),
        write(tmp_path, "crlf.csv", text.replace("\n", "\r\n")),
        write(tmp_path, "packed.csv.gz", gzip.compress(text.encode())),
        write(tmp_path, "a.tsv", text.replace(",", "\t")),
        write(tmp_path, "semicolon.csv", text.replace(",", ";")),
        write(tmp_path, "a.smi", "CCO ethanol\nc1ccccc1\tbenzene\nCC(=O)O acetic acid\n"),
        write(tmp_path, "header.smi", "smiles name\nCCO ethanol\nc1ccccc1 benzene\nCC(=O)O acetic acid\n"),
        write(tmp_path, "a.sdf", sdf),
        write(tmp_path, "a.sdf.gz", gzip.compress(sdf.encode())),
    ]
    for source in sources:
        records = read(source)
        assert [r.key for r in records] == ["1", "2", "3"], source
        assert [r.group for r in records] == smiles, source
    assert [r.group for r in read("CCO")] == ["CCO"]
    assert [r.group for r in read(mols[0])] == ["CCO"]
    assert read([]) == []


def test_blank_lines_inside_a_file_are_rows(tmp_path: Path):
    records = read(write(tmp_path, "a.csv", "smiles\nCCO\n\nCCN\n\n\n"))
    assert [r.ok for r in records] == [True, False, True]
    assert [r.ok for r in read(write(tmp_path, "a.smi", "CCO\n\nCCN\n"))] == [True, False, True]


def test_sdf_keeps_properties_names_shape_and_broken_entries(tmp_path: Path):
    solid = Chem.AddHs(Chem.MolFromSmiles("C[C@H](N)O"))
    assert rdDistGeom.EmbedMolecule(solid, randomSeed=1) == 0
    flat = Chem.MolFromSmiles("F[C@H](Cl)Br")
    rdDepictor.Compute2DCoords(flat)
    Chem.WedgeMolBonds(flat, flat.GetConformer())
    solid.SetProp("_Name", "solid")
    blocks = [Chem.MolToMolBlock(solid), "broken\n\n\nnot a molfile\nM  END\n", Chem.MolToMolBlock(flat)]
    remark = ">  <remark>  (3)\nline one\nline two\n"
    text = "".join(f"{block}> <logS>\n{i}.5\n\n{remark}\n$$$$\n" for i, block in enumerate(blocks))
    path = write(tmp_path, "a.sdf", text.replace("\n", "\r\n"))
    table = load_table(path)
    assert table["logS"].tolist() == [0.5, 1.5, 2.5]
    assert table["remark"][0] == "line one\nline two"
    assert table["name"].tolist() == ["solid", "broken", ""]
    records = read(path, targets=[LOG_S])
    assert [record.ok for record in records] == [True, False, True]
    assert records[1].problem.startswith("unparsable: ")
    assert records[1].targets == {"logS": 1.5}
    assert records[0].group == "C[C@H](N)O"
    assert records[2].group == Chem.CanonSmiles("F[C@H](Cl)Br")
    assert ADAPTER.tokenize(records[0]).coords.any()
    assert not ADAPTER.tokenize(records[2]).coords.any()


def test_comments_separator_and_names_of_a_bare_file(tmp_path: Path):
    path = write(tmp_path, "a.txt", "# made by hand\n#id; smiles\nm1; C#N; -2.5\nm2; CCO; 1\n")
    options = {"sep": ";", "comment": "#", "names": ("id", "smiles", "logS")}
    records = read(path, id="id", targets=[LOG_S], **options)
    assert [(r.key, r.group, r.targets["logS"]) for r in records] == [("m1", "C#N", -2.5), ("m2", "CCO", 1.0)]
    with pytest.raises(ValueError, match="sep can only be given for a file"):
        read(["C"], sep=";")
    with pytest.raises(ValueError, match="no option 'seperator' of the reader; options: smiles, id, sep, comment, nam"):
        read(path, seperator=";")


def test_pandas_words_for_missing_are_missing_in_every_format(tmp_path: Path):
    words = sorted(MISSING_WORDS)
    head = "smiles,y,z\nCCO,1.5,x\n"
    csv = write(tmp_path, "a.csv", head + "".join(f"CCN,{word},{word}\n" for word in words))
    assert load_table(csv)["y"].isna().tolist() == [False, *(True for _ in words)]  # the list is that of pandas
    cells = pd.DataFrame({"smiles": ["CCO", *("CCN" for _ in words)], "y": ["1.5", *words], "z": ["x", *words]})
    parquet = tmp_path / "a.parquet"
    cells.to_parquet(parquet)
    blocks = [
        f"{Chem.MolToMolBlock(Chem.MolFromSmiles(row.smiles))}> <y>\n{row.y}\n\n> <z>\n{row.z}\n\n$$$$\n"
        for row in cells.itertuples()
    ]
    sdf = write(tmp_path, "a.sdf", "".join(blocks))
    target, colour = Target("y"), Target("z", "binary", "", ("x", "NA"))
    for path in (csv, parquet, sdf):
        records = read(path, targets=[target, colour])
        assert [r.targets for r in records] == [{"y": 1.5, "z": 0.0}, *({} for _ in words)], path
    smi = write(tmp_path, "a.smi", "CCO\n" + "".join(f"{word.split()[0]}\n" for word in words))
    assert all("missing: no SMILES" in record.problem for record in read(smi)[1:])
    assert ADAPTER.table(sdf)["y"].tolist() == cells["y"].tolist()  # beside answers, cells stand as in the file
    assert ADAPTER.table(csv)["y"].tolist() == cells["y"].tolist()


def test_ids_and_classes_of_an_sdf_stay_text(tmp_path: Path):
    block = Chem.MolToMolBlock(Chem.MolFromSmiles("CCO"))
    path = write(tmp_path, "a.sdf", "".join(f"{block}> <code>\n{code}\n\n$$$$\n" for code in ("007", "08")))
    assert [record.key for record in read(path, id="code")] == ["007", "08"]
    assert ADAPTER.table(path)["code"].tolist() == ["007", "08"]
    assert load_table(path)["code"].tolist() == [7, 8]


def test_a_long_smiles_is_not_taken_for_a_path():
    (record,) = read("C" * 400)
    assert record.data.GetNumAtoms() == 400


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b" \n\n", "is empty"),
        ("a.csv", b"smiles,logS\n", "has no data rows"),
        ("a.csv", b"\x00\x01\x02smiles", "is binary"),
        ("a.csv", b"PK\x03\x04stuff", "Excel workbook"),
        ("a.csv", b"PAR1stuff", "is a Parquet file"),
        ("a.csv", b"<!DOCTYPE html><html></html>", "is a web page"),
        ("a.csv", "smiles\nCCO,é\n".encode("latin-1"), "is not UTF-8 text .byte 0xe9 in line 2."),
        ("a.csv", "smiles\nCCO\n".encode("utf-16"), "is UTF-16 text"),
        ("a.csv", b"smiles,logS,logS\nC,1,2\n", r"2 columns named 'logS' \(columns \[2, 3\]\); rename"),
        ("a.csv", b"smiles,logS\nC,1\nCC,1,2\n", "cannot be read as a table"),
        ("a.csv", b"smiles,logS\nC,1,5\nCC,1,2\n", "cannot be read as a table"),
        (
            "a.csv",
            b"formula,logS\nC,1\n",
            r"no column is known to hold SMILES; .* --data\.smiles .* --columns\.smiles .*columns: formula, logS",
        ),
        ("a.csv", b"mol,structure\nC,C\n", "several columns may hold the structures: mol, structure"),
        ("a.csv.gz", b"\x1f\x8b\x08\x00broken", "damaged gzip"),
        ("a.parquet", b"smiles\nC\n", "cannot be read as Parquet"),
        ("a.xlsx", b"PK", "ends in '.xlsx'; known are .csv"),
        ("data", b"smiles\nC\n", "has no file name ending"),
        ("a.csv", b"m\n\n\n  1  0  0 0 0 0 0 0 0 0999 V2000\n", "holds molfiles"),
    ],
)
def test_an_unusable_file_is_one_clear_line(tmp_path: Path, name: str, content: bytes, message: str):
    with pytest.raises(ValueError, match=message) as error:
        ADAPTER.read(write(tmp_path, name, content))
    assert "\n" not in str(error.value)


def test_a_directory_and_a_missing_file_are_one_clear_line(tmp_path: Path):
    with pytest.raises(ValueError, match="is a directory"):
        ADAPTER.read(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        ADAPTER.read(tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        ADAPTER.read("none.csv")
    with pytest.raises(ValueError, match="got float"):
        ADAPTER.read(1.5)


def test_columns_are_found_by_name():
    table = pd.DataFrame({"mol": ["C"], "Smiles": ["CC"], "drug": ["CCC"], 5: [1.0]})
    assert read(table)[0].group == "CC"
    assert read(table, smiles="drug", targets=[Target("5")])[0].group == "CCC"
    with pytest.raises(ValueError, match="no SMILES column named 'smilse'; did you mean 'Smiles'"):
        read(table, smiles="smilse")
    twice = pd.DataFrame([["C", 1, 2]], columns=["smiles", "y", "y"])
    with pytest.raises(ValueError, match="the table has 2 columns named 'y'"):
        read(twice)


def test_keys_come_from_the_id_column_and_are_unique(tmp_path: Path):
    path = write(tmp_path, "a.csv", "code,smiles\n007,C\n08,CC\n")
    assert [r.key for r in read(path, id="code")] == ["007", "08"]
    with pytest.raises(ValueError, match="rows 1 and 3 share the id 'a' of column 'code'"):
        read(pd.DataFrame({"code": ["a", "b", "a"], "smiles": ["C", "C", "C"]}), id="code")
    with pytest.raises(ValueError, match="row 2 has no id in column 'code'"):
        read(pd.DataFrame({"code": ["a", None], "smiles": ["C", "C"]}), id="code")


# --- targets ---------------------------------------------------------------------------------------------


def test_known_targets_are_read_and_missing_ones_are_absent(tmp_path: Path):
    path = write(
        tmp_path,
        "a.csv",
        "smiles,logS,toxic,colour\nC,1.5,yes,red\nCC,,no,\nCCC,NA, ,blue\nX(,2,yes,green\nCO,3,no,red\n",
    )
    targets = infer_targets(load_table(path), ["logS", "toxic", "colour"], units={"logS": "log10 mol/L"})
    assert targets == (
        Target("logS", "regression", "log10 mol/L"),
        Target("toxic", "binary", "", ("no", "yes")),
        Target("colour", "multiclass", "", ("blue", "green", "red")),
    )
    assert [r.targets for r in read(path, targets=targets)] == [
        {"logS": 1.5, "toxic": 1.0, "colour": 2.0},
        {"toxic": 0.0},
        {"colour": 0.0},
        {"logS": 2.0, "toxic": 1.0, "colour": 1.0},
        {"logS": 3.0, "toxic": 0.0, "colour": 2.0},
    ]


@pytest.mark.parametrize(
    ("cells", "kind", "classes"),
    [
        ([0, 1, 1], "binary", ("0", "1")),
        ([0.0, 1.0, None], "binary", ("0", "1")),
        (["1", "0", "1.0"], "binary", ("0", "1")),
        ([-1, 1, 1], "binary", ("-1", "1")),
        ([True, False, None], "binary", ("False", "True")),
        (["active", "inactive", None], "binary", ("inactive", "active")),
        (["a", "b", "c", "a"], "multiclass", ("a", "b", "c")),
        ([1, 2, 3], "regression", ()),
        ([1, 2, 1], "regression", ()),
        (["1", "2.5", " 3 "], "regression", ()),
    ],
)
def test_the_kind_of_a_target_follows_from_its_values(cells: list, kind: str, classes: tuple[str, ...]):
    (target,) = infer_targets(pd.DataFrame({"y": pd.Series(cells, dtype=object)}), ["y"])
    assert (target.kind, target.classes) == (kind, classes)


def test_a_given_kind_overrules_the_inferred_one():
    table = pd.DataFrame({"smiles": ["C", "CC", "CCC"], "y": [10, 9, 2]})
    (target,) = infer_targets(table, ["y"], {"y": "multiclass"})
    assert target.classes == ("2", "9", "10")
    assert [r.targets["y"] for r in read(table, targets=[target])] == [2.0, 1.0, 0.0]
    commas = pd.DataFrame({"y": ["1,2", "1,3", "1,2"]})
    assert infer_targets(commas, ["y"], {"y": "multiclass"})[0].classes == ("1,2", "1,3")
    with pytest.raises(ValueError, match="binary target 'y' needs two classes, got 10, 2, 9"):
        infer_targets(table, ["y"], {"y": "binary"})
    with pytest.raises(ValueError, match="kind of target 'y' must be"):
        infer_targets(table, ["y"], {"y": "number"})
    with pytest.raises(ValueError, match="a kind is given for 'z', no target"):
        infer_targets(table, ["y"], {"z": "binary"})


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([1.0, 2.0, 1e300], r"'logS' of row '3' must lie within ±1e\+18, got 1e\+300 \(1 such rows\); choose another"),
        ([None, 1.5, None], "'logS' is '1.5' in the only labelled row"),
        ([None, None, None], "'logS' has no value in any of 3 rows"),
        (["", " ", None], "'logS' has no value in any of 3 rows"),
        ([1.0, 1.0, None], "'logS' is '1' in all 2 labelled rows"),
        ([1.0, "high", 2.0], "'logS' of row '2' must be a finite number, got 'high'"),
        ([1.0, 2.0, "inf"], "'logS' of row '3' must be a finite number, got 'inf'"),
        (["<5", "6", "7"], "'logS' of row '1' must be a finite number, got '<5'"),
        (["1,5", "-2,25", "1e3"], r"'logS' of row '1' must be a finite number, got '1,5'.*; write decimal points"),
        (["1,5", "1,5", "2,5"], r"'logS' of row '1' must be a finite number, got '1,5'.*; write decimal points"),
        (["-1,5e-3", "3,", "2,5"], "got '-1,5e-3'"),
        (["a|b", "a", None], r"class 'a\\|b' of target 'logS' contains '\\|', which separates"),
        (["one", "two", "three"], "is text with 3 different values in 3 rows"),
    ],
)
def test_an_unusable_target_is_one_clear_line(cells: list, message: str):
    table = pd.DataFrame({"smiles": ["C", "CC", "CCC"], "logS": pd.Series(cells, dtype=object)})
    with pytest.raises(ValueError, match=message):
        infer_targets(table, ["logS"])


def test_a_missing_target_column_lists_those_like_it():
    table = pd.DataFrame({"smiles": ["C"], "logS": [1.0]})
    with pytest.raises(ValueError, match=r"no target column named 'LOGS_'; did you mean 'logS'. columns: "):
        infer_targets(table, ["LOGS_"])
    with pytest.raises(ValueError, match="no target column named 'logD'"):
        read(table, targets=[Target("logD")])
    with pytest.raises(ValueError, match="must be different columns"):
        infer_targets(table, ["logS", "logS"])


def test_an_unusable_target_cell_names_column_row_value_and_remedy():
    table = pd.DataFrame({"name": ["a", "b"], "smiles": ["C", "CC"], "y": ["1", "many"]})
    with pytest.raises(ValueError, match=r"target 'y' of row 'b' must be a finite number, got 'many'.*empty"):
        read(table, id="name", targets=[Target("y")])
    with pytest.raises(ValueError, match="target 'y' of row 'b' must be one of 0, 1, got 'many'; correct it"):
        read(table, id="name", targets=[Target("y", "binary", "", ("0", "1"))])


def test_one_row_is_read():
    (record,) = read(pd.DataFrame({"smiles": ["C"], "logS": [1]}), targets=[LOG_S])
    assert record.targets == {"logS": 1.0}


# --- real files ------------------------------------------------------------------------------------------


def test_freesolv_is_read_whole(mirror: Path):
    names = ("id", "smiles", "iupac", "expt", "sd", "calc", "calc sd", "reference", "calc reference", "notes")
    path = mirrored(mirror, "MobleyLab/FreeSolv/*/database.txt")
    options = {"sep": ";", "comment": "#", "names": names}
    targets = infer_targets(load_table(path, **options), ["expt"])
    records = read(path, id="id", targets=targets, **options)
    assert len(records) == 642
    assert all(record.ok and "expt" in record.targets for record in records)
    assert records[0].key == "mobley_1017962"


def test_tox21_keeps_its_eight_unreadable_rows(mirror: Path):
    path = mirrored(mirror, "deepchem/deepchem/*/datasets/tox21.csv.gz")
    (target,) = infer_targets(load_table(path), ["NR-AR"])
    records = read(path, id="mol_id", targets=[target])
    assert len(records) == 8014
    assert sum(not record.ok for record in records) == 8
    assert target == Target("NR-AR", "binary", "", ("0", "1"))
    assert any("NR-AR" not in record.targets for record in records)


@pytest.mark.parametrize(
    ("pattern", "rows"),
    [
        ("deepchem/deepchem/*/datasets/delaney-processed.csv", 1128),
        ("deepchem/deepchem/*/datasets/desc_canvas_aug30.csv", 1522),
        ("tencent-ailab/grover/*/exampledata/finetune/bbbp.csv", 2039),
        ("tencent-ailab/grover/*/exampledata/finetune/clintox.csv", 1478),
        ("Ryan-Rhys/The-Photoswitch-Dataset/*/dataset/photoswitches.csv", 405),
    ],
)
def test_real_tables_are_read_and_tokenised(mirror: Path, pattern: str, rows: int):
    records = read(mirrored(mirror, pattern))
    assert len(records) == rows
    assert all(record.ok for record in records)
    for record in records[:: max(1, rows // 40)]:
        ADAPTER.schema.check(ADAPTER.tokenize(record))
