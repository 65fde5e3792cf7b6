import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator

from sciformer.adapter import Record
from sciformer.domains.molecule.similarity import nearest

SMILES = ("CCO", "CCN", "c1ccccc1", "CC(=O)Oc1ccccc1C(=O)O", "C1CCCCC1O", "CCCCCCO", "[Na+].[Cl-]")


def records(smiles) -> list[Record]:
    return [Record(key=str(i), data=Chem.MolFromSmiles(s)) for i, s in enumerate(smiles)]


def bit_matrix(smiles) -> np.ndarray:
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    rows = [generator.GetFingerprintAsNumPy(record.data) for record in records(smiles)]
    return np.array(rows, float).reshape(-1, 2048)


def test_a_molecule_is_nearest_to_itself_however_it_is_written():
    similarity, index = nearest(records(["OCC", "C1C=CC=CC=1"]), records(SMILES))
    np.testing.assert_array_equal(similarity, 1.0)
    np.testing.assert_array_equal(index, [0, 2])


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(SMILES), max_size=5),
    st.lists(st.sampled_from(SMILES), min_size=1, max_size=5),
)
def test_equals_all_pairs_from_the_bit_matrix(queries, references):
    q, r = bit_matrix(queries), bit_matrix(references)
    both = q @ r.T
    tanimoto = both / (q.sum(1)[:, None] + r.sum(1) - both)
    similarity, index = nearest(records(queries), records(references))
    np.testing.assert_allclose(similarity, tanimoto.max(1) if queries else [])
    np.testing.assert_array_equal(index, tanimoto.argmax(1) if queries else [])


def test_tanimoto_is_rdkits():
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    a, b = (generator.GetFingerprint(Chem.MolFromSmiles(s)) for s in ("CCO", "CCCCCCO"))
    similarity, _ = nearest(records(["CCO"]), records(["CCCCCCO"]))
    assert similarity[0] == pytest.approx(DataStructs.TanimotoSimilarity(a, b))
    assert 0 < similarity[0] < 1


def test_without_references_nothing_is_near():
    similarity, index = nearest(records(SMILES), [])
    np.testing.assert_array_equal(similarity, np.zeros(len(SMILES)))
    np.testing.assert_array_equal(index, np.full(len(SMILES), -1))


def test_without_queries_the_answer_is_empty():
    similarity, index = nearest([], records(SMILES))
    assert similarity.shape == index.shape == (0,)


def test_molecules_without_atoms_and_unreadable_records_are_near_nothing():
    nothing = [Record(key="0", data=Chem.Mol()), Record(key="1", problem="unreadable")]
    np.testing.assert_array_equal(nearest(nothing, [*nothing, *records(SMILES)])[0], [0, 0])
    np.testing.assert_array_equal(nearest(records(SMILES), nothing)[0], np.zeros(len(SMILES)))
