"""Forecasts from training to tables: answers keep units and places, intervals hold, bad questions are named."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sciformer
from sciformer.adapter import Record
from sciformer.calibration import conformal_quantile
from sciformer.domains.lightcurve import LightCurve
from sciformer.domains.lightcurve.curve import Curve

ROOT = Path(__file__).resolve().parent.parent
SMALL = ["--model.width", "24", "--model.depth", "1", "--model.heads", "2", "--optim.epochs", "3"]


@pytest.fixture(scope="module")
def stars() -> pd.DataFrame:
    """Sixty sines in two bands, 40 points each, with errors."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(60):
        time = 58_000 + np.sort(rng.uniform(0, 60, 40))
        band = np.array(["g", "r"])[rng.integers(0, 2, 40)]
        error = rng.uniform(0.02, 0.1, 40)
        mag = 17 + i / 20 + (band == "g") + np.sin(2 * np.pi * time / (5 + i / 10)) + error * rng.normal(size=40)
        rows.append(pd.DataFrame({"object_id": f"s{i}", "mjd": time, "band": band, "mag": mag, "magerr": error}))
    return pd.concat(rows, ignore_index=True)


@pytest.fixture(scope="module")
def run(paint, stars, tmp_path_factory) -> Path:
    """With its figures, of which the report is asked."""
    from sciformer.cli import run_recipe

    folder = tmp_path_factory.mktemp("forecast")
    stars.to_csv(folder / "stars.csv", index=False)
    out = folder / "run"
    split = ["--split.fractions", "[0.4,0.1,0.25,0.25]"]
    data = ["--data.source", str(folder / "stars.csv"), "--data.fourier", "true"]
    with pytest.MonkeyPatch.context() as patch:
        paint(patch)
        run_recipe(str(ROOT / "recipes" / "lightcurve" / "forecast.py"), [*data, *SMALL, *split, "--out", str(out)])
    return out


@pytest.fixture(scope="module")
def model(run):
    return sciformer.load(run / "checkpoint")


def test_a_run_writes_what_is_said_of_every_held_out_observation(run):
    table = pd.read_csv(run / "predictions.csv")
    assert table["key"].nunique() == 15
    assert table.groupby("key").size().between(11, 13).all()  # the last 30 % of 40
    scores = pd.read_csv(run / "scores.csv")
    assert set(scores["model"]) == {"sciformer", "Gaussian process", "constant", "Fourier series"}
    crps = scores[scores["metric"] == "CRPS"].set_index("model")["value"]
    assert crps["Fourier series"] < crps["constant"]  # sines: a law of the data, whatever the model
    gaps = pd.read_csv(run / "gaps.csv")
    assert sorted(gaps["dropped"].unique()) == [0.0, 0.3, 0.6]
    levels = pd.read_csv(run / "levels.csv").set_index("level")["value"]
    assert (levels[:0.9].diff().dropna() >= 0).all()  # as far as 15 records can promise a level, intervals are nested


def test_held_out_observations_say_how_far_ahead_they_lie(run, stars):
    for key, rows in pd.read_csv(run / "predictions.csv").groupby("key"):
        seen = stars.loc[(stars["object_id"] == key) & (stars["mjd"] < rows["time"].min()), "mjd"]
        np.testing.assert_allclose(rows["ahead"], rows["time"] - seen.max(), atol=1e-9)
        assert (rows["ahead"] > 0).all()


def test_the_report_of_a_run_is_that_of_forecasts(run):
    page = (run / "report.html").read_text("utf-8")
    for words in (
        "Scores with gaps",
        "Error by time ahead",
        "Coverage by time ahead",
        "time since the last observation seen [day]",
    ):
        assert words in page
    assert "On 15 test records (too few to judge by), CRPS for forecasts of value is" in page
    assert page.count('<li class="large tall">') == 9  # pulsators, by phase


def test_a_forecast_has_a_row_per_time_and_band_in_the_unit_of_the_input(model, stars):
    few = stars[stars["object_id"].isin(["s3", "s9"])]
    table = model.forecast(few, times=[58_061.5, 58_063], bands=["r", "g"])
    assert list(table.columns[:6]) == ["record", "time", "band", "mean", "lower", "upper"]
    assert table["record"].tolist() == ["s3"] * 4 + ["s9"] * 4
    assert table["time"].tolist() == [58_061.5, 58_061.5, 58_063, 58_063] * 2
    assert table["band"].tolist() == ["r", "g"] * 4
    assert (table["status"] == "ok").all()
    assert table["mean"].between(10, 30).all()
    quantiles = table[["lower", "q0.25", "mean", "q0.75", "upper"]].to_numpy()
    assert (np.diff(quantiles, axis=1) > 0).all()
    wide = model.forecast(few, times=[58_061.5, 58_063], bands=["r", "g"], level=0.5)
    np.testing.assert_allclose(wide["lower"], table["q0.25"])


def test_without_times_the_time_that_follows_is_forecast(model, stars):
    one = stars[stars["object_id"] == "s0"]
    table = model.forecast(one)
    assert table["time"].min() > one["mjd"].max()
    assert set(table["band"]) == {"g", "r"}


def test_dates_and_times_of_each_object_are_understood(model, stars):
    few = stars[stars["object_id"].isin(["s3", "s9"])]
    dates = model.forecast(few, times=["2017-11-05T12:00:00"], bands="r")
    numbers = model.forecast(few, times=58_062.5, bands="r")
    np.testing.assert_allclose(dates["mean"], numbers["mean"], rtol=1e-5)
    each = model.forecast(few, times={"s3": [58_062.5], "s9": [58_070.0]}, bands="r")
    assert each["time"].tolist() == [58_062.5, 58_070.0]


def test_answers_do_not_depend_on_what_else_is_asked(model, stars):
    few = stars[stars["object_id"].isin(["s3", "s9", "s20"])]
    together = model.forecast(few, times=[58_062, 58_070, 58_080], bands="r").set_index(["record", "time"])
    alone = model.forecast(few[few["object_id"] == "s9"], times=58_070, bands="r")
    np.testing.assert_allclose(alone["mean"], together.loc[("s9", 58_070), "mean"], rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"times": 2_458_062.5}, "s3.* more than 5000 days away: give times in its own scale"),
        ({"times": [58_062, np.nan]}, "time that is no number"),
        ({"times": []}, "`times` is empty"),
        ({"times": ["abc"]}, "times must be days as numbers or dates like"),
        ({"bands": "K"}, "band 'K' was not learned; the model knows 'g', 'r'"),
        ({"times": {"s4": [58_062]}}, "no entry for object 's3'"),
        ({"level": 0.7}, "level must be one of"),
        ({"tmes": [1]}, "tmes"),
    ],
)
def test_a_question_that_cannot_be_asked_is_named(model, stars, options, message):
    with pytest.raises(ValueError, match=message):
        model.forecast(stars[stars["object_id"] == "s3"], **options)


def test_an_unreadable_object_has_one_row_that_says_why(model, stars):
    bad = stars[stars["object_id"].isin(["s3", "s4"])].copy()
    bad.loc[bad["object_id"] == "s3", "mag"] = np.nan
    table = model.forecast(bad, times=58_062, bands="g")
    assert table["record"].tolist() == ["s3", "s4"]
    assert table["status"].iloc[0] != "ok"
    assert np.isnan(table["mean"].iloc[0])
    assert np.isfinite(table["mean"].iloc[1])


def test_an_object_that_cannot_be_asked_has_one_row_that_says_why(model, stars):
    some = stars[stars["object_id"].isin(["s3", "s4"])]
    far = some.assign(mjd=some["mjd"] + 9000 * (some["object_id"] == "s3"))
    table = model.forecast(far, times=58_062, bands="g")
    assert table["record"].tolist() == ["s3", "s4"]
    assert "more than 5000 days away" in table["status"].iloc[0]
    assert table["status"].iloc[1] == "ok"
    one = model.forecast(some, times={"s4": [58_062]}, bands="g")
    assert "no entry for object 's3'" in one["status"].iloc[0]


def test_ids_that_are_numbers_stay_numbers(model, stars):
    some = stars[stars["object_id"].isin(["s3", "s4"])]
    numbers = some.assign(object_id=some["object_id"].map({"s3": 4099, "s4": 17}))
    table = model.forecast(numbers, times={4099: [58_062], 17: [58_070]}, bands="g")
    assert table["record"].tolist() == [4099, 17]
    assert table.merge(numbers, left_on="record", right_on="object_id")["record"].nunique() == 2
    assert table["time"].tolist() == [58_062, 58_070]
    assert model.embed(numbers).index.tolist() == [4099, 17]
    assert model.embed(numbers.set_index("object_id")).index.tolist() == [4099, 17]


def test_properties_are_not_asked_of_a_forecast(model, stars):
    with pytest.raises(TypeError, match=r"this checkpoint forecasts .*: use \.forecast\(\.\.\.\)"):
        model.predict(stars)
    with pytest.raises(ValueError, match=r"'lightcurve' need no rollout: forecast them at the `times` you want"):
        model.rollout(stars.head(40), steps=2)


def test_fluxes_are_not_read_as_magnitudes(model, stars):
    one = stars[stars["object_id"] == "s3"].rename(columns={"mag": "flux", "magerr": "flux_err"})
    table = model.forecast(one)
    assert table["status"].tolist() == ["is in flux, the model learned mag: convert it"]
    assert table[["time", "band", "mean"]].isna().all(axis=None)
    assert model.embed(one).isna().all(axis=None)


def test_an_object_of_strange_bands_alone_is_refused(model, stars):
    one = stars[stars["object_id"] == "s3"]
    said = model.forecast(one.assign(band="K"), times=58_062, bands="g")["status"].tolist()
    assert said == ["was observed in band 'K' alone, the model learned 'g', 'r': rename the bands or leave it out"]
    said = model.forecast(one.drop(columns="band"), times=58_062, bands="g")["status"].tolist()
    assert said[0].startswith("does not say its bands, the model learned 'g', 'r': name the column as `band` (--")
    some = one.assign(band=["K", *one["band"].iloc[1:]])
    assert model.forecast(some, times=58_062, bands="g")["status"].tolist() == ["ok"]


def test_vectors_are_labelled_by_object(model, stars):
    vectors = model.embed(stars[stars["object_id"].isin(["s3", "s9"])])
    assert vectors.index.tolist() == ["s3", "s9"]


def test_the_command_line_forecasts(run, tmp_path, command):
    source, out = run.parent / "stars.csv", tmp_path / "f.csv"
    done = command(
        tmp_path, "forecast", str(run / "checkpoint"), str(source), "--times", "58061.53125,58063", "-o", str(out)
    )
    assert done.returncode == 0, done.stderr
    assert "120 times of 60 records forecast, 0 unreadable" in done.stdout
    assert len(pd.read_csv(out)) == 240
    assert set(pd.read_csv(out)["time"]) == {58_061.53125, 58_063}  # to the last digit: phases hang on it
    done = command(tmp_path, "evaluate", str(run / "checkpoint"), str(source), "-o", str(out))
    assert "60 of 60 records scored, 0 unreadable, 0 too short" in done.stdout, done.stderr
    assert "CRPS" in done.stdout
    wrong = command(tmp_path, "predict", str(run / "checkpoint"), str(source), "-o", str(out))
    assert "forecasts and predicts no properties: use sciformer forecast" in wrong.stderr
    assert (
        "value [mag]: forecast; calibrated on 15 records" in command(tmp_path, "info", str(run / "checkpoint")).stdout
    )


def test_records_too_short_to_hold_out_their_end_are_refused_before_training(stars, tmp_path, capsys):
    from sciformer.cli import run_recipe

    stars.groupby("object_id").head(2).to_csv(tmp_path / "short.csv", index=False)
    data = ["--data.source", str(tmp_path / "short.csv"), *SMALL, "--out", str(tmp_path / "run")]
    with pytest.raises(SystemExit):
        run_recipe(str(ROOT / "recipes" / "lightcurve" / "forecast.py"), data)
    assert "none of the 6 test records is long enough to hold out its last 30%" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--uncertainty.adapt", "true"], ["--optim.balance", "0.5"]])
def test_settings_without_meaning_for_a_forecast_are_refused(option, capsys):
    from sciformer.cli import run_recipe

    with pytest.raises(SystemExit):
        run_recipe(str(ROOT / "recipes" / "lightcurve" / "forecast.py"), option)
    assert "a forecast has no targets" in capsys.readouterr().err


def test_the_recurrent_backbone_forecasts_with_quantiles_too(stars, tmp_path):
    from sciformer.cli import run_recipe

    stars.to_csv(tmp_path / "stars.csv", index=False)
    data = ["--data.source", str(tmp_path / "stars.csv"), "--model.backbone", "gru", "--baselines", "false"]
    data += ["--uncertainty.family", "quantile"]
    run_recipe(str(ROOT / "recipes" / "lightcurve" / "forecast.py"), [*data, *SMALL, "--out", str(tmp_path / "run")])
    table = sciformer.load(tmp_path / "run" / "checkpoint").forecast(stars.head(40), times=58_062)
    assert (np.diff(table[["lower", "q0.25", "mean", "q0.75", "upper"]], axis=1) > 0).all()
    assert table.attrs["point"] == "median"


# --- the figures -----------------------------------------------------------------------------------------


def test_records_count_alike_however_many_questions_they_have():
    scores = np.array([0.0] * 90 + [1.0] * 9)
    groups = np.array([0] * 90 + list(range(1, 10)))
    assert conformal_quantile(scores, 0.5) == 0.0
    assert conformal_quantile(scores, 0.5, groups) == 1.0
    alone = np.random.default_rng(0).normal(size=50)
    assert conformal_quantile(alone, 0.8, np.arange(50)) == conformal_quantile(alone, 0.8)
    assert conformal_quantile(alone[:5], 0.9, np.arange(5)) == np.inf


def test_intervals_hold_for_new_records_though_the_questions_of_one_are_alike():
    rng, held = np.random.default_rng(0), []
    for _ in range(300):
        groups = np.repeat(np.arange(61), rng.integers(1, 30, 61))
        scores = rng.normal(size=61)[groups] + 0.1 * rng.normal(size=len(groups))  # alike within a record
        known = groups < 60
        limit = conformal_quantile(scores[known], 0.9, groups[known])
        held.append((scores[~known] <= limit).mean())
    assert 0.86 < np.mean(held) < 0.95


def test_the_end_of_a_record_is_held_out_and_moments_are_whole():
    time = np.array([0.0, 1, 2, 3, 4, 5, 6, 6, 6, 9])
    nothing = np.zeros(10)
    star = Record(key="a", data=Curve(time=time, band=np.full(10, "g"), value=time, error=nothing))
    seen, later = LightCurve().divide(star, 0.3)
    assert later.time.tolist() == [9]  # what was seen at 6 is one moment
    assert seen.data.time.max() == 6
    assert LightCurve().divide(dataclasses.replace(star, data=star.data.take(np.arange(2))), 0.3) is None
