"""Forecasts of the last 30 % of light curves beside classical forecasts, on the same held-out objects.

    SCIFORMER_MIRROR=... python benchmarks/forecasts.py stripe82_rrlyrae snpcc
    python benchmarks/forecasts.py --table        # the table of what was measured so far

The shipped recipe on a tenth of the objects that training has not seen; the stars with a Fourier series to start from.
Every result is appended to ``benchmarks/forecasts.csv``, the gap curves to ``benchmarks/gaps.csv``.
"""

import dataclasses
from pathlib import Path

from measure import load_recipe, main

from sciformer.domains.lightcurve.data import LightCurveData
from sciformer.recipe import Recipe

HERE = Path(__file__).resolve().parent
HEADLINE = {"stripe82_rrlyrae": "CRPS", "snpcc": "CRPS"}
EPOCHS = {"stripe82_rrlyrae": 30, "snpcc": 8}
"""As many as ten minutes on one core allow."""
MODELS = {
    "sciformer": "sciformer",
    "Gaussian process": "Gaussian",
    "constant": "constant",
    "Fourier series": "Fourier",
}


def recipes(name: str) -> dict[str, Recipe]:
    """The shipped recipe on a data set."""
    shipped = load_recipe("lightcurve/forecast")
    assert isinstance(shipped.data, LightCurveData)
    data = dataclasses.replace(shipped.data, source=name, fourier=name == "stripe82_rrlyrae")
    optim = dataclasses.replace(shipped.optim, epochs=EPOCHS[name])
    return {"random": dataclasses.replace(shipped, data=data, optim=optim)}


if __name__ == "__main__":
    main(__doc__, HERE / "forecasts.csv", recipes, HEADLINE, MODELS)
