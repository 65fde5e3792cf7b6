"""Fit the classical models of a domain on the same records as the transformer.

No tuning: a floor to beat, not a competition entry. Forests use one thread unless the caller says
otherwise with ``joblib.parallel_config(n_jobs=...)``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from sciformer.adapter import Baseline, Record
from sciformer.tokens import Target

BOOSTING_ROUNDS = 500
FOREST_TREES = 200


@dataclass(frozen=True)
class Prepared:
    """A baseline with the features of a training and a test part, computed once for all targets."""

    baseline: Baseline
    train: Sequence[Record]
    train_features: Any
    """An array [n, features], or a scipy sparse one."""
    test_features: Any

    @classmethod
    def of(cls, baseline: Baseline, train: Sequence[Record], test: Sequence[Record]) -> "Prepared":
        return cls(baseline, train, baseline.features(train), baseline.features(test))

    def fit_predict(self, target: Target, seed: int) -> Float[np.ndarray, "*n_or_n_c"]:
        """Fit on the training records where ``target`` is known, predict all test records.

        Regression: values [n] in the target's unit. Classes: probabilities [n, classes] in the order of
        ``target.classes``; a class without training records has probability 0.
        Raises ``ValueError`` when no training record has the target.
        """
        # 1. what is known, and the features that tell the records apart
        known = [i for i, record in enumerate(self.train) if target.name in record.targets]
        if not known:
            raise ValueError(
                f"{self.baseline.name!r} cannot be fitted: none of the {len(self.train)} training records "
                f"has a value for {target.name!r}; leave this target out or split differently"
            )
        truth = np.array([self.train[i].targets[target.name] for i in known])
        x, x_test = self.train_features[known], self.test_features
        varies = _varies(x)
        # 2. fit; with nothing to learn from or nothing to learn, the mean or the class frequencies
        regression = target.kind == "regression"
        learnable = varies.any() and np.ptp(truth) > 0
        model = _estimator(self.baseline, regression, seed) if learnable else _constant(regression)
        model.fit(x[:, varies], truth if regression else truth.astype(int))
        # 3. predict (scikit-learn refuses to predict no row)
        if regression:
            return model.predict(x_test[:, varies]) if x_test.shape[0] > 0 else np.zeros(0)
        if not x_test.shape[0]:
            return np.zeros((0, len(target.classes)))
        return among_all(model.classes_, model.predict_proba(x_test[:, varies]), len(target.classes))


def among_all(met: np.ndarray, found: Float[np.ndarray, "n met"], count: int) -> Float[np.ndarray, "n c"]:
    """Probabilities of the classes that were met in training, among all; the others have 0."""
    out = np.zeros((len(found), count))
    out[:, met] = found
    return out


def _varies(x: Any) -> Bool[np.ndarray, " k"]:
    """Which features tell any two records apart; False where all are NaN, which boosting cannot bin."""
    if sparse.issparse(x):
        return x.max(axis=0).toarray().ravel() > x.min(axis=0).toarray().ravel()
    return np.fmax.reduce(x) > np.fmin.reduce(x)


def _estimator(baseline: Baseline, regression: bool, seed: int) -> Any:
    from sklearn import ensemble, linear_model  # heavy, and only needed here

    if baseline.estimator == "ridge":  # unit penalty on the squared weights, whatever the features
        return linear_model.Ridge() if regression else linear_model.LogisticRegression(max_iter=1000)
    if baseline.estimator == "gradient_boosting":
        kind = "Regressor" if regression else "Classifier"
        boosting = getattr(ensemble, f"HistGradientBoosting{kind}")
        # no early stopping: it would set records aside by class, which fails for a class with one record
        return boosting(max_iter=BOOSTING_ROUNDS, learning_rate=0.05, early_stopping=False, random_state=seed)
    if regression:  # a third of the features per split, as Breiman (2001) advises: as good as all, and faster
        return ensemble.RandomForestRegressor(FOREST_TREES, max_features=1 / 3, random_state=seed)
    return ensemble.RandomForestClassifier(FOREST_TREES, random_state=seed)


def _constant(regression: bool) -> Any:
    from sklearn import dummy

    return dummy.DummyRegressor() if regression else dummy.DummyClassifier(strategy="prior")
