"""Series as tokens, and the way back: every number has its place, and what is hidden is never read."""

import dataclasses
import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose

from sciformer.domains.climate.adapter import Climate
from sciformer.domains.climate.series import Variable
from sciformer.domains.climate.windows import windows
from sciformer.ensemble import Member
from sciformer.foundation import Backbone
from sciformer.model import Sciformer, SciformerConfig
from sciformer.questions import asked
from sciformer.tasks.forecast import Forecast, blank

spec = importlib.util.spec_from_file_location("climate_samples", Path(__file__).with_name("samples.py"))
samples = importlib.util.module_from_spec(spec)
spec.loader.exec_module(samples)
fitted, record, series, station = samples.fitted, samples.record, samples.series, samples.station

GRID = (5, 7)


@pytest.fixture(scope="module")
def grid() -> Climate:
    shape = Climate(variables=("tas", "ps"), units=("K", "Pa"), step=1.0, context=16, horizon=8, patch=4, block=3)
    return fitted(shape, cells=GRID)


@pytest.mark.parametrize("patch", [1, 2, 4])
@pytest.mark.parametrize("gaps", [0.0, 0.5])
def test_answers_are_found_where_the_truth_lies(patch, gaps):
    """Of a window that is read whole, the tokens at the places of the questions hold what is asked."""
    adapter, whole = station(patch), record(series(24, 1, gaps=gaps))
    assert answers(adapter, whole)


def test_answers_of_a_grid_are_found_where_the_truth_lies(grid):
    data = series(24, 1, gaps=0.2, cells=GRID)
    data.values[:, 2, 3] = np.nan
    assert answers(grid, record(data))


def answers(adapter: Climate, whole) -> bool:
    before, later = adapter.divide(whole, 0.3)
    tokens = adapter.ask(before, later)
    asked = ~tokens.observed[:, list(adapter.schema.measured)].any(-1)
    given = tokens.replace(values=tokens.values.clone(), observed=tokens.observed.clone())
    table = adapter.observations(later)
    place = adapter.answered(before, later)
    assert len(place) == len(table) == len(np.unique(place))
    usual = given.values[asked][:, adapter.layout.part(1)].numpy().ravel()[place]
    coefficients = adapter.normal(before.data)[0]
    names = {name: j for j, name in enumerate(adapter.variables)}
    lat, lon = (list(x) for x in (later.lat, later.lon))
    expected = [
        adapter.cycles.design(np.array([row.time]))[0] @ coefficients[lat.index(row.lat), lon.index(row.lon), names[v]]
        for row, v in zip(table.itertuples(), table["variable"], strict=True)
    ]
    assert_allclose(usual, expected, rtol=1e-5)
    return True


@pytest.mark.parametrize("patch", [1, 4])
def test_what_is_hidden_is_never_read(patch):
    """The values at the questions may be anything: neither the tokens nor what is expected changes."""
    adapter, window = station(patch), series(24, 1)
    poisoned = window.replaced(values=np.concatenate([window.values[:16], np.full_like(window.values[16:], 1e9)]))
    left, right = (adapter.divide(record(x), 0.3) for x in (window, poisoned))
    one, other = (adapter.ask(before, later) for before, later in (left, right))
    assert all(torch.equal(getattr(one, x), getattr(other, x)) for x in ("values", "observed", "coords", "ids"))
    whole, changed = (adapter.tokenize(record(x)) for x in (window, poisoned))
    late = whole.coords[:, 1] > 15.5
    given = [j for j, column in enumerate(adapter.schema.values) if column.given]
    one, other = (adapter.derive(blank(x, late, given)) for x in (whole, changed))
    assert torch.equal(one.values, other.values)


def test_a_gap_is_answered_between_its_edges_and_doubt_grows_inside():
    adapter, data = station(4), series(16, 3)
    data.values[5:10] = np.nan
    tokens = adapter.ask(record(data), None)
    layout = adapter.layout
    doubt = tokens.values[tokens.ids[:, 0] == 1][:, layout.part(3)].numpy().ravel()
    assert doubt[4] == doubt[10] == 0
    assert doubt[5] < doubt[7]
    assert doubt[9] < doubt[7]


def test_uneven_steps_keep_their_own_times():
    adapter, data = station(1), series(16, 3)
    data = data.replaced(time=data.time + np.linspace(0, 0.4, 16))
    tokens = adapter.tokenize(record(data))
    time = tokens.coords[tokens.ids[:, 0] == 1][:, 1]
    assert_allclose(time, data.time - data.time[0], rtol=1e-5)


def test_a_step_that_is_absent_is_as_one_that_is_missing():
    adapter, data = station(4), series(24, 3)
    data.values[7] = np.nan
    rows = np.delete(np.arange(24), 7)
    absent = data.replaced(time=data.time[rows], values=data.values[rows])
    one, other = (adapter.tokenize(record(x)) for x in (data, absent))
    assert torch.equal(one.values, other.values)
    assert torch.equal(one.coords, other.coords)


def test_questions_reach_from_the_context_to_the_horizon():
    adapter, data = station(4), series(24, 3)
    asked = adapter.questions(record(data), horizon=3)
    assert_allclose(asked.time, data.time[-1] + np.array([1.0, 2, 3]))
    gap = adapter.questions(record(data), times=[data.time[-3]], variables=["ps"])
    assert set(adapter.observations(gap)["variable"]) == {"ps"}
    dates = adapter.questions(record(data), times=["1997-06-12", "1997-06-13T00:00"])
    assert_allclose(dates.time, [10024.0, 10025.0])
    both = adapter.questions(record(data), times=data.time[[-3, -3, -2]], variables="ps, tas")
    assert_allclose(both.time, data.time[-3:-1])
    assert set(adapter.observations(both)["variable"]) == {"ps", "tas"}
    for wrong, told in (
        ({"times": []}, "times is empty"),
        ({"times": [None]}, "must be dates"),
        ({"times": ["1997-06-12T09:00"]}, "between two of its steps; ask about the nearest one, 1997-06-12$"),
        ({"times": [data.time[-3] - 0.4]}, "between two of its steps"),
        ({"variables": "pr"}, "'pr' was not learned"),
        ({"horizon": 9}, "from 1 to 8"),
        ({"times": [data.time[-1] + 9]}, "ends on 1997-06-11 and is asked about 1997-06-20"),
        ({"times": [data.time[-1] - 17]}, "is asked about .* cut the series after that time, ds.sel"),
        ({"horizon": 2, "times": [data.time[-1]]}, "not both"),
        ({"variables": ["pr"]}, "'pr' was not learned"),
        ({"times": ["yesterday"]}, "must be dates"),
    ):
        with pytest.raises(ValueError, match=told):
            adapter.questions(record(data), **wrong)


def test_months_are_asked_by_their_dates_and_gaps_by_those_they_would_have():
    adapter, data = dataclasses.replace(station(4), step=30.4), series(24, 3)
    starts = pd.date_range("2001-01-16", periods=24, freq="MS") + pd.Timedelta(days=15)
    days = (starts - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
    months = data.replaced(time=np.delete(days.to_numpy(float), 20), values=np.delete(data.values, 20, 0), step=31.0)
    asked = ["2002-10-16", "2003-01-16", "2003-02-16", "2003-03-17"]
    assert len(adapter.questions(record(months), times=asked).time) == 4
    with pytest.raises(ValueError, match="nearest one, 2003-02-16"):
        adapter.questions(record(months), times=["2003-02-01T12:00"])


def test_a_place_that_was_silent_of_late_is_remarked_upon():
    adapter, data = station(4), series(40, 3)
    assert adapter.remarks([record(data)]) == []
    data.values[-15:, ..., 1] = np.nan
    assert adapter.remarks([record(data)]) == [
        "here: 'ps' was observed at 1 of the last 16 steps: the answer leans on what is normal"
    ]
    data.values[-16:] = np.nan
    assert adapter.remarks([record(data)]) == [
        "here: nothing was observed in the last 16 steps: the answer is what is normal"
    ]


def test_names_of_one_unit_are_no_difference():
    adapter, data = station(4), series(24, 3)
    assert adapter.unlike(record(data.replaced(variables=(Variable("tas", "kelvin"), Variable("ps", "Pa"))))) == ""


def test_what_is_of_another_kind_is_named():
    adapter, data = station(4), series(24, 3)
    assert adapter.unlike(record(data)) == ""
    celsius = data.replaced(variables=(Variable("tas", "degC"), Variable("ps", "Pa")))
    hourly = data.replaced(step=1 / 24)
    for other, told in (
        (celsius, "the model learned K: convert it, or if the source names its unit wrongly, say --columns"),
        (data.take(["ps"]), "has no variable 'tas'"),
        (series(24, 0, cells=(2, 2)), "grid of"),
        (hourly, "has steps of 0.0416667 days"),
        (data.replaced(calendar="360_day"), "has the calendar 360_day"),
    ):
        assert told in adapter.unlike(record(other))
    with pytest.raises(ValueError, match="fit the adapter"):
        Climate(variables=("tas", "ps"), units=("K", "Pa")).tokenize(record(data))


def test_cells_where_nothing_is_ever_measured_are_never_asked(grid):
    data = series(400, 0, cells=GRID)
    data.values[:, 1, 1] = np.nan
    adapter = dataclasses.replace(grid).fitted([record(data)])
    asked = adapter.questions(record(data), horizon=2)
    assert np.isnan(asked.values[:, 1, 1]).all()
    assert np.isfinite(asked.values).sum() == 2 * 2 * (5 * 7 - 1)


def test_months_of_unlike_length_are_one_lead():
    days = np.array([31.0, 59.0, 90.0, 28.0, 61.0, 92.0])
    adapter, seen = dataclasses.replace(station(), step=30.436875), record(series(24, 0))
    assert_allclose(adapter.ahead(seen, seen.data.time[-1] + days) / 30.436875, [1, 2, 3, 1, 2, 3])


@pytest.mark.parametrize("lost", ["values", "rows"])
def test_a_last_day_without_values_makes_no_lead_longer_than_the_horizon(lost):
    adapter, data = station(), series(24, 0)
    if lost == "values":
        data.values[14:16] = np.nan
    else:
        kept = np.delete(np.arange(24), [14, 15])
        data = data.replaced(time=data.time[kept], values=data.values[kept])
    (window,) = windows([record(data)], 16, 8, 8)
    table = asked(adapter, [adapter.divide(window, 0.3)])
    assert set(table["ahead"]) == set(range(1, 9))
    seen = record(data.between(0, int(np.searchsorted(data.time, data.time[-1] - 7.5))))
    assert asked(adapter, [(seen, adapter.questions(seen))])["ahead"].min() == 1


def test_a_strange_station_that_was_never_observed_is_as_unsure_as_stations_differ():
    shape = Climate(variables=("tas", "ps"), units=("K", "Pa"), step=1.0, context=16, horizon=8, patch=4)
    warm = series(400, 1, place="Warm")
    two = [record(series(400, 0)), record(warm.replaced(values=warm.values + np.float32(20.0)))]
    adapter, silent = shape.fitted(two), series(24, 2, place="Nowhere")
    hidden = record(silent.replaced(values=np.full_like(silent.values, np.nan)))
    tokens = adapter.ask(hidden, adapter.questions(hidden, horizon=4))
    level, spread = adapter.normal(hidden.data)
    assert level[0, 0, 0, 0] == pytest.approx(290.0, abs=3.0)
    assert spread[0, 0, 0] > 10.0
    assert tokens.size == 2
    assert torch.isfinite(tokens.values).all()


# --- series of several kinds, for one backbone ----------------------------------------------------------


def test_steps_are_steps_however_long_they_are():
    """A daily series, and the same numbers by the hour."""
    data = series(24, 1, gaps=0.2)
    hours = data.replaced(time=data.time / 24, step=1 / 24)
    daily = station()
    hourly = dataclasses.replace(daily, step=1 / 24)
    assert_allclose(hourly.tokenize(record(hours)).coords, daily.tokenize(record(data)).coords, atol=1e-4)
    assert hourly.schema == daily.schema


def test_adapters_of_other_variables_and_stretches_go_by_one_schema_and_say_the_same_as_before():
    own, other = station(), Climate(variables=("sst", "tas"), units=("K", "K"), context=32, horizon=8, patch=4)
    every = [other, own]
    joined = [adapter.alongside(every) for adapter in every]
    assert joined[0].schema == joined[1].schema
    assert joined[1].schema.ids[0].labels == ("sst", "tas", "ps")
    assert joined[1].reach == 40
    one, same = (x.tokenize(record(series(24, 1, gaps=0.2))) for x in (own, joined[1]))
    assert set(one.ids.flatten().tolist()) == {1, 2}
    assert torch.equal(same.ids, one.ids + 1)
    names = [x.token_names(record(series(24, 1))) for x in (own, joined[1])]
    assert names[0] == names[1]
    assert torch.equal(joined[1].derive(same).values, own.derive(one).values)
    assert joined[1].quantities == own.quantities


@pytest.mark.parametrize(("change", "told"), [({"patch": 2}, "patch, got 2 and 4"), ({"rows": 3}, "gridded, got")])
def test_adapters_whose_tokens_hold_other_steps_or_cells_cannot_share_a_backbone(change, told):
    own = station()
    with pytest.raises(ValueError, match=told):
        own.alongside([own, dataclasses.replace(own, **change)])


def test_vectors_are_of_what_was_measured():
    """What the backbone reads is derived from the values, in training as in use."""
    adapter, shape = station(), SciformerConfig(width=16, depth=1, heads=2)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        member = Member(Sciformer(shape, {adapter.name: adapter}), Forecast(shape, adapter))
    one, other = (record(series(24, seed)) for seed in (1, 2))
    vectors = Backbone(adapter, [member.eval()], {}).vectors([one, other])
    assert np.isfinite(vectors).all()
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3
