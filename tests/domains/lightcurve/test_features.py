import dataclasses

import numpy as np
import pytest

from sciformer.adapter import Record
from sciformer.baselines import Prepared
from sciformer.domains.lightcurve.baseline import (
    BANDS,
    PERIODICITY,
    baselines,
    feature_names,
    features,
)
from sciformer.domains.lightcurve.curve import Curve
from sciformer.domains.lightcurve.simulate import TARGETS, simulate

NAMES = feature_names()


def make(time, band, value, error, **more) -> Curve:
    """A curve from points in any order."""
    order = np.argsort(time, kind="stable")
    time, band, value, error = (np.asarray(x)[order] for x in (time, band, value, error))
    return Curve(time=time.astype(float), band=band, value=value.astype(float), error=error.astype(float), **more)


def star(n: int = 150, period: float = 0.7312, seed: int = 0, quantity="mag", **more) -> Curve:
    """A skew pulsator in three bands; times are multiples of 1/1024 day, so that a shift of days is exact."""
    rng = np.random.default_rng(seed)
    time = np.unique(np.round(rng.uniform(0, 400, n) * 1024)) / 1024
    band = rng.choice(["g", "r", "i"], len(time)).astype(object)
    angle = 2 * np.pi * time / period
    shape = np.cos(angle) + 0.4 * np.cos(2 * angle + 1)
    level = np.select([band == "g", band == "r"], [17.5, 17.0], 16.8)
    error = rng.uniform(0.01, 0.05, len(time))
    value = level + 0.3 * shape + error * rng.standard_normal(len(time))
    if quantity == "flux":
        value, error = 10 ** (-0.4 * (value - 20)), 0.92 * error * 10 ** (-0.4 * (value - 20))
    return make(time, band, value, error, quantity=quantity, **more)


def row(curve: Curve | None) -> dict[str, float]:
    matrix = features([Record(key="a", data=curve)])
    assert matrix.shape == (1, len(NAMES))
    assert matrix.dtype == np.float64
    assert not np.isinf(matrix).any()
    return dict(zip(NAMES, matrix[0], strict=True))


def test_names_are_distinct_and_know_neither_epoch_nor_position():
    assert len(set(NAMES)) == len(NAMES)
    here = star(position=(10.0, -5.0), origin=2_400_000.5)
    there = dataclasses.replace(here, position=(200.0, 60.0), origin=0.0, scale="JD")
    np.testing.assert_array_equal(list(row(here).values()), list(row(there).values()))


@pytest.mark.parametrize("quantity", ["mag", "flux"])
def test_a_shift_of_time_changes_nothing(quantity):
    here = star(quantity=quantity)
    there = dataclasses.replace(here, time=here.time + 54_321.0)
    np.testing.assert_array_equal(list(row(here).values()), list(row(there).values()))


def test_a_julian_date_changes_nothing_that_matters():
    here = star()
    there = dataclasses.replace(here, time=here.time + 2_455_000.123)
    np.testing.assert_allclose(list(row(here).values()), list(row(there).values()), rtol=1e-3, atol=1e-4)


def test_the_order_of_observations_changes_nothing_even_at_equal_times():
    curve = star()
    time = np.floor(curve.time / 2) * 2  # many points of two bands, and of one band, at one moment
    mixed = np.random.default_rng(5).permutation(len(curve))
    one = make(time, curve.band, curve.value, curve.error, quantity="mag")
    other = make(*(x[mixed] for x in (time, curve.band, curve.value, curve.error)), quantity="mag")
    assert not np.array_equal(one.value, other.value)
    np.testing.assert_allclose(list(row(one).values()), list(row(other).values()), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("period", [0.0713, 0.7312, 13.7])
def test_the_period_is_found(period):
    found = row(star(period=period))
    assert 10 ** found["log10_period"] == pytest.approx(period, rel=2e-3)
    assert found["power"] > 0.6
    assert found["explained"] > 0.9
    assert found["r21"] == pytest.approx(0.4, abs=0.05)
    assert found["false_alarm"] < -20


def test_periods_are_those_of_before():
    """Figures of the first version: published scores of the baselines hold as long as these do."""
    found, expected = row(star()), {"log10_period": -0.13597373853865, "power": 0.84566634905576}
    expected |= {"log10_second_period": -0.4002034395141, "second_power": 0.15819262852229, "amplitude": 0.296881962231}
    expected |= {"phi31": 4.1769628292, "explained": 0.980069934051, "explained_double": 0.979844906378}
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-9)


def test_a_star_without_variation_has_no_significant_period():
    rng = np.random.default_rng(2)
    still = dataclasses.replace(
        star(), value=17 + 0.02 * rng.standard_normal(len(star())), error=np.full(len(star()), 0.02)
    )
    assert row(still)["power"] < 0.3
    assert row(still)["false_alarm"] > -10
    assert row(still)["chi2_all"] == pytest.approx(1.0, abs=0.3)


def test_levels_and_colours_are_those_of_the_data():
    found = row(star(n=900))
    assert found["g-r"] == pytest.approx(0.5, abs=0.06)
    assert found["r-i"] == pytest.approx(0.2, abs=0.06)
    assert found["level_g"] == pytest.approx(17.5, abs=0.05)
    assert np.isnan(found["level_z"])
    assert np.isnan(found["i-z"])
    flux = row(star(n=900, quantity="flux"))
    assert flux["g-r"] == pytest.approx(0.5, abs=0.1)


def test_names_of_bands_are_read_in_either_case_and_others_count_together():
    curve = star()
    upper = dataclasses.replace(curve, band=np.array([str(b).upper() for b in curve.band], object))
    np.testing.assert_array_equal(list(row(curve).values()), list(row(upper).values()))
    other = row(dataclasses.replace(curve, band=np.array([f"band {b}" for b in curve.band], object)))
    assert other["log10_period"] == pytest.approx(row(curve)["log10_period"])
    assert all(np.isnan(other[f"level_{b}"]) for b in BANDS)


def test_metadata_is_shown_where_known():
    assert np.isnan(row(star())["redshift"])
    assert row(star(meta={"redshift": 0.25}))["redshift"] == 0.25


@pytest.mark.parametrize("n", [0, 1, 2, 4, 5, 9, 10])
def test_few_points_are_no_error(n):
    found = row(star(n=n))
    if n < 10:
        assert np.isnan(found["log10_period"])
    if n:
        assert found["log_points"] == pytest.approx(np.log10(n))


def test_unreadable_records_and_no_records_keep_their_shape():
    assert all(np.isnan(x) for x in row(None).values())
    assert features([]).shape == (0, len(NAMES))


@pytest.mark.parametrize(
    "change",
    [
        {"value": lambda c: np.full(len(c), 3.0)},  # nothing varies
        {"time": lambda c: np.zeros(len(c))},  # all at once
        {"time": lambda c: np.repeat([0.0, 1.0], [10, len(c) - 10])},  # two moments
        {"error": lambda c: np.full(len(c), np.nan)},
        {"error": lambda c: np.where(np.arange(len(c)) % 2, 0.0, c.error)},
        {"value": lambda c: -np.abs(c.value)},  # negative fluxes
        {"value": lambda c: 1e30 * c.value},
        {"time": lambda c: 1e-6 * c.time},
        {"time": lambda c: 1e5 * c.time},  # a record of a thousand centuries
    ],
)
@pytest.mark.parametrize("quantity", ["mag", "flux"])
def test_odd_curves_have_features_or_none_but_no_error(change, quantity):
    curve = star(quantity=quantity)
    (name, of), *_ = change.items()
    row(dataclasses.replace(curve, **{name: of(curve)}))


def test_unknown_errors_leave_signal_to_noise_undefined():
    found = row(dataclasses.replace(star(), error=np.full(len(star()), np.nan)))
    assert np.isnan(found["max_sn_g"])
    assert np.isfinite(found["log10_period"])


def test_a_forest_learns_the_simulated_classes_and_the_periods_are_found():
    observations, objects = simulate(500, seed=0)
    parts = dict(list(observations.groupby("object_id")))
    records = [
        Record(
            key=str(key),
            data=make(p.time.to_numpy(), p.band.to_numpy(object), p.flux.to_numpy(), p.flux_err.to_numpy()),
            targets={"class": float(TARGETS[0].classes.index(label))},
        )
        for key, label in zip(objects.object_id, objects["class"], strict=True)
        for p in [parts[key]]
    ]
    matrix = features(records)
    truth = np.array([record.targets["class"] for record in records[350:]])
    boosting, forest = baselines()  # boosting on 13 classes takes its time
    assert (boosting.estimator, forest.estimator) == ("gradient_boosting", "random_forest")
    prepared = Prepared(forest, records[:350], matrix[:350], matrix[350:])
    assert (prepared.fit_predict(TARGETS[0], seed=0).argmax(axis=1) == truth).mean() > 0.7
    # the period that the simulator says is the one that the features find
    found = matrix[:, NAMES.index("log10_period")]
    pulsators = objects["class"].isin(["rr_lyrae_ab", "rr_lyrae_c", "delta_scuti", "cepheid"]).to_numpy()
    assert (np.abs(found - objects.log10_period.to_numpy())[pulsators] < 0.002).mean() > 0.8


def test_periodicity_has_a_value_for_every_name():
    found = row(star())
    assert all(np.isfinite(found[name]) for name in PERIODICITY)
