import pytest
from rdkit import Chem

from sciformer.adapter import Record
from sciformer.domains.molecule import Molecule
from sciformer.domains.molecule.scaffold import bemis_murcko, structure


def scaffold(smiles: str) -> str:
    return bemis_murcko(Record(key="1", data=Chem.MolFromSmiles(smiles)))


@pytest.mark.parametrize(
    ("smiles", "expected"),
    [
        ("CC(=O)Oc1ccccc1C(=O)O", "c1ccccc1"),
        ("c1ccccc1CCc1ccncc1C", "c1ccc(CCc2ccncc2)cc1"),
        ("O=C1CCCCC1C", "O=C1CCCCC1"),  # atoms double-bonded to a ring belong to it
        ("C[C@H]1CC[C@H](O)CC1", "C1CCCCC1"),
        ("CCO", ""),
        ("", ""),
        ("[Na+].[Cl-]", ""),
        ("*", ""),
    ],
)
def test_known_scaffolds(smiles, expected):
    assert scaffold(smiles) == expected


def test_salt_has_the_scaffold_of_its_parent():
    assert scaffold("[Na+].[O-]C(=O)c1ccccc1") == scaffold("OC(=O)c1ccccc1")


def test_order_of_fragments_and_atoms_does_not_matter():
    assert scaffold("c1ccccc1.C1CC1C") == scaffold("CC1CC1.c1ccccc1") == "C1CC1.c1ccccc1"


@pytest.mark.parametrize(
    ("left", "right"), [("C[C@@H]1CCCO1", "C[C@H]1CCCO1"), ("C1CC1/C=C/C1CC1", r"C1CC1/C=C\C1CC1")]
)
def test_stereoisomers_share_a_scaffold(left, right):
    assert scaffold(left) == scaffold(right) != ""


def test_unreadable_record_is_grouped_with_the_acyclic():
    assert bemis_murcko(Record(key="9", problem="not a molecule")) == ""


def test_molecule_that_rdkit_cannot_handle_does_not_raise():
    mol = Chem.MolFromSmiles("c1ccccc1", sanitize=False)  # no ring information
    assert isinstance(bemis_murcko(Record(key="1", data=mol)), str)


def test_stereoisomers_and_isotopomers_are_one_structure():
    def structures(*smiles: str) -> set[str]:
        return {structure(record) for record in Molecule().read(list(smiles))}

    assert len(structures("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "CC(N)C(=O)O", "[13CH3]C(N)C(=O)O")) == 1
    assert len(structures("C/C=C/C", "C/C=C\\C", "CC=CC", "C=CCC")) == 2
    assert structure(Record(key="1", problem="unparsable")) == ""
