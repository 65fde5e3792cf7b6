"""The page of a forecast run: its figures, records as the unit, drawings, and how to use the model."""

import re

import numpy as np
import pandas as pd
import pytest

from sciformer.report import render
from sciformer.report.coverage import Coverage


def text(run) -> str:
    html = render(run.path).read_text("utf-8")
    words = re.sub(r"<style.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)
    return " ".join(words.replace("&#39;", "'").replace("&#34;", '"').split())


def test_the_page_has_the_figures_of_a_forecast(complete):
    html = (complete("forecast") / "report.html").read_text("utf-8")
    for title in (
        "Scores with gaps",
        "Coverage with gaps",
        "Reliability of intervals",
        "Error by time ahead",
        "Coverage by time ahead",
        "Width of prediction intervals",
    ):
        assert f'<figcaption class="head">{title}</figcaption>' in html
    for label in ("CRPS [mag]", "time since the last observation seen [day]", "level of the intervals"):
        assert label in html
    assert "Predicted against true" not in html
    assert "lacks the columns" not in html


def test_the_verdict_counts_records_and_scores_the_crps(build):
    said = text(build("forecast", n=40))
    assert re.search(r"On 40 test records, CRPS for forecasts of value is 0\.\d+ mag \(95 % interval", said)
    assert "of the spread of what was seen" in said
    assert "of a record's held-out values on average over records" in said
    assert "(CRPS, paired bootstrap)" in said
    assert "1,000" not in said


def test_coverage_counts_records_and_not_their_observations(build):
    """A thousand observations of ten records are ten, and what is shown is what scores.csv says of the records."""
    run = build("forecast", n=10)
    scores = run.table("scores.csv")
    mine = (scores["metric"] == "coverage") & (scores["part"] == "test")
    scores.loc[mine, ["value", "lower", "upper"]] = [0.78, 0.7, 0.85]
    run.write("scores.csv", scores)
    said = text(run)
    assert "as a mean over 10 test records of the share of each, 78.0 % [70.0, 85.0] of the held-out" in said
    assert "too few test records to judge it" in said  # of as many observations it would be far below


@pytest.mark.parametrize(
    ("share", "n", "judgement"),
    [(0.9, 40, "in line with"), (0.6, 40, "BELOW"), (0.6, 4, "too few test records to judge")],
)
def test_mean_shares_are_judged_like_whole_records(share, n, judgement):
    coverage = Coverage.of_shares((share, share - 0.02, share + 0.02), n, 0.9)
    assert coverage.judgement == judgement
    assert coverage.hits == round(share * n)
    assert coverage.share[0] == share


def test_without_scores_coverage_is_the_mean_share_of_the_records(build):
    run = build("forecast", n=20)
    rows = run.table("predictions.csv")
    held = rows["key"].isin([str(i) for i in range(10)])
    truth = rows["truth"].astype(float)
    rows = rows.assign(lower=truth - 1, upper=truth.where(~held, truth + 1) - 0.5 * ~held)
    more = pd.concat([rows, rows[held]])  # one half of the records has twice the observations
    run.write("predictions.csv", more)
    (run.path / "scores.csv").unlink()
    assert "50.0 %" in text(run)


def test_without_times_ahead_there_is_no_figure_of_them(build):
    run = build("forecast", n=30)
    rows = run.table("predictions.csv")
    run.write("predictions.csv", rows.assign(ahead=np.nan))
    said = text(run)
    assert "Error by time ahead" not in said
    assert "Scores with gaps" in said


@pytest.mark.parametrize("name", ["gaps.csv", "levels.csv", "predictions.csv", "scores.csv", "examples.json"])
def test_a_missing_table_costs_only_its_figures(build, name):
    run = build("forecast", n=30)
    (run.path / name).unlink()
    assert "Results on the test part" in text(run)


@pytest.mark.parametrize("name", ["gaps.csv", "levels.csv"])
def test_numbers_that_are_none_are_not_drawn(build, name):
    run = build("forecast", n=30)
    run.write(name, run.table(name).assign(value="none"))
    assert "nan" not in text(run).split()


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_handful_of_records_is_enough(build, n):
    assert "too few" in text(build("forecast", n=n))


def test_forecasts_are_shown_from_the_best_to_the_worst_and_large(build):
    run = build("forecast", n=30)
    said = text(run)
    assert "Forecasts, from the best to the worst" in said
    assert "Worst errors" not in said
    assert "record 0 relative CRPS 0.100" in said
    assert (run.path / "report.html").read_text("utf-8").count('<li class="large tall">') == 4


def test_it_shows_how_to_forecast(build):
    said = text(build("forecast", n=30))
    assert "model.forecast(records)" in said
    assert "sciformer forecast checkpoint input.csv -o forecast.csv" in said
    assert "model.predict" not in said


def test_the_audit_speaks_of_no_other_science(build):
    assert "stereoisomers" not in text(build("forecast", n=30))


def test_early_answers_are_shown_where_training_met_them(build):
    run = build("multiclass", n=60)
    assert "before all is seen" not in text(run)
    run.early()
    said = text(run)
    assert "Accuracy before all is seen" in said
    assert "days since the first detection" in said
    assert "From 20 days on, the accuracy is at least 95 % of the final one." in said
    assert "majority class" in said
    assert "nothing holds them to the level before all is seen" in said
