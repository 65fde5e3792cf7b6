"""Laws of the molecule tokens: they depend on the molecule alone and tell different molecules apart."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem
from rdkit.Chem import rdDepictor, rdDistGeom
from rdkit.Chem.EnumerateStereoisomers import EnumerateStereoisomers

from sciformer.adapter import Record
from sciformer.discovery import from_json, to_json
from sciformer.domains.molecule import Molecule
from sciformer.domains.molecule.tokenizer import ATOM_COLUMNS, BONDS
from sciformer.tokens import Tokens

ADAPTER = Molecule()
COLUMN = {column.name: i for i, column in enumerate(ADAPTER.schema.ids)}
X = 2

VARIED = [
    "C",
    "CC(=O)Oc1ccccc1C(=O)O",
    "C[C@H](N)C(=O)N[C@@H](C)C(=O)O",
    "C/C=C/C=C\\C",
    "C[C@H]1CC[C@@H](C)CC1",
    "CC(=O)[O-].[Na+]",
    "[13CH3][N+](C)(C)C",
    "*CCO",
    "O=[N+]([O-])c1ccc(Cl)cc1",
    "[NH3]->[Pt](<-[NH3])(Cl)Cl",
    "OC1C(O)C(O)C(O)C(O)C1O",
    "O[C@H]1[C@H](O)[C@@H](O)[C@H](O)[C@H](O)[C@H]1O",
    "C1CC2CCC1C2",
    "[CH3]",
    "FS(F)(F)(F)(F)F",
    "C" * 40,
    "[U]",
]


def record(source: object) -> Record:
    found = next(ADAPTER.read([source]))
    assert found.ok, found.problem
    return found


def tokens(source: object) -> Tokens:
    return ADAPTER.tokenize(record(source))


def fingerprint(found: Tokens) -> tuple[int, ...]:
    """Equal for equal molecules whatever the order of their atoms: colour refinement on the tokens."""
    pair = found.pair.tolist()
    colours = [hash(tuple(row)) for row in found.ids.tolist()]
    for _ in range(4):
        colours = [
            hash((own, tuple(sorted((other, *bond) for other, bond in zip(colours, row, strict=True)))))
            for own, row in zip(colours, pair, strict=True)
        ]
    return tuple(sorted(colours))


def column_of(smiles: str, column: str) -> list[str]:
    labels = ATOM_COLUMNS[COLUMN[column]].labels
    return [labels[i - 1] for i in tokens(smiles).ids[:, COLUMN[column]].tolist()]


def bond(smiles: str, i: int, j: int) -> str:
    return BONDS[int(tokens(smiles).pair[i, j, 0]) - 1]


@pytest.mark.parametrize("smiles", VARIED)
def test_tokens_fit_the_schema_and_leave_id_0_free(smiles: str):
    found = tokens(smiles)
    ADAPTER.schema.check(found)
    assert found.ids.min() >= 1
    assert found.pair.min() >= 1
    assert found.pair.dtype == torch.uint8
    assert found.ids.dtype == torch.long
    assert len(ADAPTER.token_names(record(smiles))) == found.size


@settings(max_examples=60, deadline=None)
@given(smiles=st.sampled_from(VARIED), random=st.randoms(use_true_random=False))
def test_permuted_atoms_give_permuted_tokens(smiles: str, random):
    mol = record(smiles).data
    order = list(range(mol.GetNumAtoms()))
    random.shuffle(order)
    before, after = tokens(mol), tokens(Chem.RenumberAtoms(mol, order))
    assert torch.equal(after.ids, before.ids[order])
    assert torch.equal(after.pair, before.pair[order][:, order])


@pytest.mark.parametrize("smiles", VARIED[:9])
def test_another_spelling_gives_the_same_tokens(smiles: str):
    mol = record(smiles).data
    expected = fingerprint(tokens(smiles))
    for seed in range(8):
        order = np.random.default_rng(seed).permutation(mol.GetNumAtoms()).tolist()
        spelt = Chem.MolToSmiles(Chem.RenumberAtoms(mol, order), canonical=False)
        assert fingerprint(tokens(spelt)) == expected, spelt


@pytest.mark.parametrize(
    "isomers",
    [
        ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O", "CC(N)C(=O)O"),
        ("C/C=C/C", "C/C=C\\C", "CC=CC"),
        ("C[C@H]1CC[C@@H](C)CC1", "C[C@H]1CC[C@H](C)CC1", "CC1CCC(C)CC1"),
        ("O[C@H](C(=O)O)[C@@H](O)C(=O)O", "O[C@H](C(=O)O)[C@H](O)C(=O)O", "O[C@@H](C(=O)O)[C@@H](O)C(=O)O"),
        ("C[C@H](O)[C@H](O)[C@@H](C)O", "C[C@H](O)[C@@H](O)[C@@H](C)O"),
        ("C1CC[C@H]2CCCC[C@@H]2C1", "C1CC[C@H]2CCCC[C@H]2C1"),
        ("C[S@](=O)CC", "C[S@@](=O)CC"),
        ("F[P@](Cl)(Br)=O", "F[P@@](Cl)(Br)=O"),
        ("C/C(=N/O)C(C)C", "C/C(=N\\O)C(C)C"),
        ("Cc1cccc(I)c1-c1c(C)cccc1Br |wU:7.7|", "Cc1cccc(I)c1-c1c(C)cccc1Br |wD:7.7|"),
        ("Cl/C=C/[C@H](F)/C=C\\Cl", "Cl/C=C/[C@@H](F)/C=C\\Cl"),
        ("O[C@H]1C[C@H](F)C1", "O[C@H]1C[C@@H](F)C1"),
    ],
)
def test_stereoisomers_are_told_apart(isomers: tuple[str, ...]):
    for one, other in itertools.combinations(isomers, 2):
        assert fingerprint(tokens(one)) != fingerprint(tokens(other)), (one, other)


def test_all_nine_inositols_are_told_apart():
    flat = Chem.MolFromSmiles("OC1C(O)C(O)C(O)C(O)C1O")
    assert len({fingerprint(tokens(isomer)) for isomer in EnumerateStereoisomers(flat)}) == 9


def test_centres_without_cip_rank_are_seen_along_canonical_ranks(monkeypatch):
    """Where the CIP rules give up, enantiomers and cis/trans pairs still differ, in any order of atoms."""

    def give_up(*_args, **_kwargs):
        raise RuntimeError("too many iterations")

    monkeypatch.setattr("rdkit.Chem.rdCIPLabeler.AssignCIPLabels", give_up)
    rng = np.random.default_rng(0)
    for one, other in (
        ("C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O"),
        ("C/C=C/C", "C/C=C\\C"),
        ("F/C(Cl)=C/Br", "F/C(Cl)=C\\Br"),
    ):
        a, b = record(one).data, record(other).data
        assert fingerprint(tokens(a)) != fingerprint(tokens(b))
        for _ in range(6):
            shuffled = Chem.RenumberAtoms(a, rng.permutation(a.GetNumAtoms()).tolist())
            assert fingerprint(tokens(shuffled)) == fingerprint(tokens(a))


@pytest.mark.parametrize(
    ("smiles", "column", "expected"),
    [
        ("*C", "element", ["*", "C"]),
        ("[Og]", "element", ["Og"]),
        ("C[NH3+]", "charge", ["0", "+1"]),
        ("[Zr+4]", "charge", ["+4+"]),
        ("[13CH3]C", "isotope", ["+1", "natural"]),
        ("[2H][2H]", "isotope", ["+1", "+1"]),
        ("[14CH4]", "isotope", ["+2"]),
        ("[12CH4]", "isotope", ["+0"]),
        ("[CH3]", "radical", ["1"]),
        ("C1CC1C", "ring", ["3", "3", "3", "no ring"]),
        ("C1CCCCCCCCC1", "ring", ["9+"] * 10),
        ("CC#N", "hybridisation", ["sp3", "sp", "sp"]),
        ("CO", "hydrogens", ["3", "1"]),
        ("C[CH2:7]O", "hydrogens", ["3", "2", "1"]),
        ("FS(F)(F)(F)(F)F", "degree", ["1", "6", "1", "1", "1", "1", "1"]),
        ("Cc1ccccc1", "aromaticity", ["aliphatic", *["aromatic"] * 6]),
        ("C[C@H](N)C(=O)O", "chirality", ["none", "S", "none", "none", "none", "none"]),
    ],
)
def test_atom_columns_read_as_chemistry(smiles: str, column: str, expected: list[str]):
    assert column_of(smiles, column) == expected


def test_bond_pairs_carry_order_ring_and_stereo():
    assert bond("CC", 0, 0) == "self"
    assert bond("CCC", 0, 2) == "not bonded"
    assert bond("C1CC1", 0, 1) == "single ring"
    assert bond("C#N", 0, 1) == "triple chain"
    assert bond("c1ccccc1", 0, 1) == "aromatic ring"
    assert bond("C/C=C/C", 1, 2) == bond("C/C=C/C", 2, 1) == "double E chain"
    assert bond("C/C=C\\C", 1, 2) == "double Z chain"
    assert bond("C1CCC/C=C/CC1", 4, 5) == "double E ring"
    assert bond("[NH3]->[Pt]", 0, 1) == "dative chain"


def test_hops_are_clipped_and_fragments_kept_apart():
    adapter = Molecule(max_hops=3)
    labels = adapter.schema.pairs[1].labels
    found = adapter.tokenize(record("CCCCCC.[Na+]"))
    hops = [labels[i - 1] for i in found.pair[0, :, 1].tolist()]
    assert hops == ["0", "1", "2", "3", "far", "far", "other fragment"]
    adapter.schema.check(found)


def embedded(smiles: str = "CC[C@H](C)O") -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert rdDistGeom.EmbedMolecule(mol, randomSeed=1) == 0
    return mol


def test_coordinates_are_centred_and_in_angstrom():
    coords = tokens(embedded()).coords
    assert torch.allclose(coords[:, X:].mean(dim=0), torch.zeros(3), atol=1e-6)
    assert 1.4 < torch.linalg.norm(coords[0] - coords[1]).item() < 1.6  # a C-C bond
    assert not coords[:, :X].any()


def test_a_2d_depiction_is_no_shape():
    mol = Chem.MolFromSmiles("CCO")
    rdDepictor.Compute2DCoords(mol)
    assert not tokens(mol).coords.any()


def test_hydrogens_and_coordinates_do_not_change_categories():
    flat, solid = tokens("CC[C@H](C)O"), tokens(embedded())
    assert torch.equal(flat.ids, solid.ids)
    assert torch.equal(flat.pair, solid.pair)


def test_augment_is_a_proper_rotation():
    before = tokens(embedded())
    after = ADAPTER.augment(before, np.random.default_rng(0))
    again = ADAPTER.augment(before, np.random.default_rng(0))
    old, new = before.coords[:, X:], after.coords[:, X:]
    assert torch.equal(after.coords, again.coords)
    assert not torch.allclose(old, new, atol=0.1)
    assert torch.allclose(torch.cdist(old, old), torch.cdist(new, new), atol=1e-4)
    volumes = [torch.linalg.det(xyz[[1, 3, 4]] - xyz[2]).item() for xyz in (old, new)]  # at the stereocentre
    assert volumes[0] == pytest.approx(volumes[1], abs=1e-3)  # a mirror image changes the sign
    assert abs(volumes[0]) > 0.1


def test_augment_leaves_molecules_without_shape_alone():
    flat = tokens("CCO")
    assert ADAPTER.augment(flat, np.random.default_rng(0)) is flat


def test_tokenizing_does_not_change_the_molecule():
    mol = record("C[C@H](N)/C=C/C").data

    def notes() -> list[dict]:
        return [unit.GetPropsAsDict(True, False) for unit in (*mol.GetAtoms(), *mol.GetBonds())]

    before, smiles = notes(), Chem.MolToSmiles(mol)
    ADAPTER.tokenize(Record(key="1", data=mol))
    assert notes() == before
    assert Chem.MolToSmiles(mol) == smiles


def test_adapter_survives_json_and_checks_its_fields():
    assert from_json(to_json(Molecule(max_atoms=100, max_hops=4))) == Molecule(max_atoms=100, max_hops=4)
    with pytest.raises(ValueError, match=r"max_hops must lie in 1\.\.250, got 0"):
        Molecule(max_hops=0)
    with pytest.raises(ValueError, match="max_atoms"):
        Molecule(max_atoms=0)


def test_unreadable_record_is_refused_with_its_reason():
    with pytest.raises(ValueError, match="record '1' cannot be tokenised: missing"):
        ADAPTER.tokenize(next(ADAPTER.read([None])))
