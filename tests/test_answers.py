"""Columns of tables of answers, where nothing was calibrated too."""

import numpy as np
import pytest
import torch

from sciformer.answers import answer_columns, spread
from sciformer.distributions import Categorical, Gaussian
from sciformer.domains.protein.adapter import Protein
from sciformer.predictor import Predictor
from sciformer.tokens import Target

STATE = Target("state", "multiclass", classes=("C", "E", "H"))
PLAIN = Predictor(Protein(), [], {})
PROBS = torch.tensor([[0.7, 0.2, 0.1], [0.05, 0.35, 0.6], [0.36, 0.33, 0.31]])


@pytest.mark.parametrize(
    ("level", "sets"),
    [(0.5, ["C", "H", "C|E"]), (0.68, ["C", "E|H", "C|E"]), (0.8, ["C|E", "E|H", "C|E|H"])],
)
def test_an_uncalibrated_set_holds_the_likeliest_classes_that_reach_the_level(level, sets):
    columns = PLAIN.columns(STATE, Categorical(PROBS.log()), level)
    assert [*columns, "status"] == answer_columns([STATE])
    assert columns["state"].tolist() == ["C", "H", "C"]
    assert [set(text.split("|")) for text in columns["state_set"]] == [set(text.split("|")) for text in sets]
    np.testing.assert_allclose(columns["state_p_E"], PROBS[:, 1], atol=1e-6)


def test_an_uncalibrated_interval_is_that_of_the_model():
    answer = Gaussian(torch.tensor([1.0, -2.0]), torch.tensor([0.5, 2.0]))
    columns = PLAIN.columns(Target("y"), answer, 0.95)
    assert [*columns, "status"] == answer_columns([Target("y")])
    np.testing.assert_allclose(columns["y_upper"] - columns["y"], [0.98, 3.92], atol=1e-3)
    np.testing.assert_allclose(columns["y"] - columns["y_lower"], [0.98, 3.92], atol=1e-3)


def test_answers_keep_clear_of_rows_that_could_not_be_read():
    readable = np.array([False, True, False, True])
    np.testing.assert_array_equal(spread(np.array([1.5, 2.5]), readable), [np.nan, 1.5, np.nan, 2.5])
    assert spread(np.array(["a", "b"], dtype=object), readable).tolist() == [None, "a", None, "b"]
    assert np.isnan(spread(np.zeros(0), np.zeros(3, dtype=bool))).all()
