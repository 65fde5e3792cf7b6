"""Values are normalised by what the training part, or the sample itself, shows."""

import pytest
import torch
from torch.testing import assert_close

from sciformer.nn.scale import Standardizer
from sciformer.tokens import Value

COLUMNS = (Value("f"), Value("s", scale="per_sample"), Value("n", scale="none"))


def rows(seed: int = 0):
    """Values, observed and sample ids of two packed samples and a padding token."""
    torch.manual_seed(seed)
    values = torch.randn(9, 3) * 50 + 1000
    observed = torch.rand(9, 3) < 0.7
    observed[[0, 1, 4, 5]] = True
    sample = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, -1])
    observed[-1] = False
    return values, observed, sample


def fitted() -> Standardizer:
    scale = Standardizer(COLUMNS)
    values, observed, _ = rows(seed=1)
    scale.fit(values, observed)
    return scale


def test_fixed_columns_use_the_training_part():
    scale = fitted()
    values, observed, sample = rows(seed=1)
    seen = scale(values, observed, sample)[observed[:, 0], 0]
    assert_close((seen.mean(), seen.std()), (torch.tensor(0.0), torch.tensor(1.0)), atol=1e-4, rtol=0)


def test_per_sample_columns_use_their_own_sample():
    values, observed, sample = rows()
    out = fitted()(values, observed, sample)
    for i in (0, 1):
        seen = out[(sample == i) & observed[:, 1], 1]
        assert_close(seen.mean(), torch.tensor(0.0), atol=1e-4, rtol=0)
        assert_close(seen.std(correction=0), torch.tensor(1.0), atol=1e-4, rtol=0)


def test_a_column_without_scale_stays_as_it_is():
    values, observed, sample = rows()
    assert_close(fitted()(values, observed, sample)[:, 2], values[:, 2].where(observed[:, 2], 0.0))


def test_hidden_values_do_not_influence_the_statistics():
    values, observed, sample = rows()
    other = torch.where(observed, values, torch.tensor(1e9))
    scale = fitted()
    assert torch.equal(scale(other, observed, sample), scale(values, observed, sample))


def test_samples_do_not_influence_each_other():
    values, observed, sample = rows()
    scale, first = fitted(), sample == 0
    alone = scale(values[first], observed[first], sample[first])
    assert_close(scale(values, observed, sample)[first], alone)


def test_a_sample_of_one_value_keeps_its_scale():
    scale = Standardizer([Value("s", scale="per_sample")])
    assert scale(torch.tensor([[7.0]]), torch.tensor([[True]]), torch.tensor([0])).tolist() == [[0.0]]


def test_statistics_travel_with_the_state():
    scale, again = fitted(), Standardizer(COLUMNS)
    again.load_state_dict(scale.state_dict())
    assert torch.equal(again(*rows()), scale(*rows()))


def test_scales_that_were_never_fitted_are_refused():
    with pytest.raises(RuntimeError, match="never fitted"):
        Standardizer(COLUMNS)(*rows())


@pytest.mark.parametrize(
    ("values", "observed", "message"),
    [
        ([1.0, 2.0], [False, False], "'f' has no known value"),
        ([3.5, 3.5], [True, True], "'f' is always 3.5"),
        ([3.5, 9.0], [True, False], "'f' is always 3.5"),
    ],
)
def test_a_column_with_nothing_to_learn_is_refused(values, observed, message):
    with pytest.raises(ValueError, match=message):
        Standardizer([Value("f")]).fit(torch.tensor(values).unsqueeze(-1), torch.tensor(observed).unsqueeze(-1))
