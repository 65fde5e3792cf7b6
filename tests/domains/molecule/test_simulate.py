import numpy as np
import pandas as pd
import pytest
from rdkit import Chem
from rdkit.Chem import Crippen, Descriptors, rdMolDescriptors

from sciformer.domains.molecule.simulate import MISSING, TARGETS, noise_sd, simulate


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return simulate(1000, seed=7)


@pytest.fixture(scope="module")
def mols(table) -> list[Chem.Mol]:
    return [Chem.MolFromSmiles(smiles) for smiles in table.smiles]


def test_same_seed_same_table_and_fewer_rows_are_its_head(table):
    pd.testing.assert_frame_equal(simulate(300, seed=7), table.head(300))
    assert set(simulate(300, seed=8).smiles) != set(table.head(300).smiles)


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 (it is the legacy state that must not change)
    simulate(5, seed=0)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_molecules_are_valid_canonical_distinct_closed_shell(table, mols):
    assert [Chem.MolToSmiles(mol) for mol in mols] == table.smiles.tolist()
    assert table.smiles.is_unique
    assert not any(Descriptors.NumRadicalElectrons(mol) for mol in mols)


def test_molecules_are_varied(table, mols):
    assert table.smiles.str.contains("@").mean() > 0.2  # stereo centres
    assert table.smiles.str.contains("/").mean() > 0.05  # E/Z double bonds
    assert table.smiles.str.contains(r"\.").mean() > 0.01  # salts
    assert any(Chem.GetFormalCharge(mol) != 0 for mol in mols)
    assert any(mol.GetRingInfo().NumRings() == 0 for mol in mols)
    elements = {atom.GetSymbol() for mol in mols for atom in mol.GetAtoms()}
    assert {"C", "N", "O", "S", "F", "Cl", "Br", "I", "P", "B", "Si"} <= elements


def test_columns_are_the_declared_targets(table):
    assert table.columns.tolist() == ["smiles", *(target.name for target in TARGETS)]
    assert table["logS_mol_per_L"].notna().all()
    known = table["crosses_membrane"].dropna()
    assert set(known) == {0.0, 1.0}
    assert 0.3 < known.mean() < 0.7
    assert abs(table["crosses_membrane"].isna().mean() - MISSING) < 0.05


def test_residuals_from_the_published_equation_have_the_stated_noise(table, mols):
    """Independent of the module: Delaney's equation on molecules without E/Z bonds."""
    rows = [i for i, smiles in enumerate(table.smiles) if "/" not in smiles]
    esol = np.array(
        [
            0.16
            - 0.63 * Crippen.MolLogP(mols[i])
            - 0.0062 * Descriptors.MolWt(mols[i])
            + 0.066 * rdMolDescriptors.CalcNumRotatableBonds(mols[i])
            - 0.74 * len(mols[i].GetAromaticAtoms()) / mols[i].GetNumHeavyAtoms()
            for i in rows
        ]
    )
    z = (table["logS_mol_per_L"].to_numpy()[rows] - esol) / noise_sd(esol)
    assert abs(z.mean()) < 4 / np.sqrt(len(rows))
    assert abs(z.std() - 1) < 4 / np.sqrt(2 * len(rows))


def test_straight_isomers_are_less_soluble(table, mols):
    """The E/Z term is in the labels, not only in the docstring."""
    stereo = [[bond.GetStereo() for bond in mol.GetBonds()] for mol in mols]
    net = np.array([s.count(Chem.BondStereo.STEREOZ) - s.count(Chem.BondStereo.STEREOE) for s in stereo])
    features = np.array(
        [
            [
                1,
                Crippen.MolLogP(mol),
                Descriptors.MolWt(mol),
                rdMolDescriptors.CalcNumRotatableBonds(mol),
                len(mol.GetAromaticAtoms()) / mol.GetNumHeavyAtoms(),
                shift,
            ]
            for mol, shift in zip(mols, net, strict=True)
        ]
    )
    coefficients = np.linalg.lstsq(features, table["logS_mol_per_L"].to_numpy(), rcond=None)[0]
    np.testing.assert_allclose(coefficients[1:], [-0.63, -0.0062, 0.066, -0.74, 0.5], rtol=0.25, atol=0.05)


def test_noise_grows_where_little_dissolves():
    np.testing.assert_allclose(noise_sd(np.array([1.0, -3.0, -5.0, -7.0, -20.0])), [0.2, 0.2, 0.4, 0.6, 0.6])


@pytest.mark.parametrize("n", [0, -3])
def test_no_rows_is_refused(n):
    with pytest.raises(ValueError, match=rf"at least 1, got {n}"):
        simulate(n, seed=0)
