"""Honest uncertainty: what a model says of itself is checked on records that it never trained on.

Split conformal prediction (Vovk et al. 2005) makes an interval or a set of classes cover the truth with
the stated probability for records exchangeable with the calibration part, whatever the model.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Integer

from sciformer.distributions import Categorical, Distribution, Real, take
from sciformer.tokens import Target

LEVELS = (0.5, 0.68, 0.8, 0.9, 0.95, 0.99)
"""Coverage levels that a checkpoint is calibrated for."""
STEPS = 1000
"""Of expectation and maximisation, each of them cheap."""


def conformal_quantile(
    scores: Float[np.ndarray, " n"], level: float, groups: Integer[np.ndarray, " n"] | None = None
) -> float:
    """The ceil((n + 1) level)-th smallest score; infinite where n is too small to promise that level.

    Scores of one group (the questions about one object, the variants of one record) share the weight of one, and n
    counts groups: if these are exchangeable, the promise is to a question about a new one (Dunn et al. 2023,
    J. Am. Stat. Assoc. 118, 2491; Lee et al. 2023, arXiv:2306.06342).
    """
    order = np.argsort(scores, kind="stable")
    weight, n = np.ones(len(scores)), len(scores)
    if groups is not None:
        _, place, count = np.unique(groups, return_inverse=True, return_counts=True)
        weight, n = 1 / count[place], len(count)
    reached = np.flatnonzero(weight[order].cumsum() >= (n + 1) * level - 1e-9)
    return float(scores[order[reached[0]]]) if len(reached) else math.inf


def conformity(answer: Real, truth: Float[np.ndarray, " n"], level: float) -> Float[np.ndarray, " n"]:
    """How far each truth lies outside the model's own interval (inside: less than 0), in widths of it."""
    lower, upper = (x.double().cpu().numpy() for x in answer.interval(level))
    return np.maximum(lower - truth, truth - upper) / np.maximum(upper - lower, 1e-12)


def records_needed(level: float) -> int:
    """Smallest calibration part that can promise this level."""
    return math.ceil(level / (1 - level) - 1e-9)


@dataclass(frozen=True)
class IntervalCalibration:
    """How much to widen (or narrow) the model's own interval, per level, in widths of that interval.

    Conformalised quantile regression in its scaled form (Romano et al. 2019, arXiv:1905.03222; Sesia and
    Candès 2020, CQR-r). For a Gaussian it equals conformal prediction with normalised residuals.
    """

    n: int
    stretch: Mapping[float, float]

    counted: ClassVar[str] = "record"
    """What it is that ``n`` counts, in one word."""

    @classmethod
    def fit(
        cls, answer: Real, truth: Float[np.ndarray, " n"], groups: Integer[np.ndarray, " n"] | None = None
    ) -> "IntervalCalibration":
        stretch = {level: conformal_quantile(conformity(answer, truth, level), level, groups) for level in LEVELS}
        return cls(len(truth) if groups is None else len(np.unique(groups)), stretch)

    def interval(self, answer: Real, level: float) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Calibrated bounds, which hold those of every lower level. Where the calibration part was too small to promise
        the level, the model's own, stretched as far as any level below and never narrowed."""
        _at(self.stretch, level)
        bounds, widest = [], 0.0
        for low in (low for low in LEVELS if low <= level):
            stretch = self.stretch[low] if self.promises(low) else widest
            widest = max(widest, stretch)
            lower, upper = (x.double().cpu().numpy() for x in answer.interval(low))
            # The two bounds meet in the middle at -0.5: a narrower interval than a point does not exist.
            extra = max(stretch, -0.5) * (upper - lower)
            bounds.append((lower - extra, upper + extra))
        lowers, uppers = zip(*bounds, strict=True)
        return np.min(lowers, axis=0), np.max(uppers, axis=0)

    def suits(self, target: Target) -> bool:
        return target.kind == "regression"

    def promises(self, level: float) -> bool:
        return math.isfinite(_at(self.stretch, level))

    def to_json(self) -> dict[str, Any]:
        return {"kind": "interval", "n": self.n, "stretch": _dump(self.stretch)}


@dataclass(frozen=True)
class LeadCalibration:
    """Intervals calibrated lead by lead: what is far ahead is wrong otherwise than what is near."""

    edges: tuple[float, ...]
    """Longest lead of each group of leads; longer ones belong to the last."""
    groups: tuple[IntervalCalibration, ...]

    MOST: ClassVar[int] = 8
    """Groups of leads."""
    PROMISED: ClassVar[float] = 0.9
    """Level that every group has windows enough for, if all of them together have."""
    counted: ClassVar[str] = "moment"

    @classmethod
    def fit(
        cls, answer: Real, truth: Float[np.ndarray, " n"], groups: Integer[np.ndarray, " n"], ahead: np.ndarray
    ) -> "LeadCalibration":
        """``groups``: the window of each question; all of a window's questions of like lead weigh as one."""
        even, edges, before = cls.unknown(ahead).edges, [], -math.inf
        for edge in even:  # leads of which too few windows are known share the group of the next
            if len(np.unique(groups[(before < ahead) & (ahead <= edge)])) >= records_needed(cls.PROMISED):
                edges.append(before := edge)
        edges = (*edges[:-1], even[-1])
        place = cls(edges, ()).group_of(ahead)
        parts = [np.flatnonzero(place == k) for k in range(len(edges))]
        return cls(
            edges, tuple(IntervalCalibration.fit(take(answer, rows), truth[rows], groups[rows]) for rows in parts)
        )

    @classmethod
    def unknown(cls, ahead: np.ndarray) -> "LeadCalibration":
        """Groups of about as many of these leads each, of which nothing is known."""
        leads = np.unique(ahead)
        edges = leads[np.ceil(np.linspace(0, len(leads), min(cls.MOST, len(leads)) + 1)[1:]).astype(int) - 1]
        nothing = IntervalCalibration(0, dict.fromkeys(LEVELS, math.inf))
        return cls(tuple(edges.tolist()), (nothing,) * len(edges))

    def group_of(self, ahead: np.ndarray) -> np.ndarray:
        """The place of each lead among ``groups``."""
        return np.minimum(np.searchsorted(self.edges, ahead * (1 - 1e-9)), len(self.edges) - 1)

    @property
    def n(self) -> int:
        return min(known.n for known in self.groups)

    def interval(
        self, answer: Real, level: float, ahead: np.ndarray
    ) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        place = self.group_of(ahead)
        lower, upper = (np.empty(len(ahead)) for _ in range(2))
        for k, known in enumerate(self.groups):
            rows = np.flatnonzero(place == k)
            lower[rows], upper[rows] = known.interval(take(answer, rows), level)
        return lower, upper

    def suits(self, target: Target) -> bool:
        return target.kind == "regression"

    def promises(self, level: float) -> bool:
        return all(known.promises(level) for known in self.groups)

    def to_json(self) -> dict[str, Any]:
        groups = [known.to_json() for known in self.groups]
        return {"kind": "leads", "n": self.n, "edges": list(self.edges), "groups": groups}


@dataclass(frozen=True)
class ClassCalibration:
    """Probabilities by temperature and, for two classes, a shift of the log odds (Guo et al. 2017; Platt 1999);
    prediction sets of the classes likely enough, calibrated class by class (Sadinle et al. 2019, eq. 5; Vovk's
    label-conditional conformal prediction). One threshold for all would cover a rare class hardly ever and still
    be right on average."""

    n: int
    temperature: float
    shift: float
    counts: tuple[int, ...]
    """Calibration records of each class."""
    thresholds: tuple[Mapping[float, float], ...]
    """Per class and level, the largest 1 - p with which the class belongs to the set. A class of too few records
    to promise a level has the threshold of all classes together."""
    tilt: tuple[float, ...] = ()
    """Per class, what is added to its logit because its share among the records to be answered is another than in the
    calibration part; empty where the shares are taken to be the same."""

    counted: ClassVar[str] = "record"

    @classmethod
    def fit(
        cls,
        answer: Categorical,
        truth: Integer[np.ndarray, " n"],
        groups: Integer[np.ndarray, " n"] | None = None,
        unlabelled: Categorical | None = None,
    ) -> "ClassCalibration":
        """``unlabelled``, answers to records of unknown class, say how common the classes are where the answers will
        be used: probabilities are tilted to those shares (see ``class_shares``)."""
        logits = answer.log_probs.double().numpy()
        temperature, shift = _fit_scaling(logits, truth)
        tilt: tuple[float, ...] = ()
        if unlabelled is not None and len(unlabelled.log_probs):
            shares = (np.bincount(truth, minlength=logits.shape[-1]) + 1) / (len(truth) + logits.shape[-1])
            there = class_shares(_scaled(unlabelled.log_probs.double().numpy(), temperature, shift), shares)
            tilt = tuple(np.log(there / shares).tolist())
        probs = _scaled(logits, temperature, shift, tilt)
        scores = 1 - probs[np.arange(len(truth)), truth]
        groups = np.arange(len(truth)) if groups is None else groups
        counts = [len(np.unique(groups[truth == j])) for j in range(logits.shape[-1])]
        together = {level: conformal_quantile(scores, level, groups) for level in LEVELS}
        alone = [
            {level: conformal_quantile(scores[truth == j], level, groups[truth == j]) for level in LEVELS}
            for j in range(len(counts))
        ]
        thresholds = [
            {level: (alone[j] if n >= records_needed(level) else together)[level] for level in LEVELS}
            for j, n in enumerate(counts)
        ]
        return cls(len(np.unique(groups)), temperature, shift, tuple(counts), tuple(thresholds), tilt)

    def probs(self, answer: Categorical) -> Float[np.ndarray, "n classes"]:
        return _scaled(answer.log_probs.double().cpu().numpy(), self.temperature, self.shift, self.tilt)

    def sets(self, probs: Float[np.ndarray, "n classes"], level: float) -> Bool[np.ndarray, "n classes"]:
        """Which classes belong to the prediction set: the likeliest, and all that belong to it at a lower level."""
        _at(self.thresholds[0], level)
        lower = [low for low in LEVELS if low <= level]
        limits = np.array([max(threshold[low] for low in lower) for threshold in self.thresholds])
        inside = 1 - probs <= limits + 1e-12
        inside[np.arange(len(probs)), probs.argmax(-1)] = True
        return inside

    def suits(self, target: Target) -> bool:
        return len(target.classes) == len(self.thresholds)

    def promises(self, level: float) -> bool:
        return self.n >= records_needed(level)

    def to_json(self) -> dict[str, Any]:
        scaling = {"temperature": self.temperature, "shift": self.shift, "tilt": list(self.tilt)}
        by_class = {"counts": list(self.counts), "thresholds": [_dump(table) for table in self.thresholds]}
        return {"kind": "classes", "n": self.n, **scaling, **by_class}


Calibration = IntervalCalibration | LeadCalibration | ClassCalibration


def interval(
    known: Calibration | None, answer: Real, level: float, ahead: Float[np.ndarray, " n"] | None = None
) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Calibrated bounds of answers; the model's own where nothing is known. ``ahead``: how far beyond what was seen."""
    if isinstance(known, LeadCalibration):
        assert ahead is not None  # of whoever forecasts
        return known.interval(answer, level, ahead)
    if isinstance(known, IntervalCalibration):
        return known.interval(answer, level)
    lower, upper = (x.double().cpu().numpy() for x in answer.interval(level))
    return lower, upper


def calibrate(
    answer: Distribution,
    truth: Float[np.ndarray, " n"],
    groups: Integer[np.ndarray, " n"] | None = None,
    unlabelled: Distribution | None = None,
) -> Calibration:
    """Fit the calibration that suits the kind of answer to known truths of the calibration part. Answers of one group
    are about one record. ``unlabelled``, answers to records of unknown truth, move the probabilities of classes and no
    interval."""
    if isinstance(answer, Categorical):
        assert unlabelled is None or isinstance(unlabelled, Categorical)
        return ClassCalibration.fit(answer, truth.astype(np.int64), groups, unlabelled)
    assert isinstance(answer, Real)
    return IntervalCalibration.fit(answer, truth.astype(np.float64), groups)


def from_json(spec: Any) -> Calibration:
    """Raises ``ValueError`` or ``KeyError`` naming the field for anything but what ``to_json`` gives."""
    if not isinstance(spec, dict):
        raise ValueError(f"must be an object, got {type(spec).__name__}")
    n = spec["n"]
    if type(n) is not int or n < 0:
        raise ValueError(f"n must be a number of records, got {n!r}")
    if spec["kind"] == "interval":
        return IntervalCalibration(n, _parse(spec["stretch"], "stretch"))
    if spec["kind"] == "leads":
        return _leads(spec)
    if spec["kind"] != "classes":
        raise ValueError(f"kind must be interval, leads or classes, got {spec['kind']!r}")
    temperature, shift = (_number(name, spec[name]) for name in ("temperature", "shift"))
    if temperature <= 0:
        raise ValueError(f"temperature must be positive, got {temperature:g}")
    counts, tables = spec["counts"], spec["thresholds"]
    if not isinstance(tables, list) or not isinstance(counts, list) or len(counts) != len(tables) or len(tables) < 2:
        raise ValueError("thresholds must be a list with one table per class, and counts one with as many numbers")
    if any(type(count) is not int or count < 0 for count in counts):
        raise ValueError(f"counts must be numbers of records, got {counts!r}")
    thresholds = tuple(_parse(table, f"thresholds.{j}") for j, table in enumerate(tables))
    tilt = spec.get("tilt", [])
    if not isinstance(tilt, list) or len(tilt) not in (0, len(tables)):
        raise ValueError(f"tilt must be empty or a list with one number per class, got {tilt!r}")
    tilts = tuple(_number(f"tilt.{j}", x) for j, x in enumerate(tilt))
    return ClassCalibration(n, temperature, shift, tuple(counts), thresholds, tilts)


def _leads(spec: Mapping[str, Any]) -> LeadCalibration:
    edges, groups = spec["edges"], spec["groups"]
    if not isinstance(edges, list) or not isinstance(groups, list) or len(edges) != len(groups) or not edges:
        raise ValueError("edges must be a list with one lead per entry of groups")
    known = tuple(from_json(group) for group in groups)
    if not all(isinstance(group, IntervalCalibration) for group in known):
        raise ValueError("groups must be intervals")
    return LeadCalibration(tuple(_number(f"edges.{j}", x) for j, x in enumerate(edges)), known)  # pyright: ignore


def class_shares(
    probs: Float[np.ndarray, "n classes"], shares: Float[np.ndarray, " classes"]
) -> Float[np.ndarray, " classes"]:
    """How common each class is among records that are answered with ``probs``, which are right where the classes have
    ``shares``: the maximum of likelihood by expectation and maximisation (Saerens et al. 2002, Neural Computation 14,
    21). Right where only the shares differ, not the looks of a class (label shift)."""
    there = shares
    for _ in range(STEPS):
        weighted = probs * (there / shares)
        there = (weighted / weighted.sum(-1, keepdims=True)).mean(0)
    # No sample can prove that there is none of a class, and the logarithm of 0 is no tilt.
    there = np.maximum(there, 1 / (len(probs) + 1))
    return there / there.sum()


def _fit_scaling(logits: Float[np.ndarray, "n classes"], truth: Integer[np.ndarray, " n"]) -> tuple[float, float]:
    """Temperature and shift of least cross-entropy, held back by a weak prior (as Platt's two pseudo-counts),
    so that ten records cannot make a model certain."""
    from scipy.optimize import minimize

    classes = logits.shape[-1]
    if len(truth) < 2 * classes:
        return 1.0, 0.0
    counts = np.bincount(truth, minlength=classes)
    smooth = (counts[truth] + 1) / (counts[truth] + 2)

    def loss(x: np.ndarray) -> float:
        probs = _scaled(logits, math.exp(x[0]), x[1] if classes == 2 else 0.0)
        true = probs[np.arange(len(truth)), truth].clip(1e-12, 1 - 1e-12)
        return float(-(smooth * np.log(true) + (1 - smooth) * np.log(1 - true)).sum() + 0.5 * (x**2).sum())

    best = minimize(loss, np.zeros(2), method="Nelder-Mead")
    return math.exp(best.x[0]), float(best.x[1]) if classes == 2 else 0.0


def _scaled(
    logits: Float[np.ndarray, "n classes"], temperature: float, shift: float, tilt: Sequence[float] = ()
) -> np.ndarray:
    from scipy.special import softmax

    moved = logits / temperature
    if shift:
        moved = moved + np.array([0.0, shift])
    if tilt:
        moved = moved + np.array(tilt)
    return softmax(moved, axis=-1)


def _at(table: Mapping[float, float], level: float) -> float:
    if level not in table:
        raise ValueError(f"calibrated levels are {', '.join(f'{x:g}' for x in table)}; got {level:g}")
    return table[level]


def _dump(table: Mapping[float, float]) -> dict[str, float | None]:
    """JSON has no infinity: null says that the level cannot be promised."""
    return {f"{level:g}": x if math.isfinite(x) else None for level, x in table.items()}


def _parse(table: Any, name: str) -> dict[float, float]:
    levels = {f"{level:g}": level for level in LEVELS}
    if not isinstance(table, dict) or table.keys() != levels.keys():
        found = ", ".join(table) if isinstance(table, dict) else type(table).__name__
        raise ValueError(f"{name} must have the levels {', '.join(levels)}, got {found or 'none'}")
    return {levels[key]: math.inf if x is None else _number(f"{name}.{key}", x) for key, x in table.items()}


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return float(value)
