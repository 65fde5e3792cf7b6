"""Drawings of series: dates, units, gaps, intervals, and where a model read."""

import re
from collections.abc import Callable
from xml.etree import ElementTree

import cftime
import numpy as np
import pandas as pd
import pytest

from sciformer.adapter import Record
from sciformer.domains.climate import Climate, depict
from sciformer.domains.climate.series import EPOCH, Series, Variable

pytestmark = pytest.mark.usefixtures("painted")

DAY = 10_957.0
"""2000-01-01."""


def series(n: int = 60, cells: tuple[int, int] = (1, 1), names: str = "tas", calendar: str = "standard") -> Series:
    rng = np.random.default_rng(0)
    variables = tuple(Variable(name, "K") for name in names.split(","))
    return Series(
        time=DAY + np.arange(n),
        values=280 + rng.normal(size=(n, *cells, len(variables))).astype(np.float32),
        variables=variables,
        lat=50 + np.arange(cells[0]) / 2,
        lon=358 + np.arange(cells[1]) / 2,
        place="here <1>",
        calendar=calendar,
    )


def fitted(data: Series, horizon: int = 10, patch: int = 5, block: int = 1) -> Climate:
    adapter = Climate(
        variables=tuple(x.name for x in data.variables),
        units=tuple(x.unit for x in data.variables),
        context=30,
        horizon=horizon,
        patch=patch,
        block=block,
        calendar=data.calendar,
        rows=data.cells[0],
        columns=data.cells[1],
    )
    return adapter.fitted([Record(key="train", data=data)])


def forecast(data: Series, **options) -> tuple[str, list]:
    """The drawing of a forecast of the last steps, and what was asked for it."""
    adapter, asked = fitted(data, **options), []
    divided = adapter.divide(Record(key="here <1>", data=data), 0.0)
    assert divided is not None

    def ask(case: tuple) -> pd.DataFrame:
        asked.append(case)
        spans = {f"q{p:g}": 280 + 4 * (p - 0.5) for p in (0.05, 0.25, 0.75, 0.95)}
        return adapter.observations(case[1]).assign(mean=280.0, lower=278.0, upper=282.0, **spans)

    return adapter.depict_forecast(*divided, ask), asked


def texts(svg: str) -> list[str]:
    return re.findall(r">([^<>]+)</text>", svg)


def test_a_forecast_is_one_element_whose_ids_are_its_own():
    svg, _ = forecast(series())
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert all(name.startswith("here--1--") for name in re.findall(r'id="([^"]+)"', svg))
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]*"', "", svg)
    assert svg == forecast(series())[0]  # the same record, the same bytes


def test_a_forecast_has_its_dates_its_units_and_a_legend():
    said = texts(forecast(series())[0])
    assert "tas [K]" in said
    assert "2000-01-20 to 2000-02-29" in said
    assert {"24 Jan", "3 Feb", "13 Feb", "23 Feb"} <= set(said)
    assert {"seen", "came later", "forecast", "50 %", "90 %", "normal"} <= set(said)


def test_past_times_that_were_read_are_shaded():
    data = series()
    adapter = fitted(data)
    record, later = adapter.divide(Record(key="here", data=data), 0.0)
    size = adapter.tokenize(record).size

    def ask(case: tuple) -> pd.DataFrame:
        spans = {f"q{p:g}": 280 + 4 * (p - 0.5) for p in (0.05, 0.25, 0.75, 0.95)}
        return adapter.observations(case[1]).assign(mean=280.0, lower=278.0, upper=282.0, **spans)

    uneven = [1.0 + (i > size - 3) for i in range(size)]
    assert depict.READ in texts(adapter.depict_forecast(record, later, ask, uneven))
    assert depict.READ not in texts(adapter.depict_forecast(record, later, ask))
    flat = adapter.depict_forecast(record, later, ask, [1.0 + i / 100 % 0.1 for i in range(size)])
    assert depict.READ not in texts(flat)  # all were read alike: there is nothing to show
    with pytest.raises(ValueError, match="a weight is needed for each of"):
        adapter.depict_forecast(record, later, ask, [1.0] * (size + 1))


def test_only_what_was_seen_is_asked_about_what_follows():
    _, [(record, questions)] = forecast(series())
    assert record.data.time[-1] == DAY + 49
    assert questions.time.tolist() == (DAY + np.arange(50, 60)).tolist()


def test_a_single_step_ahead_is_drawn_too():
    assert "came later" in forecast(series(), horizon=1, patch=1)[0]


def test_of_many_variables_four_are_drawn_and_the_others_counted():
    said = texts(forecast(series(names="a,b,c,d,e,f"))[0])
    assert [word for word in said if word.endswith("[K]")] == [f"{name} [K]" for name in "abcd"]
    assert any(word.endswith("; 4 of 6 variables, 2 left out") for word in said)


def test_a_variable_that_did_not_come_is_not_drawn():
    data = series(names="a,b")
    data.values[-10:, ..., 0] = np.nan
    assert [word for word in texts(forecast(data)[0]) if word.endswith("[K]")] == ["b [K]"]


def test_of_a_grid_one_cell_is_asked_about_and_named():
    svg, [(_, questions)] = forecast(series(cells=(4, 6)), block=2)
    known = np.argwhere(np.isfinite(questions.values))
    assert len({(y, x) for _, y, x, _ in known}) == 1
    assert any(word.endswith("; the cell at 50.5° N, 1° W") for word in texts(svg))


def test_the_cell_in_the_middle_of_those_that_were_measured_is_taken():
    counts = np.zeros((5, 7), int)
    counts[1:4, 4:] = 9
    assert depict.middle(counts) == (2, 4)
    assert depict.middle(np.full((3, 3), 2)) == (1, 1)


def test_gaps_stay_gaps():
    """A missing step breaks the line, whether it is not there or not a number."""

    def pieces(data: Series) -> int:
        svg = Climate(variables=("tas",), units=("K",), context=50, horizon=10).depict(Record(key="x", data=data))
        [line] = [path for path in re.findall(r'<path d="([^"]+)"', svg or "") if path.count("L") > 20]
        return line.count("M")

    whole = series()
    absent, nan = whole.replaced(time=np.delete(whole.time, 30), values=np.delete(whole.values, 30, 0)), series()
    nan.values[30] = np.nan
    assert [pieces(data) for data in (whole, absent, nan)] == [1, 2, 2]


def test_a_record_without_anything_to_draw_has_no_drawing():
    data = series()
    empty = data.replaced(values=np.full_like(data.values, np.nan))
    assert fitted(data).depict(Record(key="x", data=empty)) is None
    assert Climate().depict(Record(key="x", problem="no time axis")) is None


def test_what_was_read_most_is_shaded_most():
    data = series(names="a,b", cells=(2, 4))
    adapter, record = fitted(data, block=2), Record(key="x", data=data)
    tokens = adapter.tokenize(record)
    weights = np.where(tokens.ids[:, 0] == 1, 0.0, np.arange(tokens.size)).tolist()
    svg = adapter.depict(record, weights)
    assert svg is not None
    assert any(word.endswith("mean over cells") for word in texts(svg))
    strengths = [float(x) for x in re.findall(r"fill: #6a737d; opacity: ([\d.e-]+)", svg)]
    assert max(strengths) == depict.STRONGEST
    lesser = [x for x in strengths if x < depict.STRONGEST]  # the largest is in the legend too
    assert 0 < len(lesser) < 40 / 5 - 1  # nothing is shaded of what was read less than an even share
    assert sorted(lesser) == lesser
    with pytest.raises(ValueError, match=f"a weight is needed for each of {tokens.size} tokens, got 3"):
        adapter.depict(record, [0.1, 0.2, 0.3])


def test_means_over_cells_are_by_area_of_those_observed():
    values = np.array([[[[1.0], [1.0]], [[4.0], [np.nan]]], [[[np.nan]] * 2] * 2])
    mean = depict.over_cells(values, np.array([0.0, 60.0]))
    np.testing.assert_allclose(mean, [[(1 + 1 + 0.5 * 4) / 2.5], [np.nan]])


# Dates and numbers.


@pytest.fixture
def day() -> Callable[..., float]:
    def number(calendar: str, *date: int) -> float:
        moment = cftime.datetime(*date, calendar=calendar)
        return float(cftime.date2num(moment, f"days since {EPOCH}", calendar=calendar))

    return number


@pytest.mark.parametrize(
    ("calendar", "first", "last", "told"),
    [
        ("standard", (2017, 1, 30, 12), (2017, 2, 1), ["12:00", "18:00", "31 Jan", "06:00", "12:00", "18:00", "1 Feb"]),
        ("standard", (2017, 1, 30), (2017, 1, 30, 5), [f"{h:02d}:00" if h else "30 Jan" for h in range(6)]),
        ("standard", (2017, 1, 30), (2017, 2, 1), ["30 Jan", "12:00", "31 Jan", "12:00", "1 Feb"]),
        ("noleap", (2016, 2, 26), (2016, 3, 2), ["26 Feb", "27 Feb", "28 Feb", "1 Mar", "2 Mar"]),
        ("360_day", (2000, 2, 27), (2000, 3, 2), ["27 Feb", "28 Feb", "29 Feb", "30 Feb", "1 Mar", "2 Mar"]),
        ("standard", (1999, 11, 20), (2000, 3, 10), ["Dec 1999", "Jan 2000", "Feb 2000", "Mar 2000"]),
        ("360_day", (1850, 1, 1), (2099, 12, 30), ["1850", "1900", "1950", "2000", "2050"]),
        ("standard", (1968, 6, 1), (1971, 7, 1), ["1969", "1970", "1971"]),
        ("standard", (1968, 6, 1), (1970, 7, 1), ["Jul 1968", "Jan 1969", "Jul 1969", "Jan 1970", "Jul 1970"]),
    ],
)  # fmt: skip
def test_dates_are_round_in_their_calendar(day, calendar, first, last, told):
    places, labels = depict.dates(day(calendar, *first), day(calendar, *last), calendar)
    assert labels == told
    assert all(day(calendar, *first) - 1e-6 <= place <= day(calendar, *last) + 1e-6 for place in places)


def test_another_calendar_is_named():
    assert any("(calendar noleap)" in word for word in texts(forecast(series(calendar="noleap"))[0]))


@pytest.mark.parametrize(
    ("largest", "scale", "power"),
    [(0.0, 1.0, ""), (280.0, 1.0, ""), (101_325.0, 1e3, "10³"), (3e-5, 1e-6, "10⁻⁶"), (0.02, 1.0, "")],
)
def test_numbers_fit_beside_the_axis(largest, scale, power):
    found = depict.scaled(largest)
    assert found[0] == pytest.approx(scale)
    assert found[1] == power
