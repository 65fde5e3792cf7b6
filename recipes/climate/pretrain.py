"""A backbone for climate series, pretrained on stations of many kinds.

Question: what can be learned of how series go on, whatever is measured and however often?
Data: data cards beijing_pm25 and etth1 (hourly), era5_cities (daily), cru_temperature and darwin_soi (monthly), and the
    weekly carbon dioxide of Mauna Loa. Of each the last two fifths of the time are left out: they are what models are
    tested on.
Cost: about half an hour on one CPU core.
Score: the errors on held-out windows are in the model card; what it is worth, in benchmarks/RESULTS.md.

    python recipes/climate/pretrain.py --out runs/climate-small
"""

from sciformer.data.batching import BatchConfig
from sciformer.data.splits import SplitConfig
from sciformer.domains.climate.data import ClimateData
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.pretraining import Pretraining
from sciformer.streams import Stream

SOURCES = {
    "beijing_pm25": 3.0,
    "etth1": 3.0,
    "era5_cities": 2.0,
    "cru_temperature": 1.0,
    "darwin_soi": 0.5,
    "co2": 0.5,
}
"""And how often each is learned from."""


WEATHER = "tas,tasmax,tasmin,pr,ps,hurs,sfcWind,rsds"
"""Of the 25 variables of ERA5, which follow from each other; they are called as in CMIP."""


def series(source: str) -> ClimateData:
    variables = WEATHER if source == "era5_cities" else ""
    return ClimateData(source=source, variables=variables, context=96, horizon=24, patch=8, stride=8)


def recipe() -> Pretraining:
    past = SplitConfig(kind="time", fractions=(0.5, 0.1, 0.0, 0.4), calibration_share=0.0)
    return Pretraining(
        title="climate-small: series of stations, pretrained",
        streams={
            source: Stream(series(source), split=past, objective="forecast", weight=weight, batch=BatchConfig(row=0))
            for source, weight in SOURCES.items()
        },
        model=SciformerConfig(width=96, depth=3, heads=6, dropout=0.2),
        optim=OptimConfig(epochs=4, lr=3e-4, patience=2),
        steps=500,
    )


if __name__ == "__main__":
    from sciformer.cli import run_recipe

    run_recipe(__file__)
