"""Clusters of related proteins, to be kept whole in a split: by MMseqs2 where it is installed, else by alignment.

Related are two sequences whose local alignment covers 80 % of both, with at least the wanted share of identical
residues. Clusters are chains of relatives.
"""

import functools
import math
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from Bio.Align import PairwiseAligner
from jaxtyping import Bool, Int

from sciformer.adapter import Grouping, Record
from sciformer.domains.protein.similarity import Words, aligner, candidates, spelled, words

COVERED = 0.8
"""Share of both sequences that an alignment must cover: one domain of a long protein does not make it a relative."""
ALIKE = 1 / 3
"""Share of common words (of four residues) from which no alignment is needed: some 84 % of the residues are equal,
since ``j = p^4 / (2 - p^4)`` where changes fall at random (Ondov et al. 2016, Genome Biol. 17, 132)."""
DISTANT = 0.01
"""Share of common words below which no alignment is tried. Of 51 proteins of E. coli (eSOL) all relatives of 35 %
identity or more among 3147 have a larger one, and four in five of those of 30 to 35 %."""
CHANCE = 1e-3
"""Alignments as good as this number are expected among unrelated sequences; worse ones count for nothing."""
LAMBDA, KAPPA = 0.267, 0.041
"""Statistics of scores of BLOSUM62 with gaps of 11 and 1 (Altschul et al. 1997, Nucleic Acids Res. 25, 3389)."""


def grouping(records: Sequence[Record], identity: float | int) -> Grouping:
    """The cluster of each of ``records``, found when the first is asked for."""

    @functools.cache
    def clusters() -> dict[str, str]:
        sequences = list(dict.fromkeys(record.data.residues for record in records if record.ok))
        numbers = (by_mmseqs if shutil.which("mmseqs") else by_alignment)(sequences, identity)
        return dict(zip(sequences, map(str, numbers), strict=True))

    return Grouping(lambda record: clusters()[record.data.residues], method(identity))


def method(identity: float | int) -> str:
    """How clusters are found here, in words."""
    alike = f"sequences with at least {identity:.0%} identical residues over 80 % of both"
    if shutil.which("mmseqs"):
        return f"MMseqs2 clusters of {alike}"
    return (
        f"clusters of {alike}, by local alignment of those that share the most words of four residues (MMseqs2 is not "
        "installed; of relatives below 35 % many are missed)"
    )


def by_mmseqs(sequences: Sequence[str], identity: float | int) -> Int[np.ndarray, " n"]:
    """The cluster of each sequence by ``mmseqs easy-cluster`` (Steinegger & Söding 2017, Nat. Biotechnol. 35, 1026),
    linked in chains (``--cluster-mode 1``).

    Raises ``ValueError`` with its last words where it fails.
    """
    with TemporaryDirectory() as folder:
        fasta, out = Path(folder, "sequences.fasta"), Path(folder, "out")
        fasta.write_text("".join(f">{i}\n{residues}\n" for i, residues in enumerate(sequences)))
        options = ["--min-seq-id", str(identity), "--seq-id-mode", "1", "-c", str(COVERED), "--cov-mode", "0"]
        command = ["mmseqs", "easy-cluster", str(fasta), str(out), str(Path(folder, "work")), *options]
        done = subprocess.run([*command, "--cluster-mode", "1"], capture_output=True, text=True, check=False)
        if done.returncode:
            last = [*done.stdout.split("\n"), *done.stderr.split("\n")]
            said = next((line for line in reversed(last) if line.strip()), "nothing")
            raise ValueError(f"mmseqs easy-cluster failed and said {said.strip()!r}; mend or uninstall MMseqs2")
        pairs = pd.read_csv(f"{out}_cluster.tsv", sep="\t", header=None, names=["cluster", "member"])
    alone = pd.Series(range(len(sequences)))  # what is too short for MMseqs2
    return pairs.set_index("member")["cluster"].reindex(alone).fillna(alone).to_numpy(dtype=np.int64)


def by_alignment(sequences: Sequence[str], identity: float | int) -> Int[np.ndarray, " n"]:
    """The cluster of each sequence: a first one gathers its relatives among all that have no cluster yet, these gather
    theirs, until there are none. Time grows with the number of sequences, not of pairs: of those that share words with
    one, the likeliest three are aligned."""
    cluster = np.full(len(sequences), -1)
    search = Search.of(sequences, identity)
    for first in range(len(sequences)):
        waiting = [first] if cluster[first] < 0 else []
        cluster[waiting] = first
        while waiting and (cluster < 0).any():
            search = search.among(cluster < 0)
            relatives = search.relatives(sequences[waiting.pop()], cluster < 0)
            cluster[relatives] = first
            waiting.extend(relatives.tolist())
    return cluster


@dataclass(frozen=True)
class Search:
    """Relatives of one sequence among some of all ``sequences``: those at ``places``."""

    sequences: tuple[str, ...]
    places: Int[np.ndarray, " m"]
    lengths: Int[np.ndarray, " n"]
    words: Words
    identity: float | int
    align: PairwiseAligner

    @classmethod
    def of(cls, sequences: Sequence[str], identity: float | int) -> "Search":
        lengths = np.array([len(residues) for residues in sequences], dtype=int)
        return cls(tuple(sequences), np.arange(len(sequences)), lengths, Words.of(sequences), identity, aligner())

    def among(self, wanted: Bool[np.ndarray, " n"]) -> "Search":
        """Without the others, once they are most: a large family is not looked through for each of its members."""
        kept = self.places[wanted[self.places]]
        if len(kept) > len(self.places) / 2:
            return self
        return replace(self, places=kept, words=Words.of([self.sequences[i] for i in kept]))

    def relatives(self, query: str, wanted: Bool[np.ndarray, " n"]) -> Int[np.ndarray, " k"]:
        """Places of relatives of ``query`` among the ``wanted``."""
        lengths = self.lengths[self.places]
        fits = wanted[self.places] & (COVERED * len(query) <= lengths) & (COVERED * lengths <= len(query))
        shared = self.words.shared(words(query)) * fits
        near = shared >= ALIKE
        for j in candidates(shared * ((shared >= DISTANT) & ~near)):
            near[j] = self.related(query, self.sequences[self.places[j]])
        return self.places[near]

    def related(self, left: str, right: str) -> bool:
        """Whether the best alignment is no chance among all sequences, covers both and has enough identities."""
        pair = spelled(left), spelled(right)
        if KAPPA * len(left) * self.lengths.sum() * math.exp(-LAMBDA * self.align.score(*pair)) > CHANCE:
            return False
        found = self.align.align(*pair)[0]
        covered = (found.coordinates[:, -1] - found.coordinates[:, 0]) / (len(left), len(right))
        enough = found.counts().identities >= self.identity * min(len(left), len(right))
        return bool(enough and covered.min() >= COVERED)
