"""Scores of windows: what counts how much, and what they are compared with."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from sciformer.backtest import HeldOut, basis, by_lead, scored
from sciformer.distributions import Gaussian
from sciformer.domains.climate import Climate, reader
from sciformer.domains.climate.windows import windows


@pytest.fixture(scope="module")
def held() -> HeldOut:
    """Windows of a grid of two latitudes; what is forecast does not matter here."""
    values = 280 + np.random.default_rng(0).normal(size=(260, 2, 1)).astype(np.float32)
    time = pd.date_range("2001-01-01", periods=260)
    coords = {"time": time, "lat": [0.0, 60.0], "lon": [10.0]}
    data = xr.Dataset({"tas": (("time", "lat", "lon"), values, {"units": "K"})}, coords)
    data["lat"].attrs["units"], data["lon"].attrs["units"] = "degrees_north", "degrees_east"
    records = windows(list(reader.read(data)), 10, 5, 5)
    adapter = Climate(variables=("tas",), units=("K",), step=1.0, context=10, horizon=5, rows=2)
    return HeldOut.of(adapter.fitted(records), records, 0.3)


def off_by(held: HeldOut, error: np.ndarray) -> Gaussian:
    truth = torch.tensor(held.asked["truth"].to_numpy())
    return Gaussian(truth + torch.tensor(error), torch.full_like(truth, 1e-9))


def table(held: HeldOut) -> pd.DataFrame:
    """Intervals that hold what is at the equator alone."""
    inside = held.asked["lat"] == 0
    return held.asked.assign(lower=np.where(inside, -1e9, 1e9), upper=2e9)


def value(scores: pd.DataFrame, metric: str, model: str = "sciformer") -> float:
    return scores[(scores["metric"] == metric) & (scores["model"] == model)]["value"].iloc[0]


def test_cells_of_a_grid_count_by_their_area(held):
    """Errors of 1 at the equator and of 4 at 60 degrees, where cells have half the area."""
    answer = off_by(held, np.where(held.asked["lat"] == 0, 1.0, 4.0))
    scores, _ = scored(table(held), held, {"sciformer": answer}, 0)
    assert value(scores, "CRPS") == pytest.approx((1 + 0.5 * 4) / 1.5)
    assert value(scores, "RMSE") == pytest.approx(((1 + 0.5 * 16) / 1.5) ** 0.5)
    assert value(scores, "coverage") == pytest.approx(1 / 1.5)
    leads = by_lead(held, {"sciformer": answer}, table(held), 0)
    assert leads.loc[leads["metric"] == "CRPS", "value"].tolist() == pytest.approx([2.0] * 5)
    assert "cells of the grid count by the cosine of their latitude" in basis(held)


def test_stations_count_alike_wherever_they_are(held):
    lone = HeldOut(held.adapter, held.cases, held.spreads)
    lone.__dict__["asked"] = held.asked.assign(case=held.asked["case"] * 2 + (held.asked["lat"] > 0))
    assert (lone.weights == 1).all()


def test_skill_is_paired_with_the_reference_at_every_lead(held):
    """Errors that rise and fall together leave the skill certain, however uncertain both scores are."""
    rough = np.random.default_rng(0).uniform(0.1, 4, len(held.asked))
    ahead = held.asked["ahead"].to_numpy()
    answers = {"sciformer": off_by(held, rough * ahead / 10), "climatology": off_by(held, rough)}
    scores, _ = scored(table(held), held, answers, 0)
    assert not ((scores["model"] == "climatology") & scores["metric"].str.startswith("skill")).any()
    leads = by_lead(held, answers, table(held), 0)
    skill = leads[leads["metric"] == "skill over climatology"]
    assert skill["ahead"].tolist() == [1, 2, 3, 4, 5]
    np.testing.assert_allclose(skill["value"], 1 - skill["ahead"] / 10, atol=1e-6)
    np.testing.assert_allclose(skill["upper"] - skill["lower"], 0, atol=1e-6)
    crps = leads[(leads["metric"] == "CRPS") & (leads["model"] == "sciformer")]
    assert ((crps["upper"] - crps["lower"]) / crps["value"] > 0.1).all()
