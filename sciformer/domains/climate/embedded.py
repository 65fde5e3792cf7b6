"""Real series that come with statsmodels, so that a recipe runs without any file."""

import importlib

import pandas as pd
import xarray as xr

SERIES = ("co2", "elnino")
"""Weekly carbon dioxide on Mauna Loa, 1958 to 2001, with gaps; monthly warmth of the sea off Peru, 1950 to 2010."""


def load(name: str) -> xr.Dataset:
    """A series of ``SERIES`` with units.

    Raises ``ImportError`` naming the remedy where statsmodels is not installed.
    """
    try:
        data = importlib.import_module(f"statsmodels.datasets.{name}").load_pandas().data
    except ImportError as error:
        raise ImportError(
            f"the series {name!r} comes with statsmodels: pip install 'sciformer[demo]', or name a file of your own "
            "with --data.source"
        ) from error
    if name == "co2":
        line = data["co2"].rename_axis("time")
        attrs = {"units": "ppm", "long_name": "carbon dioxide, Mauna Loa (Keeling & Whorf 2004)"}
    else:
        months = data.set_index("YEAR").stack()
        when = pd.to_datetime([f"{int(year)} {month}" for year, month in months.index], format="%Y %b")
        line = pd.Series(months.to_numpy(), index=when.rename("time"))
        attrs = {"units": "degC", "long_name": "sea surface temperature, Nino 1+2 (NOAA)"}
    array = xr.DataArray.from_series(line).astype("float32").assign_attrs(attrs)
    name = "co2" if name == "co2" else "sst"
    return array.assign_coords(time=array["time"].assign_attrs(axis="T")).to_dataset(name=name)
