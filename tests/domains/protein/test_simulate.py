"""Simulated proteins are what they are said to be."""

import numpy as np
import pytest
from Bio.SeqUtils.ProtParam import ProteinAnalysis

from sciformer.domains.protein import simulate
from sciformer.domains.protein.alphabet import STANDARD

TABLE = simulate.simulate(300, seed=1)


def test_the_same_seed_gives_the_same_table_and_fewer_rows_its_beginning():
    assert TABLE.equals(simulate.simulate(300, seed=1))
    assert TABLE.head(40).equals(simulate.simulate(40, seed=1))
    assert not TABLE["sequence"].equals(simulate.simulate(300, seed=2)["sequence"])


def test_sequences_are_of_standard_residues_and_of_the_lengths_promised():
    assert set("".join(TABLE["sequence"])) == set(STANDARD)
    assert TABLE["sequence"].str.len().between(simulate.SHORTEST, simulate.LONGEST).all()
    assert TABLE["id"].is_unique


def test_properties_are_those_of_the_sequences_with_the_noise_that_is_said():
    truth = [ProteinAnalysis(sequence).isoelectric_point() for sequence in TABLE["sequence"]]
    error = TABLE["isoelectric_point"] - truth
    assert abs(error.mean()) < 3 * 0.3 / np.sqrt(300)
    assert error.std() == pytest.approx(0.3, rel=0.15)
    assert {"stable", "unstable"} == set(TABLE["stability"].dropna())
    assert TABLE["stability"].isna().mean() == pytest.approx(0.15, abs=0.06)


def test_blosum62_gives_back_its_own_scores_and_a_plausible_composition():
    background, conditional = simulate.blosum()
    assert (background > 0).all()
    assert background.sum() == pytest.approx(1)
    assert np.allclose(conditional.sum(1), 1)
    assert np.allclose(background[:, None] * conditional, (background[:, None] * conditional).T)  # as often back
    assert np.allclose(background @ conditional, background)  # substitutions keep the composition
    assert STANDARD[background.argmax()] == "L"
    assert STANDARD[background.argmin()] == "W"


def test_relatives_are_alike_and_strangers_are_not():
    def same(a: str, b: str) -> float:
        return float(np.mean([x == y for x, y in zip(a, b, strict=False)]))

    rng = np.random.default_rng(0)
    background, conditional = simulate.blosum()
    parent = rng.choice(20, size=150, p=background)
    text = "".join(STANDARD[i] for i in parent)
    child = simulate.descendant(parent, background, conditional, np.random.default_rng(3))
    children = ["".join(STANDARD[i] for i in child)]
    assert same(text[:20], children[0][:20]) > 0.6
    founders = TABLE.drop_duplicates("family")["sequence"].tolist()
    assert max(same(founders[0], other) for other in founders[1:]) < 0.3


def test_no_rows_are_refused():
    with pytest.raises(ValueError, match="at least 1, got 0"):
        simulate.simulate(0, seed=0)
