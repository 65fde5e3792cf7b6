"""The page of a run that forecasts windows in time: many variables, scores by lead, maps."""

import json
import re

import numpy as np
import pytest

from sciformer.report import leads, maps, render
from sciformer.report.files import RunFiles


def page(run) -> str:
    return render(run.path).read_text("utf-8")


def text(run) -> str:
    words = re.sub(r"<style.*?</style>|<[^>]+>", " ", page(run), flags=re.DOTALL)
    return " ".join(words.replace("&#39;", "'").replace("&lt;", "<").replace("&gt;", ">").split())


def drawn(run, name: str = "tas") -> dict[str, leads.Plot]:
    """The figures of a target by title."""
    files = RunFiles.read(run.path)
    target = next(t for t in files.run["targets"] if t["name"] == name)
    return {plot.title: plot for plot in leads.plots(files, target, "t")}


@pytest.fixture
def weather(build):
    return build("weather", n=60)


def test_every_variable_has_figures_by_lead_and_by_place_and_none_that_say_it_again(weather):
    html = page(weather)
    for title in (
        "CRPS by time ahead",
        "RMSE by time ahead",
        "Skill over climatology by time ahead",
        "Skill over persistence by time ahead",
        "Coverage by time ahead",
        "Skill over climatology by place",
        "Reliability of intervals",
    ):
        assert html.count(f'<figcaption class="head">{title}</figcaption>') == 4, title
    assert "Error by time ahead" not in html
    assert "lacks the columns" not in html
    assert "nan" not in re.findall(r"[\w.]+", re.sub(r"base64,[^\"']*", "", html))


def test_all_models_are_drawn_and_each_looks_the_same_in_every_figure(weather):
    plots = drawn(weather)
    crps, skill = plots["CRPS by time ahead"].svg, plots["Skill over climatology by time ahead"].svg
    for model in ("sciformer", "damped persistence", "linear (ridge)"):
        assert model in crps
        assert model in skill
    colours = [re.findall(r"stroke:([^;]+);stroke-width:1\.2", svg)[-1] for svg in (crps, skill)]
    assert colours[0] == colours[1]


def test_numbers_of_any_size_fit_beside_the_axis(weather):
    svg = drawn(weather, "pr")["CRPS by time ahead"].svg
    assert "CRPS [10⁻⁶ kg m-2 s-1]" in svg
    assert "0.0000" not in svg
    assert "1e" not in re.findall(r">([^<]*)</text>", svg)


@pytest.mark.usefixtures("words_alone")
def test_skill_tells_up_to_which_lead_there_is_any(weather):
    assert "ahead of it at every lead." in drawn(weather)["Skill over climatology by time ahead"].caption
    table = weather.table("leads.csv")
    own = (table["model"] == "sciformer") & table["metric"].str.startswith("skill")
    late = own & (table["ahead"] > 3)
    weather.write(
        "leads.csv", table.assign(value=table["value"].where(~late, -0.5), lower=table["lower"].where(~late, -1))
    )
    caption = drawn(weather)["Skill over climatology by time ahead"].caption
    assert "ahead of it up to 3 days. Clearly ahead (paired block bootstrap, 95 %) it is at 3 of 10 leads." in caption
    only = own & (table["ahead"] > 1)
    weather.write("leads.csv", table.assign(value=table["value"].where(~only, -0.5)))
    assert "ahead of it up to 1 day." in drawn(weather)["Skill over climatology by time ahead"].caption
    once = own & (table["ahead"] == 2)
    weather.write("leads.csv", table.assign(value=table["value"].where(~once, -0.5)))
    assert "ahead of it at 9 of 10 leads." in drawn(weather)["Skill over climatology by time ahead"].caption
    early = own & (table["ahead"] < 2)
    weather.write("leads.csv", table.assign(value=table["value"].where(~early, -0.5)))
    assert "ahead of it at 9 of 10 leads." in drawn(weather)["Skill over climatology by time ahead"].caption


def test_coverage_is_set_beside_its_level(weather):
    plot = drawn(weather)["Coverage by time ahead"]
    assert plot.caption.startswith("5 of 10 leads are outside the shaded range.")
    assert "85 to 95 %" in plot.svg
    assert "stated level" in plot.svg


@pytest.mark.parametrize(("longest", "unit"), [(1.0, "hours"), (2.0, "hours"), (10.0, "days"), (300.0, "days")])
def test_leads_are_told_in_hours_or_days(weather, longest, unit):
    weather.windows(longest)
    assert f"time ahead [{unit}]" in drawn(weather)["CRPS by time ahead"].svg


def test_one_lead_is_no_curve(weather):
    table = weather.table("leads.csv")
    weather.write("leads.csv", table[table["ahead"] == table["ahead"].max()])
    assert list(drawn(weather)) == ["Skill over climatology by place", "Skill over persistence by place"]


@pytest.mark.slow  # a page each, drawn anew
@pytest.mark.parametrize("name", ["leads.csv", "places.csv", "levels.csv", "scores.csv", "comparison.csv"])
def test_a_missing_table_costs_only_its_figures(weather, name):
    (weather.path / name).unlink()
    assert "Results on the test part" in text(weather)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["leads.csv", "places.csv"])
def test_numbers_that_are_none_are_not_drawn(weather, name):
    column = "CRPS" if name == "places.csv" else "value"
    weather.write(name, weather.table(name).assign(**{column: "none"}))
    assert "nan" not in text(weather).split()


@pytest.mark.usefixtures("words_alone")
def test_the_verdict_says_of_every_variable_whom_it_beats(weather):
    table = weather.table("comparison.csv")
    weather.write("comparison.csv", table.assign(verdict=table["verdict"].where(table["target"] != "ps", "better")))
    said = text(weather)
    assert "tas, pr, <b>wind</b> : worse than persistence; no clear difference from climatology" in said
    assert "ps : better than climatology, persistence" in said
    assert "Over 4 variables and 12 test moments, the median relative CRPS" in said


@pytest.mark.usefixtures("words_alone")
def test_windows_of_one_moment_count_as_one(weather):
    said = text(weather)
    assert "The 60 windows of the test part begin at 12 moments: those of one moment count as one." in said
    assert "as a mean over 12 test moments" in said
    assert "bootstrap over the 12 test moments" in said


@pytest.mark.usefixtures("words_alone")
def test_the_summary_marks_every_classical_model(weather):
    html = page(weather)
    assert html.count('title="the transformer is worse"') == 4
    assert "against baselines" not in html


@pytest.mark.usefixtures("words_alone")
def test_levels_without_targets_are_still_read(weather):
    weather.write("levels.csv", weather.table("levels.csv").query("target == 'tas'").drop(columns="target"))
    html = page(weather)
    assert html.count('<figcaption class="head">Reliability of intervals</figcaption>') == 4
    assert "levels.csv lacks" not in html


@pytest.mark.usefixtures("words_alone")
def test_it_shows_how_to_forecast_what_comes_next(weather):
    run = json.loads((weather.path / "run.json").read_text())
    weather.json("run.json", run | {"data": {**run["data"], "source": "somewhere/daily.nc"}})
    said = text(weather)
    assert "model.forecast(xr.open_dataset('daily.nc'), horizon=3)" in said
    assert "sciformer forecast checkpoint daily.nc -o later.nc" in said
    weather.json("run.json", run | {"data": {**run["data"], "source": "daily.csv"}})
    (weather.path / "config.yaml").write_text("data:\n  horizon: 8\n")
    said = text(weather)
    assert "table = model.forecast('daily.csv', horizon=8)" in said
    assert "sciformer forecast checkpoint daily.csv -o forecast.csv" in said
    assert "bands" not in said


def test_a_light_curve_has_no_leads(build):
    run = build("forecast", n=30)
    assert drawn(run, "value") == {}
    assert "Error by time ahead" in text(run)
    assert "model.forecast(records, times=[...], bands=[...])" in text(run)


# Maps.


def test_a_map_tells_how_much_of_it_is_won_and_leaves_the_sea_empty(weather):
    plot = drawn(weather)["Skill over climatology by place"]
    assert "in 1 of 10 cells; median 0.000" in plot.caption
    assert "Grey: nothing is measured there." in plot.caption
    assert "<image" in plot.svg
    assert "data:image/png" in plot.svg
    for word in ("51°N", "0.5°W", "0°"):
        assert f">{word}<" in plot.svg, word


def test_stations_are_points(weather):
    weather.places([(44.5, -63.4), (45.5, -73.4), (63.75, -68.55), (52.1, -106.65), (48.5, -123.4)])
    plot = drawn(weather)["Skill over climatology by place"]
    assert "in 1 of 5 places" in plot.caption
    assert "<image" in plot.svg  # the bar of colours
    assert "Grey" not in plot.caption


@pytest.mark.parametrize("where", [[(46.0, 7.4), (47.0, 7.6), (60.0, 8.0)], [(46.9, 7.4), (46.95, 9.9)]])
def test_a_map_of_few_stations_is_no_strip(weather, where):
    weather.places(where)
    frame = re.search(r'<rect x="[\d.]+" y="[\d.]+" width="([\d.]+)" height="([\d.]+)"', page_map(weather))
    assert frame
    wide, high = map(float, frame.groups())
    assert min(wide, high) > 0.45 * max(wide, high)


def page_map(run) -> str:
    return drawn(run)["Skill over climatology by place"].svg


@pytest.mark.parametrize("where", [[(50.0, 0.0)], [(np.nan, np.nan), (np.nan, 1.0)], []])
def test_without_places_there_is_no_map(weather, where):
    weather.places(where)
    assert "Skill over climatology by place" not in drawn(weather)


def test_rows_and_columns_of_sea_keep_their_place():
    assert maps.whole(np.array([0.0, 0.5, 1.5, 2.0])).tolist() == [0.0, 0.5, 1.0, 1.5, 2.0]
    uneven = np.array([0.0, 0.5, 1.2])
    assert maps.whole(uneven).tolist() == uneven.tolist()


@pytest.mark.parametrize(
    ("given", "drawn_at"),
    [
        ([359.0, 0.0, 1.0], [-1.0, 0.0, 1.0]),
        ([350.0, 355.0], [-10.0, -5.0]),
        ([170.0, -170.0], [170.0, 190.0]),
        ([0.0, 90.0, 180.0, 270.0], [0.0, 90.0, -180.0, -90.0]),
    ],
)
def test_longitudes_go_on_across_the_seam(given, drawn_at):
    assert maps.joined(np.array(given)).tolist() == drawn_at
