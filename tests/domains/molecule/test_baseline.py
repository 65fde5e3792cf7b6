import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import Descriptors

from sciformer.adapter import Record
from sciformer.domains.molecule import baseline
from sciformer.domains.molecule.baseline import baselines, count_matrix, descriptor_matrix

ODD = ("", "*", "**", "[Na+].[Cl-]", "[U]", "[H][H]", "[13CH4]", "N->[Pt](Cl)Cl", "[Xe]", "C" * 130, "[CH3]")


def records(smiles) -> list[Record]:
    return [Record(key=str(i), data=Chem.MolFromSmiles(s)) for i, s in enumerate(smiles)]


def column(name: str) -> int:
    return [key for key, _ in Descriptors.descList].index(name)


def test_both_baselines_are_offered_with_a_row_per_record():
    boosting, forest = baselines()
    assert (boosting.estimator, forest.estimator) == ("gradient_boosting", "random_forest")
    assert boosting.features(records(["CCO", "c1ccccc1"])).shape == (2, len(Descriptors.descList))
    assert forest.features(records(["CCO", "c1ccccc1"])).shape == (2, 2048)


def test_descriptors_are_rdkits():
    mol = Chem.MolFromSmiles("CC(=O)Oc1ccccc1C(=O)O")
    expected = list(Descriptors.CalcMolDescriptors(mol).values())
    np.testing.assert_array_equal(descriptor_matrix([Record(key="1", data=mol)])[0], expected)


def test_counts_tell_chains_apart_that_share_all_their_bits():
    counts = count_matrix(records(["C" * 10, "C" * 20]))
    np.testing.assert_array_equal(counts[0] > 0, counts[1] > 0)
    assert counts[0].sum() < counts[1].sum()
    assert not count_matrix([Record(key="1", problem="unreadable"), Record(key="2", data=Chem.Mol())]).any()


def test_odd_molecules_give_float32_safe_numbers_or_nan():
    matrix = descriptor_matrix(records(ODD))
    with np.errstate(over="raise"):
        assert not np.isinf(matrix.astype(np.float32)).any()
    assert np.isfinite(matrix[ODD.index("[U]"), column("MolWt")])


def test_undefined_and_huge_numbers_become_nan_and_others_stay(monkeypatch):
    def undefined(_):
        raise ZeroDivisionError

    functions = {"a": lambda _: 1e60, "b": lambda _: -np.inf, "c": undefined, "d": Chem.Mol.GetNumAtoms}
    monkeypatch.setattr(Descriptors, "descList", list(functions.items()))
    np.testing.assert_array_equal(descriptor_matrix(records(["CCO"])), [[np.nan, np.nan, np.nan, 3.0]])


@pytest.mark.parametrize("record", [Record(key="1", data=Chem.Mol()), Record(key="1", problem="unreadable")])
def test_nothing_to_describe_is_all_nan(record):
    assert np.isnan(descriptor_matrix([record])).all()


def test_large_molecules_do_not_take_minutes():
    quartic = descriptor_matrix(records(["C" * (baseline.MAX_ATOMS_QUARTIC + 1)]))[0]
    assert np.isnan(quartic[column("Ipc")])
    assert np.isfinite(quartic[column("MolWt")])
    assert np.isnan(descriptor_matrix(records(["C" * 3000]))).all()


def test_no_record_gives_an_empty_matrix():
    assert descriptor_matrix([]).shape == (0, len(Descriptors.descList))
    assert count_matrix([]).shape == (0, 2048)
