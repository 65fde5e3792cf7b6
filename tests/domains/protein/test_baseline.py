"""What the classical models read of a protein, and that they learn what can be learned from it."""

import numpy as np
import pytest

from sciformer.adapter import Record
from sciformer.baselines import Prepared
from sciformer.domains.protein import Protein
from sciformer.domains.protein.alphabet import LETTERS, STANDARD
from sciformer.domains.protein.baseline import (
    changed,
    commonest,
    composition,
    dipeptides,
    residues,
    token_baselines,
    window_logistic,
)
from sciformer.domains.protein.chains import Chains
from sciformer.tokens import Target

WILD = "MKTAYIAKQR"
STATE = Target("state", "multiclass", classes=("coil", "strand", "helix"))


def record(sequence: str, targets=None, **chains) -> Record:
    return Record(key=sequence, data=Chains(residues=sequence, **chains), targets=targets or {})


def variants(n: int, seed: int) -> list[Record]:
    """Effects add up over the substitutions."""
    effects = np.random.default_rng(0).normal(size=(len(WILD), 20))
    rng = np.random.default_rng(seed)
    out = []
    for _ in range(n):
        chosen = {int(i): int(rng.integers(20)) for i in rng.choice(len(WILD), 3, replace=False)}
        letters = [STANDARD[chosen[i]] if i in chosen else letter for i, letter in enumerate(WILD)]
        effect = sum(effects[i, j] for i, j in chosen.items() if STANDARD[j] != WILD[i])
        out.append(record("".join(letters), {"y": float(effect)}))
    return out


def test_one_column_per_site_and_letter():
    matrix = residues([record(WILD), record("MKTAYIAKQX")], WILD).toarray()
    assert matrix.shape == (2, len(WILD) * len(LETTERS))
    assert matrix.sum(1).tolist() == [10, 10]
    assert matrix[1, 9 * len(LETTERS) + LETTERS.index("X")] == 1


def test_effects_that_add_up_are_learned():
    train, test = variants(2000, 1), variants(100, 2)
    ridge = next(b for b in Protein(wild_type=WILD).baselines() if b.estimator == "ridge")
    predicted = Prepared.of(ridge, train, test).fit_predict(Target("y"), seed=0)
    assert np.corrcoef(predicted, [r.targets["y"] for r in test])[0, 1] > 0.98


def test_changes_of_properties_are_those_of_the_substitutions():
    rows = changed([record(WILD), record("EKTAYIAKQR"), record("MKTAYIAKQX")], WILD)
    np.testing.assert_array_equal(rows[[0, 2]], 0)
    assert rows[1, :2].tolist() == [1, -2]  # M to E in BLOSUM62
    assert rows[1, 2] == pytest.approx(-3.5 - 1.9)  # Kyte and Doolittle
    assert rows[1, 4] == -1


def test_composition_and_dipeptides_are_shares():
    rows = composition([record("AAAC"), record("XX"), record("ACXCA")])
    assert rows[0, :2].tolist() == [0.75, 0.25]
    assert rows[0, -1] == pytest.approx(np.log(4))
    np.testing.assert_array_equal(rows[1, :-1], 0)
    pairs = dipeptides([record("AAAC"), record("A"), record("ACXCA")])
    assert pairs[0, :2].tolist() == pytest.approx([2 / 3, 1 / 3])
    np.testing.assert_array_equal(pairs[1, :-1], 0)
    assert pairs[2, [1, 20]].tolist() == [0.5, 0.5]
    assert composition([]).shape == (0, 21)
    assert dipeptides([]).shape == (0, 401)


def states(n: int, seed: int) -> list[Record]:
    """Helix two places behind an alanine, strand two places behind a valine; a tenth is not known."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(n):
        sequence = "".join(rng.choice(list(STANDARD), 50))
        state = np.array([{"A": 2.0, "V": 1.0}.get(letter, 0.0) for letter in "GG" + sequence[:-2]])
        state[rng.random(50) < 0.1] = np.nan
        out.append(Record(key=str(i), data=Chains(residues=sequence, labels={"state": state, "depth": 2 * state + 7})))
    return out


def test_windows_tell_states_from_their_neighbours():
    train, test = states(300, 1), states(20, 2)
    truth = np.concatenate([r.data.labels["state"] for r in test])
    known = np.isfinite(truth)
    p = window_logistic(train, test, STATE, 0)
    assert p.shape == (1000, 3)
    np.testing.assert_allclose(p.sum(1), 1)
    assert (p.argmax(1) == truth)[known].mean() > 0.98
    np.testing.assert_array_equal(p, window_logistic(train, test, STATE, 0))
    depth = window_logistic(train, test, Target("depth"), 0)
    assert np.corrcoef(depth[known], truth[known])[0, 1] > 0.98
    assert depth[known].mean() == pytest.approx(2 * truth[known].mean() + 7, abs=0.1)


def test_the_commonest_answer_is_that_of_the_training_part():
    p = commonest(states(100, 1), states(2, 2), STATE, 0)
    assert p.shape == (100, 3)
    np.testing.assert_allclose(p[0], [0.9, 0.05, 0.05], atol=0.02)
    assert commonest(states(100, 1), states(2, 2), Target("depth"), 0)[0] == pytest.approx(7.3, abs=0.1)


@pytest.mark.parametrize("answer", token_baselines().values())
def test_residues_that_nobody_knows_are_refused_and_none_asked_give_none(answer):
    with pytest.raises(ValueError, match="no residue of the 1 training records has a value for 'state'"):
        answer([record(WILD)], [record(WILD)], STATE, 0)
    assert answer(states(5, 1), [], STATE, 0).shape == (0, 3)


def test_only_what_is_answered_of_residues_has_such_models():
    assert not Protein().token_baselines()
    assert len(Protein(labels={"state": ["a", "b"]}).token_baselines()) == 2
