"""Moving a transient to a larger redshift obeys the laws of distance, time dilation and colour."""

import numpy as np
import pytest
import torch

from sciformer.domains.lightcurve import redshift
from sciformer.domains.lightcurve.augment import ERROR, REDSHIFT, REDSHIFT_ERROR, TIME, VALUE, Augmentation, recede
from sciformer.domains.lightcurve.data import LightCurveData
from sciformer.tokens import Tokens

WAVELENGTHS = redshift.wavelengths("griz")


def transient(z: float = 0.3, signal: float = 200.0, error: float = 1.0, nights: int = 40, seed: int = 0) -> Tokens:
    """An object of known redshift that rises and falls once, in four bands, each night; redder is brighter."""
    rng = np.random.default_rng(seed)
    time, band = np.repeat(np.linspace(0, 100, nights), 4), np.tile(np.arange(4), nights)
    n = len(time)
    values, observed = torch.zeros(n + 1, 5), torch.zeros(n + 1, 5, dtype=torch.bool)
    ids, coords = torch.zeros(n + 1, 1, dtype=torch.long), torch.zeros(n + 1, 5)
    flux = signal * light(time, np.array(WAVELENGTHS)[band])
    values[1:, VALUE] = torch.from_numpy(flux + error * rng.standard_normal(n)).float()
    values[1:, ERROR] = error
    observed[1:, :2] = True
    values[0, REDSHIFT], values[0, REDSHIFT_ERROR] = z, 0.03
    observed[0, [REDSHIFT, REDSHIFT_ERROR]] = True
    ids[0], ids[1:, 0] = 9, torch.from_numpy(band + 1)
    coords[1:, TIME] = torch.from_numpy(time).float()
    return Tokens.of("lightcurve", ids=ids, values=values, observed=observed, coords=coords)


def light(time: np.ndarray, wavelength: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * ((time - 40) / 20) ** 2) * wavelength / 6400


def far(tokens: Tokens, factor: float, seed: int = 3) -> Tokens:
    return recede(tokens, np.random.default_rng(seed), (factor, factor), WAVELENGTHS)


@pytest.mark.parametrize("factor", [1.0, 1.1, 1.3])
def test_light_time_and_redshift_follow_the_factor(factor):
    tokens = transient()
    out = far(tokens, factor)
    torch.testing.assert_close(out.coords[:, TIME], tokens.coords[:, TIME] * factor)
    assert float(out.values[0, REDSHIFT]) == pytest.approx(1.3 * factor - 1, rel=1e-5)
    assert float(out.values[0, REDSHIFT_ERROR]) == pytest.approx(0.03 * factor, rel=1e-5)
    assert torch.equal(out.ids, tokens.ids)
    assert torch.equal(out.observed, tokens.observed)
    time = tokens.coords[1:, TIME].numpy()
    wavelength = np.array(WAVELENGTHS)[tokens.ids[1:, 0].numpy() - 1]
    expected = redshift.dimming(0.3, factor) * 200 * light(time, wavelength / factor)
    off = (out.values[1:, VALUE].numpy() - expected) / out.values[1:, ERROR].numpy()
    inside = tokens.ids[1:, 0].numpy() > 1  # the bluest band sees light that no band saw before
    assert off[inside].std() < 1.5
    assert abs(off[inside].mean()) < 0.3


def test_seeds_reproduce_and_the_input_is_left_alone():
    tokens, copy = transient(), transient()
    one, same, other = far(tokens, 1.2, 1), far(tokens, 1.2, 1), far(tokens, 1.2, 2)
    for name in ("values", "coords", "observed", "ids"):
        assert torch.equal(getattr(one, name), getattr(same, name))
        assert torch.equal(getattr(tokens, name), getattr(copy, name))
    assert not torch.equal(one.values, other.values)


def test_a_question_keeps_its_place_among_the_observations():
    tokens = transient()
    observed, coords = tokens.observed.clone(), tokens.coords.clone()
    observed[-1] = False
    coords[-1, TIME] = coords[80, TIME]
    out = far(tokens.replace(observed=observed, coords=coords), 1.3)
    assert float(out.coords[-1, TIME]) == float(out.coords[80, TIME]) == pytest.approx(1.3 * float(coords[80, TIME]))
    assert torch.equal(out.values[-1], tokens.values[-1])


def test_distance_dims_and_there_is_no_distance_without_a_factor():
    assert redshift.dimming(0.4, 1.0) == pytest.approx(1.0)
    assert 1 > redshift.dimming(0.4, 1.1) > redshift.dimming(0.4, 1.3) > 0
    # close by, the distance is proportional to the redshift
    assert redshift.dimming(0.01, 1.02 / 1.01) == pytest.approx(1 / 4, rel=0.03)
    # what is moved twice is where it would be if moved once
    twice = redshift.dimming(0.2, 1.2) * redshift.dimming(1.2 * 1.2 - 1, 1.1)
    assert twice == pytest.approx(redshift.dimming(0.2, 1.2 * 1.1))


def test_light_between_the_bands_is_interpolated():
    time, band = np.repeat(np.linspace(0, 100, 40), 4), np.tile(WAVELENGTHS, 40)
    flux, error = 100 * light(time, band), np.full(160, 0.5)
    mean, std = redshift.interpolated(time, band, flux, error, 1.2)
    assert np.abs(mean - 100 * light(time, band / 1.2)).max() < 10
    # the farther from any band, the less is known
    assert std[band == WAVELENGTHS[0]].mean() > 1.5 * std[band == WAVELENGTHS[2]].mean()


def test_what_no_survey_would_list_is_not_made():
    faint = transient(z=0.1, signal=20.0)
    rng = np.random.default_rng(0)
    for _ in range(30):
        out = recede(faint, rng, (1.0, 2.0), WAVELENGTHS)
        assert bool((out.values[1:, VALUE] > redshift.DETECTED * out.values[1:, ERROR]).any())
        assert float(out.values[0, REDSHIFT]) < 0.6
    assert far(faint, 2.0) is faint


@pytest.mark.parametrize("missing", ["redshift", "error", "band", "nearest"])
def test_what_cannot_be_moved_stays(missing):
    tokens = transient()
    observed, ids, values = tokens.observed.clone(), tokens.ids.clone(), tokens.values.clone()
    if missing == "redshift":
        observed[0, REDSHIFT] = False
    elif missing == "error":
        observed[5, ERROR] = False
    elif missing == "band":
        ids[5] = 0
    else:
        values[0, REDSHIFT] = 0.001
    tokens = tokens.replace(observed=observed, ids=ids, values=values)
    assert far(tokens, 1.2) is tokens


def test_errors_are_those_of_a_field_of_the_survey():
    tokens = transient()
    shares = [float(far(tokens, 1.3, seed).values[1:, ERROR].median()) for seed in range(30)]
    assert min(shares) > redshift.SKY[0] - 0.01
    assert max(shares) > 0.9


def test_bands_of_unknown_wavelength_are_refused_at_once():
    moving = Augmentation(recede=(1.0, 1.3))
    with pytest.raises(ValueError, match="the wavelength of band 'Q' is not known"):
        moving.in_bands(("g", "Q"))
    assert Augmentation().in_bands(("g", "Q")) is not None
    with pytest.raises(ValueError, match="`recede` must not bring an object nearer"):
        Augmentation(recede=(0.9, 1.2))


def test_the_sky_of_the_recipe_is_moved_by_the_bands_of_its_tokens(mirror):
    found = LightCurveData(source="snpcc", targets="sim_type", augmentation=Augmentation(recede=(1.0, 1.5))).load()
    tokens = found.adapter.tokenize(found.records[0])
    assert found.augment is not None
    moved = [float(found.augment(tokens, np.random.default_rng(seed)).values[0, REDSHIFT]) for seed in range(9)]
    assert max(moved) > float(tokens.values[0, REDSHIFT])
