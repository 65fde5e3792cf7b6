"""Similarity of proteins: the share of identical residues, place by place or after an alignment."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from Bio.Align import PairwiseAligner, substitution_matrices
from jaxtyping import Float, Int, UInt8
from scipy.sparse import csr_array

from sciformer.adapter import Record
from sciformer.domains.protein.alphabet import LETTERS, STANDARD, encode

K = 4
"""Residues of the words by which related sequences are looked for. Of longer ones distant relatives share none; of
shorter ones unrelated sequences of 300 residues share dozens."""
CANDIDATES = 3
"""Sequences that are aligned with each query."""
CHUNK = 100
"""Queries that are compared place by place at a time: bounds the memory."""


def nearest(
    queries: Sequence[Record], references: Sequence[Record], wild_type: str = ""
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Similarity (0..1) of each query to its nearest reference, and the index of that reference.

    Variants of a wild type are all but identical: their similarity is the share of substitutions that they have in
    common, of those of both. That of other sequences is their identity. Sequences that are all of one length are
    compared place by place, which is exact. Others are aligned (``identity``) with the three references that share the
    largest part of their words of four residues; where none shares any, and for unreadable records, identity is 0.
    Without references the index is -1. The first of equally near references is named.
    """
    asked, known = ([r.data.residues if r.ok else "" for r in records] for records in (queries, references))
    if not asked or not known:
        return np.zeros(len(asked)), np.full(len(asked), -1)
    if wild_type:
        return _by_substitutions(asked, known, wild_type)
    if len({len(residues) for residues in (*asked, *known)}) == 1 and known[0]:
        return _by_place(asked, known)
    return _by_alignment(asked, known)


def _by_substitutions(
    queries: Sequence[str], references: Sequence[str], wild_type: str
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """The wild type itself is like nothing but itself; so is a sequence of another length."""
    base = encode(wild_type)
    asked, known = (
        np.array([encode(text if len(text) == len(wild_type) else wild_type) for text in texts])
        for texts in (queries, references)
    )
    similarity, index = np.zeros(len(asked)), np.zeros(len(asked), dtype=int)
    references_changed = _differences(known, base)[1]
    for start in range(0, len(asked), CHUNK):
        chunk = slice(start, start + CHUNK)
        changed = _differences(asked[chunk], base)[1]
        shared = (changed @ references_changed.T).toarray()
        either = changed.sum(1)[:, None] + references_changed.sum(1) - shared
        share = np.where(either > 0, shared / np.maximum(either, 1), 1.0)
        similarity[chunk], index[chunk] = share.max(1), share.argmax(1)
    return similarity, index


def _by_place(
    queries: Sequence[str], references: Sequence[str]
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Two sequences differ where one of them differs from a third, but not where both do in the same way."""
    asked, known = (np.array([encode(residues) for residues in texts]) for texts in (queries, references))
    base = known[0]
    known_sites, known_residues = _differences(known, base)
    similarity, index = np.zeros(len(asked)), np.zeros(len(asked), dtype=int)
    for start in range(0, len(asked), CHUNK):
        chunk = slice(start, start + CHUNK)
        sites, residues = _differences(asked[chunk], base)
        same = (sites @ known_sites.T + residues @ known_residues.T).toarray()
        differing = sites.sum(1)[:, None] + known_sites.sum(1) - same
        index[chunk] = differing.argmin(1)
        similarity[chunk] = 1 - differing.min(1) / len(base)
    return similarity, index


def _differences(ids: UInt8[np.ndarray, "n length"], base: UInt8[np.ndarray, " length"]) -> tuple[csr_array, csr_array]:
    """Where each sequence differs from ``base``, [n, length], and where with which residue."""
    row, site = np.nonzero(ids != base)
    ones, size = np.ones(len(row), dtype=np.int32), len(LETTERS) + 1
    residue = site * size + ids[row, site]
    return (
        csr_array((ones, (row, site)), shape=ids.shape),
        csr_array((ones, (row, residue)), shape=(len(ids), ids.shape[1] * size)),
    )


def _by_alignment(
    queries: Sequence[str], references: Sequence[str]
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    index, align = Words.of(references), aligner()
    best, place = np.zeros(len(queries)), np.zeros(len(queries), dtype=int)
    for i, query in enumerate(queries):
        for j in candidates(index.shared(words(query))):
            if (found := identity(align, query, references[j])) > best[i]:
                best[i], place[i] = found, j
    return best, place


def candidates(shared: Float[np.ndarray, " n"]) -> list[int]:
    """The places of the largest numbers above 0, largest first."""
    some = np.flatnonzero(shared)
    return some[np.argsort(-shared[some], kind="stable")[:CANDIDATES]].tolist()


def identity(align: PairwiseAligner, left: str, right: str) -> float:
    """Identical columns of the best local alignment as a share of the shorter sequence, 0..1."""
    if left == right:
        return 1.0
    return align.align(spelled(left), spelled(right))[0].counts().identities / min(len(left), len(right))


def aligner() -> PairwiseAligner:
    """Local alignment, scored as BLAST does (Altschul et al. 1997, Nucleic Acids Res. 25, 3389)."""
    matrix = substitution_matrices.load("BLOSUM62")
    return PairwiseAligner(mode="local", substitution_matrix=matrix, open_gap_score=-11, extend_gap_score=-1)


def spelled(residues: str) -> str:
    """BLOSUM62 has no letters for selenocysteine, pyrrolysine and Leu/Ile: they are what they derive from."""
    return residues.translate(str.maketrans("UOJ", "CKL"))


def words(residues: str) -> Int[np.ndarray, " w"]:
    """The different words of ``K`` standard residues of a sequence, as numbers below ``20 ** K``."""
    ids = encode(residues).astype(np.int64) - 1
    if len(ids) < K:
        return np.zeros(0, dtype=np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(ids, K)
    windows = windows[(windows < len(STANDARD)).all(1)]
    return np.unique(windows @ len(STANDARD) ** np.arange(K))


@dataclass(frozen=True)
class Words:
    """Which of ``n`` sequences have which words."""

    sequences: csr_array
    """By word, [20 ** K, n]."""
    counts: Int[np.ndarray, " n"]

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Words":
        found = [words(residues) for residues in texts]
        counts = np.array([len(some) for some in found], dtype=np.int64)
        places = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts)])
        flat = np.concatenate([*found, np.zeros(0, dtype=np.int64)])
        table = csr_array((np.ones(len(flat), dtype=bool), flat, places), shape=(len(texts), len(STANDARD) ** K))
        return cls(table.T.tocsr(), counts)

    def shared(self, query: Int[np.ndarray, " w"]) -> Float[np.ndarray, " n"]:
        """Words that each sequence has in common with a query, as a share of those of both (Jaccard), 0..1."""
        both = np.bincount(self.sequences[query].indices, minlength=len(self.counts))
        return both / np.maximum(len(query) + self.counts - both, 1)
