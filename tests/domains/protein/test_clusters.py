"""Relatives share a cluster, strangers do not; what is installed is used and told."""

import shutil

import numpy as np
import pytest

from sciformer.adapter import Record
from sciformer.data.splits import SplitConfig, Splits, make_splits
from sciformer.domains.protein import Protein, clusters
from sciformer.domains.protein.alphabet import STANDARD
from sciformer.domains.protein.chains import Chains


@pytest.fixture(autouse=True)
def without_mmseqs(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)


def drawn(rng, n: int) -> str:
    return "".join(rng.choice(list(STANDARD), n))


def mutated(rng, residues: str, share: float) -> str:
    return "".join(rng.choice(list(STANDARD)) if rng.random() < share else letter for letter in residues)


def families(count: int = 12, members: int = 4) -> list[str]:
    """Ancestors of 120 to 200 residues and three descendants each, of which a third of the residues was drawn anew."""
    rng = np.random.default_rng(0)
    ancestors = [drawn(rng, int(rng.integers(120, 200))) for _ in range(count)]
    return [x if i == 0 else mutated(rng, x, 0.33) for x in ancestors for i in range(members)]


def records(sequences) -> list[Record]:
    return [Record(key=str(i), data=Chains(residues=x), group=x, targets={"y": 0.0}) for i, x in enumerate(sequences)]


def test_families_are_found():
    found = clusters.by_alignment(families(), 0.4)
    assert found.reshape(12, 4).tolist() == [[4 * i] * 4 for i in range(12)]


def test_a_higher_share_of_identical_residues_divides_them():
    assert len(set(clusters.by_alignment(families(), 0.9).tolist())) == 48


def test_clusters_are_chains():
    rng = np.random.default_rng(1)
    chain = [drawn(rng, 200)]
    for _ in range(5):
        chain.append(mutated(rng, chain[-1], 0.4))
    assert set(clusters.by_alignment(chain, 0.4).tolist()) == {0}
    assert clusters.by_alignment([chain[0], chain[-1]], 0.4).tolist() == [0, 1]


def test_a_part_of_a_long_protein_is_no_relative():
    residues = drawn(np.random.default_rng(2), 300)
    assert clusters.by_alignment([residues, residues[:150]], 0.3).tolist() == [0, 1]
    assert clusters.by_alignment([residues, residues[:250]], 0.3).tolist() == [0, 0]


def test_variants_of_one_sequence_are_one_cluster_at_once():
    rng = np.random.default_rng(3)
    residues = drawn(rng, 60)
    assert set(clusters.by_alignment([mutated(rng, residues, 0.05) for _ in range(3000)], 0.3).tolist()) == {0}


def test_a_split_keeps_families_whole_and_says_how_they_were_found(tmp_path):
    rows = records(families())
    adapter = Protein(identity=0.4)
    splits = make_splits(rows, SplitConfig("identity", (0.4, 0.2, 0.2, 0.2)), adapter.groupings(rows))
    for start in range(0, 48, 4):
        assert len({splits.part_of(str(i)) for i in range(start, start + 4)}) == 1
    splits.save(tmp_path / "splits.json")
    told = Splits.load(tmp_path / "splits.json").method
    assert "at least 40% identical residues over 80 % of both" in told
    assert "MMseqs2 is not installed" in told


def test_clusters_are_found_once_and_only_when_asked_for(monkeypatch):
    calls = []
    monkeypatch.setattr(clusters, "by_alignment", lambda sequences, identity: calls.append(1) or range(len(sequences)))
    rows = records(["ACDE", "ACDF"])
    identity = Protein().groupings(rows)["identity"]
    assert not calls
    assert [identity(row) for row in rows] == ["0", "1"]
    assert calls == [1]


def test_variants_of_a_wild_type_are_not_grouped():
    assert Protein(wild_type="ACDE").groupings([]) == {}


FAKE = """#!/bin/sh
[ "$1" = easy-cluster ] || exit 1
case "$*" in *"--min-seq-id 0.3 --seq-id-mode 1 -c 0.8 --cov-mode 0"*) ;; *) echo "odd options"; exit 1 ;; esac
printf '0\\t0\\n0\\t2\\n' > "$3_cluster.tsv"
"""


def test_mmseqs_is_used_where_it_is_installed(monkeypatch, tmp_path):
    (tmp_path / "mmseqs").write_text(FAKE)
    (tmp_path / "mmseqs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert clusters.by_mmseqs(["ACDE", "AC", "ACDF"], 0.3).tolist() == [0, 1, 0]
    with pytest.raises(ValueError, match="mmseqs easy-cluster failed and said 'odd options'"):
        clusters.by_mmseqs(["ACDE"], 0.5)
    monkeypatch.setattr(shutil, "which", lambda name: str(tmp_path / name))
    assert clusters.method(0.3).startswith("MMseqs2 clusters of sequences with at least 30%")
    identity = clusters.grouping(rows := records(["ACDE", "AC", "ACDF"]), 0.3)
    assert [identity(row) for row in rows] == ["0", "1", "0"]
