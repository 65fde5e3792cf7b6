"""The classical models that stand beside the transformer on proteins."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from Bio.Align import substitution_matrices
from Bio.Data.IUPACData import protein_weights
from Bio.SeqUtils.ProtParamData import kd
from jaxtyping import Float, Int, Integer, UInt8
from scipy.sparse import csr_array

from sciformer.adapter import Baseline, Record, TokenBaseline
from sciformer.domains.protein.alphabet import LETTERS, STANDARD, encode
from sciformer.domains.protein.chains import changes
from sciformer.tokens import Target

WINDOW = 17
"""Residues from which the state of the middle one is told (GOR: Garnier et al. 1978, J. Mol. Biol. 120, 97)."""
OTHER, BEYOND = len(STANDARD), len(STANDARD) + 1
"""What stands in a window for a letter that is no standard residue, and where the sequence has ended."""
PIECE = 100_000
"""Residues that are learned from at a time: bounds the memory."""
EPOCHS = 3
CHARGES = {"K": 1.0, "R": 1.0, "D": -1.0, "E": -1.0}


def baselines(wild_type: str = "") -> tuple[Baseline, ...]:
    """Of variants by their substitutions, of other sequences by their composition."""
    if wild_type:
        return (
            Baseline("residues by site + ridge", functools.partial(residues, wild_type=wild_type), "ridge"),
            Baseline(
                "changes of properties + gradient boosting",
                functools.partial(changed, wild_type=wild_type),
                "gradient_boosting",
            ),
        )
    return (
        Baseline("composition + random forest", composition, "random_forest"),
        Baseline("dipeptides + gradient boosting", dipeptides, "gradient_boosting"),
    )


def residues(records: Sequence[Record], wild_type: str) -> csr_array:
    """Which residue stands at which site of a variant, [n, sites x letters]: the features of an additive model of the
    effects of substitutions."""
    ids = np.array([encode(record.data.residues) for record in records], dtype=np.int64)
    return _one_hot(ids.reshape(-1, len(wild_type)) - 1, len(LETTERS))


def changed(records: Sequence[Record], wild_type: str) -> Float[np.ndarray, "n 5"]:
    """Number of substitutions, sum of their BLOSUM62 scores, and changes of hydropathy (Kyte & Doolittle 1982, J. Mol.
    Biol. 157, 105), mass and charge; letters that stand for no one residue change nothing."""
    blosum: Any = substitution_matrices.load("BLOSUM62")
    tables = (kd, protein_weights, CHARGES)
    out = np.zeros((len(records), 5))
    for row, record in zip(out, records, strict=True):
        pairs = [(wild_type[i], record.data.residues[i]) for i in changes(record.data.residues, wild_type)]
        pairs = [pair for pair in pairs if set(pair) <= set(STANDARD)]
        row[0], row[1] = len(pairs), sum(blosum[pair] for pair in pairs)
        row[2:] = [sum(table.get(new, 0.0) - table.get(old, 0.0) for old, new in pairs) for table in tables]
    return out


def composition(records: Sequence[Record]) -> Float[np.ndarray, "n 21"]:
    """Shares of the standard residues, and the logarithm of the length."""
    counts = [_counts(_standard(record), len(STANDARD)) for record in records]
    lengths = [np.log(max(len(record.data), 1)) for record in records]
    return np.column_stack([np.array(counts).reshape(-1, len(STANDARD)), lengths])


def dipeptides(records: Sequence[Record]) -> Float[np.ndarray, "n 401"]:
    """Shares of the pairs of neighbouring standard residues, and the logarithm of the length."""
    size = len(STANDARD)
    counts = []
    for record in records:
        ids = _standard(record)
        pairs = np.where((ids[:-1] < size) & (ids[1:] < size), ids[:-1] * size + ids[1:], size**2)
        counts.append(_counts(pairs, size**2))
    lengths = [np.log(max(len(record.data), 1)) for record in records]
    return np.column_stack([np.array(counts).reshape(-1, size**2), lengths])


def _standard(record: Record) -> Int[np.ndarray, " n"]:
    """0..19, and ``OTHER`` for every other letter."""
    return np.minimum(encode(record.data.residues).astype(np.int64) - 1, OTHER)


def _counts(ids: Int[np.ndarray, " n"], size: int) -> Float[np.ndarray, " size"]:
    counts = np.bincount(ids, minlength=size)[:size].astype(np.float64)
    return counts / max(counts.sum(), 1.0)


def token_baselines() -> Mapping[str, TokenBaseline]:
    return {"commonest or mean": commonest, f"window of {WINDOW} + linear": window_logistic}


def commonest(
    train: Sequence[Record], test: Sequence[Record], target: Target, seed: int
) -> Float[np.ndarray, "*m_or_m_c"]:
    """The mean, or the frequency of each class, of all training residues.

    Raises ``ValueError`` where no training residue has an answer.
    """
    truth, known = _truth(train, target)
    truth, n = truth[known], sum(len(record.data) for record in test)
    if not target.classes:
        return np.full(n, truth.mean())
    shares = np.bincount(truth.astype(int), minlength=len(target.classes)) / len(truth)
    return np.tile(shares, (n, 1))


def window_logistic(
    train: Sequence[Record], test: Sequence[Record], target: Target, seed: int
) -> Float[np.ndarray, "*m_or_m_c"]:
    """Logistic (of numbers, linear) regression on which residues stand around each, from ``WINDOW`` places; for all
    residues of all test records end to end: probabilities [m, classes], or numbers [m].

    Raises ``ValueError`` where no training residue has an answer.
    """
    from sklearn.linear_model import SGDClassifier, SGDRegressor

    truth, known = _truth(train, target)
    rng = np.random.default_rng(seed)
    around = _windows(train)
    options = {"alpha": 1e-6, "average": True, "random_state": seed}
    mean, spread = (0.0, 1.0) if target.classes else (truth[known].mean(), truth[known].std() or 1.0)
    model: Any = SGDClassifier(loss="log_loss", **options) if target.classes else SGDRegressor(**options)
    first = {"classes": np.arange(len(target.classes))} if target.classes else {}
    for _ in range(EPOCHS):
        for some in np.array_split(rng.permutation(known), -(-len(known) // PIECE)):
            model.partial_fit(_one_hot(around[some], BEYOND + 1), (truth[some] - mean) / spread, **first)
            first = {}
    answer = model.predict_proba if target.classes else model.predict
    around = _windows(test)
    pieces = [answer(_one_hot(around[i : i + PIECE], BEYOND + 1)) for i in range(0, len(around), PIECE)]
    empty = np.zeros((0, len(target.classes)) if target.classes else 0)
    return np.concatenate([empty, *pieces]) * spread + mean


def _truth(records: Sequence[Record], target: Target) -> tuple[Float[np.ndarray, " m"], Int[np.ndarray, " k"]]:
    """The answer of each residue, and the places of those that are known."""
    columns = [record.data.labels.get(target.name, np.full(len(record.data), np.nan)) for record in records]
    truth = np.concatenate([np.zeros(0), *columns])
    known = np.flatnonzero(np.isfinite(truth))
    if not len(known):
        raise ValueError(
            f"no residue of the {len(records)} training records has a value for {target.name!r}; leave it out or split "
            "differently"
        )
    return truth, known


def _windows(records: Sequence[Record]) -> UInt8[np.ndarray, "m 17"]:
    """What stands around each residue: 0..19, ``OTHER`` or ``BEYOND``."""
    outside = np.full(WINDOW // 2, BEYOND)
    rows = [np.zeros((0, WINDOW), dtype=np.uint8)]
    for record in records:
        if len(record.data):
            padded = np.concatenate([outside, _standard(record), outside]).astype(np.uint8)
            rows.append(np.lib.stride_tricks.sliding_window_view(padded, WINDOW))
    return np.concatenate(rows)


def _one_hot(ids: Integer[np.ndarray, "m places"], letters: int) -> csr_array:
    """[m, places x letters]"""
    m, places = ids.shape
    columns = (np.arange(places) * letters + ids).ravel().astype(np.int32)  # scikit-learn takes no longer ones
    rows = np.arange(0, m * places + 1, places, dtype=np.int32)
    return csr_array((np.ones(m * places), columns, rows), shape=(m, places * letters))
