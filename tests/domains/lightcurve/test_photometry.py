"""Magnitudes and fluxes are two names of one measurement, errors included."""

import numpy as np
import pytest

from sciformer.domains.lightcurve.curve import Curve
from sciformer.domains.lightcurve.photometry import convert, rescale, to_flux, to_magnitude


def curve(value: list[float], error: list[float], **fields: object) -> Curve:
    n = len(value)
    return Curve(time=np.arange(n) * 1.0, band=np.full(n, "g"), value=np.array(value), error=np.array(error), **fields)


def test_known_magnitudes_and_errors():
    magnitude, error = to_magnitude(np.array([1.0, 100.0]), np.array([0.01, 10.0]), 25.0)
    np.testing.assert_allclose(magnitude, [25.0, 20.0])
    np.testing.assert_allclose(error, [0.010857362, 0.10857362], rtol=1e-7)


@pytest.mark.parametrize("zero_point", [0.0, 8.9, 27.5])
def test_there_and_back(zero_point: float):
    flux, sigma = np.geomspace(1e-3, 1e6, 50), np.geomspace(1e-5, 1e5, 50)
    back, error = to_flux(*to_magnitude(flux, sigma, zero_point), zero_point)
    np.testing.assert_allclose(back, flux, rtol=1e-12)
    np.testing.assert_allclose(error, sigma, rtol=1e-12)


def test_errors_are_those_of_many_draws():
    rng = np.random.default_rng(0)
    flux, sigma = 50.0, 0.5
    draws, _ = to_magnitude(flux + sigma * rng.standard_normal(100_000), np.zeros(100_000), 25.0)
    _, error = to_magnitude(np.array([flux]), np.array([sigma]), 25.0)
    assert error[0] == pytest.approx(draws.std(), rel=0.01)


def test_no_magnitude_of_zero_or_negative_flux():
    magnitude, error = to_magnitude(np.array([0.0, -1.0, np.nan, 1.0]), np.ones(4), 25.0)
    assert np.isnan(magnitude).tolist() == np.isnan(error).tolist() == [True, True, True, False]


def test_an_unknown_error_stays_unknown():
    assert np.isnan(to_magnitude(np.array([1.0]), np.array([np.nan]), 25.0)[1]).all()
    assert np.isnan(to_flux(np.array([20.0]), np.array([np.nan]), 25.0)[1]).all()


def test_a_new_zero_point_changes_no_magnitude():
    flux, error = np.array([3.0, 7.0]), np.array([0.1, 0.2])
    old = to_magnitude(flux, error, 25.0)
    new = to_magnitude(rescale(flux, 25.0, 27.5), rescale(error, 25.0, 27.5), 27.5)
    np.testing.assert_allclose(new, old, rtol=1e-12)


def test_curves_are_converted_and_say_what_is_left_out():
    flux = curve([1.0, -2.0, 100.0], [0.1, 0.1, np.nan], unit="uJy", zero_point=23.9)
    magnitudes = convert(flux, "mag")
    assert (magnitudes.quantity, magnitudes.unit, magnitudes.zero_point) == ("mag", "mag", 23.9)
    np.testing.assert_allclose(magnitudes.value, [23.9, 18.9])
    assert magnitudes.time.tolist() == [0.0, 2.0]
    assert magnitudes.notes == ("observations of zero or negative flux, which have no magnitude, left out: 1",)
    back = convert(magnitudes, "flux")
    np.testing.assert_allclose(back.value, [1.0, 100.0])
    assert convert(flux, "flux") == flux


def test_a_zero_point_is_needed_and_cannot_be_changed():
    with pytest.raises(ValueError, match="give zero_point"):
        convert(curve([1.0], [0.1]), "mag")
    with pytest.raises(ValueError, match=r"zero point 25.0, got 27.5"):
        convert(curve([1.0], [0.1], zero_point=25.0), "mag", 27.5)
    with pytest.raises(ValueError, match="must be the finite magnitude"):
        to_flux(np.array([20.0]), np.array([0.1]), float("nan"))
    assert convert(curve([20.0], [0.1], quantity="mag", unit="mag"), "flux", 25.0).value == pytest.approx([100.0])
