import numpy as np
import pandas as pd
import pytest

from sciformer.domains.lightcurve.simulate import (
    BANDS,
    BLOCK,
    CLASSES,
    START,
    TARGETS,
    YEARS,
    flux_error,
    random_walk,
    sawtooth,
    simulate,
)

PERIODIC = {
    *("rr_lyrae_ab", "rr_lyrae_c", "cepheid", "delta_scuti", "eclipsing_detached", "eclipsing_contact"),
    *("rotation", "transit"),
}


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    return simulate(1200, seed=7)


def of_class(tables, name: str) -> pd.DataFrame:
    observations, objects = tables
    return observations.merge(objects[objects["class"] == name], on="object_id")


def folded_scatter(one: pd.DataFrame, period: float) -> float:
    """Scatter between neighbours in phase over that of all points: small at the right period."""
    folded = one.assign(phase=one.time / period % 1).sort_values("phase")
    return float(np.sqrt(np.mean(np.diff(folded.flux) ** 2) / 2) / folded.flux.std())


def test_same_seed_same_tables_and_fewer_objects_are_their_head(tables):
    observations, objects = simulate(100, seed=7)
    pd.testing.assert_frame_equal(objects, tables[1].head(100))
    pd.testing.assert_frame_equal(observations, tables[0].head(len(observations)))
    assert simulate(100, seed=8)[1]["class"].tolist() != objects["class"].tolist()


def test_objects_of_a_later_block_are_new_and_numbered_on():
    observations, objects = simulate(BLOCK + 20, seed=0)
    assert objects.object_id.tolist() == list(range(BLOCK + 20))
    assert observations.object_id.is_monotonic_increasing
    assert objects["class"].tail(20).tolist() != objects["class"].head(20).tolist()
    pd.testing.assert_frame_equal(simulate(BLOCK, seed=0)[1], objects.head(BLOCK))


def test_global_random_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 (it is the legacy state that must not change)
    simulate(5, seed=0)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_columns_are_what_users_have_and_the_declared_targets(tables):
    observations, objects = tables
    assert observations.columns.tolist() == ["object_id", "time", "band", "flux", "flux_err"]
    assert objects.columns.tolist() == ["object_id", *(target.name for target in TARGETS), "redshift"]
    assert set(observations.band) == set(BANDS)
    assert set(objects["class"]) == set(CLASSES) == set(TARGETS[0].classes)
    assert observations.notna().all(axis=None)
    assert np.isfinite(observations.flux).all()
    assert (observations.flux_err > 0).all()
    assert set(observations.object_id) == set(objects.object_id)


def test_truth_is_known_where_there_is_one(tables):
    objects = tables[1]
    assert set(objects["class"][objects.log10_period.notna()]) == PERIODIC
    assert objects.log10_period.notna().tolist() == objects["class"].isin(PERIODIC).tolist()
    far = objects[objects["class"].isin(["supernova_ia", "supernova_ii", "agn"])]
    assert 0.55 < far.redshift.notna().mean() < 0.85
    assert objects.redshift.drop(far.index).isna().all()


def test_the_survey_has_nights_seasons_and_gaps(tables):
    observations = tables[0]
    assert observations.time.between(START, START + YEARS * 366).all()
    counts = observations.groupby("object_id").size()
    assert counts.min() > 50
    assert counts.std() > 20
    for _, one in list(observations.groupby("object_id"))[:50]:
        assert (np.diff(one.time) > 0).all()
        gaps = np.diff(one.time)
        assert gaps.max() > 90  # behind the sun
        assert np.median(gaps[gaps > 0.1]) < 15
        assert (gaps < 0.01).mean() > 0.3  # bands of one visit
    assert (observations.time % 1).between(0.25, 0.6).all()


def test_errors_are_calibrated_where_nothing_varies(tables):
    constant = of_class(tables, "constant").groupby(["object_id", "band"])
    z, free = [], 0
    for _, one in constant:
        weight = one.flux_err**-2
        mean = np.average(one.flux, weights=weight)
        z.append(((one.flux - mean) / one.flux_err).to_numpy())
        free += len(one) - 1
    z = np.concatenate(z)
    assert np.sum(z**2) / free == pytest.approx(1.0, abs=0.04)
    assert abs(z.mean()) < 0.02


def test_errors_follow_depth_and_brightness():
    depth = np.array([24.0, 25.0])
    at_depth = 10 ** (-0.4 * (depth - 23.9))
    np.testing.assert_allclose(at_depth / flux_error(at_depth, depth), 5.0, rtol=1e-3)
    assert flux_error(np.array(-3.0), depth)[0] == flux_error(np.array(0.0), depth)[0]  # dark is dark
    assert flux_error(np.array(1e6), depth)[0] == pytest.approx(0.005e6, rel=0.01)


@pytest.mark.parametrize("name", sorted(PERIODIC - {"rotation", "transit", "eclipsing_detached"}))
def test_periodic_objects_fold_at_their_period_and_not_beside_it(tables, name):
    """Rotation changes from year to year; eclipses are too short for this measure."""
    ratios = []
    for _, one in of_class(tables, name).query("band == 'g'").groupby("object_id"):
        period = 10 ** one.log10_period.iloc[0]
        if len(one) > 40 and one.flux.std() > 5 * one.flux_err.mean():
            ratios.append((folded_scatter(one, period), folded_scatter(one, period * 1.0317)))
    right, wrong = np.median(ratios, axis=0)
    assert len(ratios) > 5
    assert right < 0.45 < 0.7 < wrong


@pytest.mark.parametrize("name", ["eclipsing_detached", "transit"])
def test_short_eclipses_come_at_few_phases_of_the_period(tables, name):
    """In 25 parts of the phase: eclipses fill few of them, at another period they spread."""
    filled = []
    for _, one in of_class(tables, name).groupby("object_id"):
        level = one.groupby("band").flux.transform("median")
        out = one[one.flux < level - 3.5 * one.flux_err]
        period = 10 ** one.log10_period.iloc[0]
        if len(out) >= 10:
            filled.append([len(set(np.floor(out.time / p % 1 * 25))) for p in (period, period * 1.0317)])
    right, wrong = np.mean(filled, axis=0)
    assert len(filled) > 5
    assert right < 0.7 * wrong


def test_transits_dim_only_in_transit(tables):
    stars = []
    for _, one in of_class(tables, "transit").query("band == 'r'").groupby("object_id"):
        level = one.flux.median()
        z = (one.flux - level) / one.flux_err
        stars.append((z.min(), z.max(), (one.flux < 0.98 * level).mean()))
    lowest, highest, share = np.median(stars, axis=0)
    assert lowest < -highest
    assert share < 0.15


def test_supernovae_come_once_and_show_negative_fluxes_before(tables):
    for name in ("supernova_ia", "supernova_ii"):
        one_each = of_class(tables, name)
        seen = one_each[one_each.flux > 8 * one_each.flux_err]
        assert (seen.groupby("object_id").time.agg(np.ptp) < 700).all()
        assert seen.object_id.nunique() > 0.5 * one_each.object_id.nunique()
        assert (one_each.flux < 0).mean() > 0.2


def test_farther_supernovae_are_fainter():
    ia = of_class(simulate(3000, seed=1), "supernova_ia").dropna(subset="redshift").query("band == 'i'")
    peaks = ia.groupby("object_id").agg(flux=("flux", "max"), redshift=("redshift", "first"))
    peaks = peaks[peaks.flux > 0]
    assert np.corrcoef(np.log(peaks.flux), np.log(peaks.redshift))[0, 1] < -0.6


def test_microlensing_is_the_same_in_all_bands(tables):
    lensed = of_class(tables, "microlensing")
    lensed = lensed.assign(night=np.floor(lensed.time))
    level = lensed.groupby(["object_id", "band"]).flux.transform("median")
    rise = lensed.assign(rise=lensed.flux / level).pivot_table(
        index=["object_id", "night"], columns="band", values="rise"
    )
    bright = rise[rise.mean(axis=1) > 1.5].dropna()
    assert len(bright) > 20
    assert (bright.std(axis=1) / bright.mean(axis=1)).median() < 0.05


def test_structure_function_of_the_random_walk_rises_as_it_should():
    """SF²(dt) = 2 (1 - exp(-dt / time scale)) at uneven times, whatever the steps between."""
    rng = np.random.default_rng(0)
    t = np.cumsum(rng.exponential(5.0, (4000, 60)), axis=1)
    x = random_walk(t, rng.standard_normal(t.shape), np.full(4000, 50.0))
    assert np.var(x) == pytest.approx(1.0, rel=0.03)
    lag, square = (t[:, 40:] - t[:, [20]]).ravel(), ((x[:, 40:] - x[:, [20]]) ** 2).ravel()
    lag = np.append(lag, (t[:, 1:20] - t[:, [0]]).ravel())
    square = np.append(square, ((x[:, 1:20] - x[:, [0]]) ** 2).ravel())
    for low, high in ((1, 5), (15, 25), (45, 55), (140, 160)):
        inside = (lag > low) & (lag < high)
        expected = np.mean(2 * (1 - np.exp(-lag[inside] / 50.0)))
        assert square[inside].mean() == pytest.approx(expected, rel=0.1)


def test_active_galaxies_vary_more_over_longer_times(tables):
    galaxies = of_class(tables, "agn").query("band == 'r'")
    short, long = [], []
    for _, one in galaxies.groupby("object_id"):
        mag = -2.5 * np.log10(one.flux.clip(lower=1e-3).to_numpy())
        lag = np.abs(np.subtract.outer(one.time.to_numpy(), one.time.to_numpy()))
        square = np.subtract.outer(mag, mag) ** 2
        short.append(square[(lag > 0) & (lag < 10)].mean())
        long.append(square[lag > 300].mean())
    assert np.median(long) > 4 * np.median(short)


def test_sawtooth_is_its_fourier_series():
    phase, skew = np.linspace(0, 2, 200), 0.7
    series = sum(skew ** (k - 1) / k * np.sin(2 * np.pi * k * phase) for k in range(1, 80))
    expected = -series * skew / (2 * np.arcsin(skew))
    np.testing.assert_allclose(sawtooth(phase, np.full(200, skew)), expected, atol=1e-9)
    fine = sawtooth(np.linspace(0, 1, 20001), np.full(20001, 0.9))
    assert np.ptp(fine) == pytest.approx(1.0, abs=1e-4)
    assert 1.5 * (np.diff(fine) < 0).sum() < (np.diff(fine) > 0).sum()  # in magnitudes: up fast, down slowly


@pytest.mark.parametrize("count", [0, -3])
def test_no_objects_are_refused(count):
    with pytest.raises(ValueError, match=rf"at least 1, got {count}"):
        simulate(count, seed=0)
