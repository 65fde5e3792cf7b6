import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import linear_model

from sciformer.adapter import Baseline, Record
from sciformer.baselines import Prepared
from sciformer.tokens import Target

LEVEL = Target("level", unit="m")
SIDE = Target("side", kind="binary", classes=("left", "right"))
THIRD = Target("third", kind="multiclass", classes=("low", "middle", "high"))
ESTIMATORS = ("gradient_boosting", "random_forest")


def numbers(records) -> np.ndarray:
    """Features of records that are bare numbers: the number and a column that is never known."""
    return np.array([[r.data, np.nan] for r in records], float).reshape(len(records), 2)


def numeric(estimator: str) -> Baseline:
    return Baseline(f"numbers + {estimator}", numbers, estimator)


def fit_predict(baseline, train, test, target, seed) -> np.ndarray:
    return Prepared.of(baseline, train, test).fit_predict(target, seed)


def records(x, start: int = 0) -> list[Record]:
    """``level`` = 3 x, ``side`` = x > 0.5, ``third`` = thirds of 0..1."""
    return [
        Record(key=str(i), data=v, targets={"level": 3 * v, "side": float(v > 0.5), "third": float(int(3 * v))})
        for i, v in enumerate(x, start)
    ]


TRAIN = records(np.linspace(0.001, 0.999, 120))
TEST = records([0.1, 0.45, 0.6, 0.9], start=1000)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_regression_is_learned_in_the_targets_unit(estimator):
    predicted = fit_predict(numeric(estimator), TRAIN, TEST, LEVEL, seed=0)
    np.testing.assert_allclose(predicted, [0.3, 1.35, 1.8, 2.7], atol=0.1)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(("target", "truth"), [(SIDE, [0, 0, 1, 1]), (THIRD, [0, 1, 1, 2])])
def test_classes_are_learned_as_probabilities(estimator, target, truth):
    p = fit_predict(numeric(estimator), TRAIN, TEST, target, seed=0)
    assert p.shape == (len(TEST), len(target.classes))
    np.testing.assert_allclose(p.sum(1), 1)
    np.testing.assert_array_equal(p.argmax(1), truth)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("target", [LEVEL, THIRD])
def test_records_without_the_target_are_as_if_absent(estimator, target):
    unknown = [Record(key=f"u{i}", data=v, targets={"other": 1.0}) for i, v in enumerate((-9.0, 0.2, 9.0))]
    mixed = [unknown[0], *TRAIN[:60], unknown[1], *TRAIN[60:], unknown[2]]
    left, right = (fit_predict(numeric(estimator), train, TEST, target, seed=0) for train in (TRAIN, mixed))
    np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("target", [LEVEL, SIDE])
def test_answers_of_the_test_part_are_never_looked_at(target):
    blind = [Record(key=r.key, data=r.data) for r in TEST]
    baseline = numeric("gradient_boosting")
    left, right = (fit_predict(baseline, TRAIN, part, target, seed=0) for part in (TEST, blind))
    np.testing.assert_array_equal(left, right)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_class_without_training_records_has_probability_zero(estimator):
    without_middle = [r for r in TRAIN if r.targets["third"] != 1]
    p = fit_predict(numeric(estimator), without_middle, TEST, THIRD, seed=0)
    np.testing.assert_array_equal(p[:, 1], 0)
    np.testing.assert_array_equal(p[[0, 3]].argmax(1), [0, 2])


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_single_class_is_all_there_is_to_say(estimator):
    high = [r for r in TRAIN if r.targets["third"] == 2]
    p = fit_predict(numeric(estimator), high, TEST, THIRD, seed=0)
    np.testing.assert_array_equal(p, [[0, 0, 1]] * len(TEST))


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_one_training_record_predicts_itself(estimator):
    predicted = fit_predict(numeric(estimator), TRAIN[:1], TEST, LEVEL, seed=0)
    np.testing.assert_allclose(predicted, TRAIN[0].targets["level"])


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize(("target", "shape"), [(LEVEL, (4,)), (THIRD, (4, 3))])
def test_a_handful_of_records_is_enough_to_answer(estimator, target, shape):
    train = [TRAIN[0], TRAIN[60], TRAIN[-1]]
    assert fit_predict(numeric(estimator), train, TEST, target, seed=0).shape == shape


def test_records_that_look_all_alike_give_the_frequencies():
    alike = [Record(key=r.key, data=0.5, targets=r.targets) for r in TRAIN]
    p = fit_predict(numeric("gradient_boosting"), alike, TEST, SIDE, seed=0)
    np.testing.assert_allclose(p, [[0.5, 0.5]] * len(TEST))
    mean = np.mean([r.targets["level"] for r in TRAIN])
    np.testing.assert_allclose(fit_predict(numeric("random_forest"), alike, TEST, LEVEL, seed=0), mean)


@pytest.mark.parametrize(("target", "shape"), [(LEVEL, (0,)), (SIDE, (0, 2)), (THIRD, (0, 3))])
def test_empty_test_part_gives_empty_answers(target, shape):
    assert fit_predict(numeric("random_forest"), TRAIN, [], target, seed=0).shape == shape


@pytest.mark.parametrize("train", [[], TEST])
def test_target_unknown_everywhere_is_refused(train):
    with pytest.raises(ValueError, match=rf"of the {len(train)} training records has a value for 'colour'"):
        fit_predict(numeric("random_forest"), train, TEST, Target("colour"), seed=0)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_seed_alone_decides(estimator):
    rng = np.random.default_rng(0)
    noisy = [Record(key=r.key, data=r.data, targets={"level": r.data + rng.normal()}) for r in TRAIN]
    prepared = Prepared.of(numeric(estimator), noisy, TEST)
    legacy = np.random.get_state()[1].copy()  # noqa: NPY002 (it is the legacy state that must not change)
    first, again, other = (prepared.fit_predict(LEVEL, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any() == (estimator == "random_forest")  # boosting draws nothing at this size
    np.testing.assert_array_equal(legacy, np.random.get_state()[1])  # noqa: NPY002


def test_features_are_computed_once_for_all_targets():
    calls = []

    def counted(part) -> np.ndarray:
        calls.append(len(part))
        return numbers(part)

    prepared = Prepared.of(Baseline("counted", counted, "gradient_boosting"), TRAIN, TEST)
    for target in (LEVEL, SIDE, THIRD):
        prepared.fit_predict(target, seed=0)
    assert calls == [len(TRAIN), len(TEST)]


def esol_splits() -> pd.DataFrame:
    folders = [Path(folder) for folder in os.environ.get("SCIFORMER_MIRROR", "").split(os.pathsep) if folder]
    files = [file for folder in folders if (file := folder / "prepared/molecules/esol_splits.csv").is_file()]
    if not files:
        pytest.skip("no SCIFORMER_MIRROR folder with prepared/molecules/esol_splits.csv")
    return pd.read_csv(files[0])


def test_known_error_on_esol_is_reproduced():
    """Gradient boosting on descriptors, first random split: RMSE 0.682, measured outside this package."""
    from rdkit import Chem

    from sciformer.domains.molecule.baseline import baselines

    table = esol_splits()
    parts = {
        part: [
            Record(key=str(i), data=Chem.MolFromSmiles(smiles), targets={"logS": float(y)})
            for i, smiles, y in zip(rows.index, rows["smiles"], rows["logS"], strict=True)
        ]
        for part, rows in table.groupby("rand0")
    }
    target = Target("logS", unit="log10(mol/L)")
    predicted = fit_predict(baselines()[0], parts["train"], parts["test"], target, seed=0)
    truth = np.array([r.targets["logS"] for r in parts["test"]])
    assert np.sqrt(np.mean((predicted - truth) ** 2)) == pytest.approx(0.682, abs=0.05)


def lines(records) -> sparse.csr_array:
    """Sparse features: the number, and columns that are never anything."""
    return sparse.csr_array(np.array([[r.data, 0.0, 0.0] for r in records], float).reshape(len(records), 3))


def test_a_ridge_is_that_of_scikit_learn_on_sparse_and_dense_features():
    few = TRAIN[::6]
    x, y = (np.array([f(r) for r in few]) for f in (lambda r: [r.data], lambda r: r.targets["level"]))
    known = linear_model.Ridge(alpha=1.0).fit(x, y).predict([[r.data] for r in TEST])
    for features in (lines, lambda records: lines(records).toarray()):
        predicted = fit_predict(Baseline("lines", features, "ridge"), few, TEST, LEVEL, seed=0)
        np.testing.assert_allclose(predicted, known, atol=1e-3)


@pytest.mark.parametrize("features", [lines, lambda records: lines(records).toarray()])
def test_a_ridge_tells_classes_as_probabilities(features):
    ridge = Baseline("lines", features, "ridge")
    p = fit_predict(ridge, TRAIN, TEST, THIRD, seed=0)
    np.testing.assert_allclose(p.sum(1), 1)
    assert p[[0, 3]].argmax(1).tolist() == [0, 2]
    assert fit_predict(ridge, TRAIN, [], THIRD, seed=0).shape == (0, 3)
    alone = [r for r in TRAIN if r.targets["third"] == 2]
    np.testing.assert_array_equal(fit_predict(ridge, alone, TEST, THIRD, seed=0), [[0, 0, 1]] * len(TEST))
    alike = [Record(key=r.key, data=0.5, targets=r.targets) for r in TRAIN]
    np.testing.assert_allclose(fit_predict(ridge, alike, TEST, SIDE, seed=0), [[0.5, 0.5]] * len(TEST))
