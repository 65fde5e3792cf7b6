import re
from xml.etree import ElementTree

import pytest
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from sciformer.adapter import Record
from sciformer.domains.molecule.depict import depict

SVG = "{http://www.w3.org/2000/svg}"
MOLECULES = (
    "CC(=O)Oc1ccccc1C(=O)O",
    "F/C=C/Cl",
    "[Na+].[O-]C(=O)c1ccccc1",
    "*c1ccccc1*",
    "",
    "*",
    "[13CH4]",
    "N->[Pt](Cl)Cl",
    "C" * 512,
)


def record(smiles: str) -> Record:
    return Record(key="row 3", data=Chem.MolFromSmiles(smiles))


def discs(svg: str) -> dict[str, str]:
    """Fill colour of the disc behind each shaded atom."""
    return {
        e.get("class").strip(): re.search(r"fill:(#\w{6})", e.get("style"))[1]
        for e in ElementTree.fromstring(svg).iter(f"{SVG}ellipse")
    }


@pytest.mark.parametrize("smiles", MOLECULES)
@pytest.mark.parametrize("weighted", [True, False])
def test_every_molecule_gives_one_safe_scalable_svg_element(smiles, weighted):
    r = record(smiles)
    weights = [1.0 + i for i in range(r.data.GetNumAtoms())] if weighted else None
    svg = depict(r, weights)
    root = ElementTree.fromstring(svg)
    assert svg.startswith("<svg")
    assert svg.endswith("</svg>")
    assert root.tag == f"{SVG}svg"
    assert root.get("viewBox") == "0 0 300 220"
    assert {e.tag for e in root} <= {f"{SVG}{name}" for name in ("path", "ellipse", "text", "tspan")}
    assert "http" not in svg.replace("http://www.w3.org/2000/svg", "")


def test_background_is_transparent():
    assert "<rect" not in depict(record("CCO"))


def test_larger_weights_are_darker_and_negligible_ones_plain():
    shades = discs(depict(record("CCCC"), [1.0, 0.5, 0.01, 0.0]))
    assert set(shades) == {"atom-0", "atom-1"}
    assert shades["atom-0"] == "#E69F00"
    assert int(shades["atom-1"][5:], 16) > int(shades["atom-0"][5:], 16)


def test_only_the_ratio_of_weights_matters():
    assert depict(record("CCO"), [0.1, 0.2, 0.3]) == depict(record("CCO"), [10.0, 20.0, 30.0])


@pytest.mark.parametrize("weights", [[0.0, 0.0, 0.0], [float("nan"), -1.0, 0.0]])
def test_weights_that_say_nothing_shade_nothing(weights):
    assert discs(depict(record("CCO"), weights)) == {}


def test_number_of_weights_must_be_that_of_the_atoms():
    with pytest.raises(ValueError, match=r"'row 3' needs a weight for each of its 3 atoms, got 2"):
        depict(record("CCO"), [0.5, 0.5])


def test_unreadable_record_has_no_drawing():
    assert depict(Record(key="1", problem="unreadable")) is None


def test_record_is_left_as_it_was():
    mol = Chem.AddHs(Chem.MolFromSmiles("c1ccccc1O"))
    assert rdDistGeom.EmbedMolecule(mol, randomSeed=1) == 0
    before = Chem.MolToMolBlock(mol)
    depict(Record(key="1", data=mol), [1.0] * mol.GetNumAtoms())
    assert Chem.MolToMolBlock(mol) == before


def test_molecule_without_a_kekule_form_is_drawn():
    mol = Chem.MolFromSmiles("c1ccccc1", sanitize=False)
    mol.GetAtomWithIdx(0).SetFormalCharge(1)
    mol.GetAtomWithIdx(0).SetNoImplicit(True)
    mol.UpdatePropertyCache(strict=False)
    assert depict(Record(key="1", data=mol)).startswith("<svg")
