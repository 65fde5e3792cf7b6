"""Answers about properties: how they are told in tables, calibrated and in the units of the training data."""

import abc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sciformer import calibration
from sciformer.distributions import Categorical, Distribution, Real
from sciformer.ensemble import Ensemble, T
from sciformer.tokens import Target


@dataclass(frozen=True)
class Known:
    """Which of the answers to some records have a known truth."""

    rows: np.ndarray
    truth: np.ndarray
    """Numbers, or indices of classes as float64."""
    keys: Sequence[str]
    """Of the records that the answers are about."""

    @property
    def records(self) -> np.ndarray:
        """Whom each of these answers is about, as a number from 0."""
        return pd.factorize(np.array(self.keys, dtype=object))[0]


@dataclass(frozen=True)
class PropertyEnsemble(Ensemble[T], abc.ABC):
    """A trained ensemble that answers properties: of records, or of each of their tokens."""

    @property
    def targets(self) -> tuple[Target, ...]:
        return self.task.answers

    @abc.abstractmethod
    def predict(self, source: Any, *, level: float | int | None = None, **columns: Any) -> pd.DataFrame:
        """A row per record of ``source``, in its order."""

    @abc.abstractmethod
    def answer(self, records: Sequence[Any]) -> dict[str, Distribution]:
        """Distributions by target about readable records, in their order and in physical units."""

    @abc.abstractmethod
    def known(self, records: Sequence[Any], target: Target) -> Known:
        """The rows of ``answer`` whose truth the records bring along."""

    def called(self, records: Sequence[Any], known: Known) -> pd.DataFrame:
        """What the rows of ``known`` are called besides the keys of their records."""
        return pd.DataFrame(index=range(len(known.rows)))

    def columns(self, target: Target, answer: Distribution, level: float) -> dict[str, np.ndarray]:
        """The columns of a table of answers to one target: of a number its value, ``_lower`` and ``_upper``; of classes
        the likeliest, ``_p_<class>`` for each class and ``_set``, the classes of a prediction set joined by ``|``."""
        name, known = target.name, self.calibrations.get(target.name)
        if isinstance(answer, Real):
            lower, upper = calibration.interval(known, answer, level)
            return {name: answer.mean.double().cpu().numpy(), f"{name}_lower": lower, f"{name}_upper": upper}
        assert isinstance(answer, Categorical)
        labels = np.array(target.classes, dtype=object)
        if isinstance(known, calibration.ClassCalibration):
            probs = known.probs(answer)
            inside = known.sets(probs, level)
        else:
            probs = answer.probs.double().cpu().numpy()
            inside = _likeliest(probs, level)
        return {
            name: labels[probs.argmax(-1)],
            **{f"{name}_p_{label}": probs[:, j] for j, label in enumerate(target.classes)},
            f"{name}_set": np.array(["|".join(labels[row]) for row in inside], dtype=object),
        }


def _likeliest(probs: np.ndarray, level: float) -> np.ndarray:
    """The likeliest classes that together reach the level."""
    order = np.argsort(-probs, axis=-1)
    ranked = np.take_along_axis(probs, order, -1)
    inside = np.zeros(probs.shape, dtype=bool)
    np.put_along_axis(inside, order, ranked.cumsum(-1) - ranked < level, -1)
    return inside


def answer_columns(targets: Sequence[Target]) -> list[str]:
    """The columns of ``Predictor.predict``, known before there is an answer."""
    names = []
    for target in targets:
        parts = [*(f"p_{label}" for label in target.classes), "set"] if target.classes else ["lower", "upper"]
        names += [target.name, *(f"{target.name}_{part}" for part in parts)]
    return [*names, "status"]


def beside(table: pd.DataFrame | None, answers: pd.DataFrame, targets: Sequence[Target]) -> pd.DataFrame:
    """The answers behind the columns of the input, which keep their names and their cells. Where the input has
    one of the columns of a target, all of that target are called ``predicted_...``."""
    answers = answers.reset_index()
    if table is None or len(table) != len(answers):  # better no columns than those of another row
        return answers
    groups = [answer_columns([target])[:-1] for target in targets]
    groups += [[name] for name in answers.columns if not any(name in group for group in groups)]
    taken, given, names = set(table.columns), set(answers.columns), {}
    for group in groups:
        prefix = ""
        while any(prefix + name in taken or (prefix and prefix + name in given) for name in group):
            prefix += "predicted_"
        names |= {name: prefix + name for name in group}
        taken |= {prefix + name for name in group}
    return pd.concat([table.reset_index(drop=True), answers.rename(columns=names)], axis=1)


def spread(values: np.ndarray, readable: np.ndarray) -> np.ndarray:
    """Answers at their rows; NaN (or None for text) where a row could not be read."""
    missing = None if values.dtype == object else np.nan
    out = np.full(len(readable), missing, dtype=values.dtype)
    out[readable] = values
    return out
