"""Structures are the residues that were seen: every choice among models, atoms and places is written down and told."""

import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from Bio.PDB.mmcifio import MMCIFIO
from Bio.PDB.PDBParser import PDBParser

from sciformer.domains.protein.chains import BREAK
from sciformer.domains.protein.structure import read_structure

THREE = {"M": "MET", "K": "LYS", "V": "VAL", "L": "LEU", "A": "ALA", "G": "GLY"}


def atom(
    name: str, residue: str, number: str, x: float, chain: str = "A", alt: str = " ", hetero: bool = False, **rest
):
    """One line of a PDB file; ``number`` may end with an insertion code."""
    digits, code = (number[:-1], number[-1]) if number[-1].isalpha() else (number, " ")
    occupancy = rest.get("occupancy", 1.0)
    kind = "HETATM" if hetero else "ATOM"
    return (
        f"{kind:<6}{1:>5}  {name:<3}{alt}{residue:>3} {chain}{digits:>4}{code}   "
        f"{x:8.3f}{0.0:8.3f}{0.0:8.3f}{occupancy:6.2f}{0.0:6.2f}          {name[0]:>2}"
    )


def chain(sequence: str, first: int = 1, name: str = "A", x: float = 0.0) -> list[str]:
    """C-alpha atoms in a straight line."""
    return [atom("CA", THREE[letter], str(first + i), x + 3.8 * i, name) for i, letter in enumerate(sequence)]


def write(folder: Path, lines: list[str], name: str = "x.pdb") -> Path:
    path = folder / name
    path.write_text("\n".join([*lines, "END", ""]))
    return path


def mmcif(lines: list[str]) -> str:
    structure = PDBParser(QUIET=True).get_structure("x", io.StringIO("\n".join(lines)))
    out, text = MMCIFIO(), io.StringIO()
    out.set_structure(structure)
    out.save(text)
    return text.getvalue()


def test_both_formats_say_the_same_packed_or_not(tmp_path: Path):
    lines = [*chain("MKV"), *chain("LA", first=7, name="B", x=50)]
    paths = [write(tmp_path, lines), tmp_path / "x.ent.gz", tmp_path / "x.cif", tmp_path / "x.mmcif.gz"]
    paths[1].write_bytes(gzip.compress(paths[0].read_bytes()))
    paths[2].write_text(mmcif(lines))
    paths[3].write_bytes(gzip.compress(paths[2].read_bytes()))
    for path in paths:
        found = read_structure(path)
        assert found.residues == "MKVLA"
        assert found.starts == (0, 3)
        assert found.names == ("A", "B")
        assert found.numbers == ("1", "2", "3", "7", "8")
        assert found.order.tolist() == [0, 1, 2, 2 + BREAK, 3 + BREAK]
        assert found.xyz is not None
        assert found.xyz[:, 0] == pytest.approx([0, 3.8, 7.6, 50, 53.8])
        assert found.notes == ()


def test_chains_and_models_are_chosen(tmp_path: Path):
    one, two = [*chain("MK"), *chain("VL", name="B", x=50)], [*chain("AA"), *chain("GG", name="B", x=50)]
    path = write(tmp_path, ["MODEL        1", *one, "ENDMDL", "MODEL        5", *two, "ENDMDL"])
    assert read_structure(path).residues == "MKVL"
    assert read_structure(path).notes == (
        "the first of 2 models was read; --columns.model 2 (model=2 in Python) reads the next",
    )
    assert read_structure(path, model=5).residues == "AAGG"
    assert read_structure(path, model=5).notes == ()
    assert read_structure(path, chains=("B", "A")).residues == "VLMK"
    with pytest.raises(ValueError, match=r"x\.pdb has no model 2; models: 1, 5"):
        read_structure(path, model=2)
    with pytest.raises(ValueError, match=r"x\.pdb has no chain 'C'; chains: A, B"):
        read_structure(path, chains=("C",))


def test_missing_residues_leave_a_gap_unless_the_neighbours_are_bonded(tmp_path: Path):
    far = [*chain("MK"), *chain("VL", first=6, x=30)]
    found = read_structure(write(tmp_path, far))
    assert found.order.tolist() == [0, 1, 5, 6]
    assert found.notes == ("1 gaps of missing residues",)
    near = [*chain("MK"), *chain("VL", first=6, x=7.6)]  # numbers of a scheme for antibodies
    assert read_structure(write(tmp_path, near)).order.tolist() == [0, 1, 2, 3]
    falling = [*chain("MK", first=900), *chain("VL", first=1, x=30), *chain("A", first=4000, x=80)]
    assert read_structure(write(tmp_path, falling)).order.tolist() == [0, 1, 2, 3, 3 + BREAK]


def test_insertions_keep_their_names(tmp_path: Path):
    lines = [atom("CA", "ALA", number, 9.0 * i) for i, number in enumerate(("52", "52A", "52B", "53"))]
    found = read_structure(write(tmp_path, lines))
    assert found.numbers == ("52", "52A", "52B", "53")
    assert found.order.tolist() == [0, 1, 2, 3]


def test_modified_residues_are_read_and_ligands_left_out(tmp_path: Path):
    lines = [
        *chain("M"),
        atom("CA", "MSE", "2", 3.8, hetero=True),
        atom("CA", "UNK", "3", 7.6),
        *(atom(name, "XYZ", "4", 11.4, hetero=True) for name in ("N", "CA", "C")),
        atom("CA", "SEC", "5", 15.2, hetero=True),
        atom("CA", "CA", "201", 60, hetero=True),  # calcium
        *(atom(name, "GLY", "202", 70, hetero=True) for name in ("N", "CA", "C")),  # a ligand
        atom("O", "HOH", "301", 80, hetero=True),
        atom("P", "DA", "1", 90, chain="N"),
    ]
    found = read_structure(write(tmp_path, lines))
    assert found.residues == "MMXXU"
    assert found.names == ("A",)


def test_of_alternative_places_the_likeliest_is_read(tmp_path: Path):
    lines = [
        atom("CA", "MET", "1", 1, alt="A", occupancy=0.3),
        atom("CA", "MET", "1", 2, alt="B", occupancy=0.7),
        atom("CA", "LYS", "2", 5, alt="A", occupancy=0.5),
        atom("CA", "LYS", "2", 6, alt="B", occupancy=0.5),
        atom("CA", "VAL", "3", 9, alt="A", occupancy=0.6),
        atom("CA", "LEU", "3", 10, alt="B", occupancy=0.4),
    ]
    found = read_structure(write(tmp_path, lines))
    assert found.residues == "MKV"
    assert found.xyz is not None
    assert found.xyz[:, 0].tolist() == [2, 5, 9]
    assert found.notes == ("3 residues have alternative places; the one of highest occupancy was read",)


def test_a_missing_or_impossible_position_is_unknown(tmp_path: Path):
    lines = [*chain("MK"), atom("N", "VAL", "3", 7.6), atom("CA", "LEU", "4", float("nan")), *chain("A", 5, x=15.2)]
    found = read_structure(write(tmp_path, lines))
    assert found.residues == "MKVLA"
    assert found.xyz is not None
    assert np.isnan(found.xyz).all(1).tolist() == [False, False, True, True, False]
    assert found.order.tolist() == [0, 1, 2, 3, 4]
    assert found.notes == ("2 residues have no C-alpha position",)


@pytest.mark.filterwarnings("error")
def test_of_equal_atoms_the_first_is_kept_and_told(tmp_path: Path):
    found = read_structure(write(tmp_path, [*chain("MK"), atom("CA", "LYS", "2", 99), *chain("V", 3, x=7.6)]))
    assert found.residues == "MKV"
    assert found.xyz is not None
    assert found.xyz[1, 0] == pytest.approx(3.8)
    (note,) = found.notes
    assert note.startswith("faults of the file were passed over, the first of equal atoms kept (Atom CA defined twice")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("x.pdb", "hello\nworld\n", "is no structure: it has no atoms"),
        ("x.pdb", "\n".join(chain("MK"))[:-40], "cannot be read as PDB (Invalid or missing coordinate(s) at line 2)"),
        ("x.pdb", atom("P", "DA", "1", 0), "has no amino acids in any chain"),
        ("x.pdb", "", "is empty; it needs a structure"),
        ("x.pdb", "<!DOCTYPE html>", "is a web page"),
        ("x.cif", "hello", "cannot be read as mmCIF (The input mmCIF file must begin with a 'data_' directive)"),
        ("x.cif", "data_x\n_cell.length_a 1\n", "is no structure in the format mmCIF: it has no _atom_site.id"),
        ("x.cif", mmcif(chain("MK")).rsplit("1", 3)[0], "cannot be read as mmCIF (a row is cut short)"),
    ],
)
def test_what_is_no_structure_is_refused_in_one_line(tmp_path: Path, name: str, content: str, problem: str):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=name) as error:
        read_structure(tmp_path / name)
    assert problem in str(error.value)
    assert "\n" not in str(error.value)


def test_a_damaged_archive_and_a_missing_file_are_named(tmp_path: Path):
    whole = gzip.compress(write(tmp_path, chain("MKVLA")).read_bytes())
    (tmp_path / "x.pdb.gz").write_bytes(whole[:-20])
    with pytest.raises(ValueError, match=r"x\.pdb\.gz is a damaged gzip file"):
        read_structure(tmp_path / "x.pdb.gz")
    with pytest.raises(FileNotFoundError, match=r"y\.pdb does not exist"):
        read_structure(tmp_path / "y.pdb")
