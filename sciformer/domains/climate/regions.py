"""Parts of the globe: what lies in a region, and means over boxes (the Nino indices, say)."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from sciformer.domains.climate.cf import Places
from sciformer.domains.climate.options import Region

_EDGE = 1e-4
"""Degrees by which a place may miss the edge of a region: coordinates are often in single precision."""


def inside(data: xr.Dataset, places: Places, region: Region, where: str) -> xr.Dataset:
    """The part of a grid, or the stations, in a region."""
    if not (places.lat and places.lon):
        raise ValueError(f"{where} has no latitudes and longitudes for a region; name them as lat and lon")
    lat, lon = (np.asarray(data[name].values, dtype=np.float64) for name in (places.lat, places.lon))
    north, east = _rows_inside(np.atleast_1d(lat), region), _columns_inside(np.atleast_1d(lon), region)
    if places.station:
        both = np.intersect1d(north, east)
        chosen, found = {places.station: both}, both.size > 0
    else:
        axes = ((places.lat, north), (places.lon, east))
        chosen = {str(data[name].dims[0]): index for name, index in axes if data[name].ndim}
        found = bool(north.size and east.size)
    if not found:
        extent = f"{np.nanmin(lat):g}:{np.nanmax(lat):g},{np.nanmin(lon):g}:{np.nanmax(lon):g}"
        asked = f"{region.south:g}:{region.north:g},{region.west:g}:{region.east:g}"
        raise ValueError(f"{where} has nothing in the region {asked}; its places are in {extent}")
    return data.isel({dim: index for dim, index in chosen.items() if dim in data.dims})


def _rows_inside(lat: Float[np.ndarray, " y"], region: Region) -> Int[np.ndarray, " j"]:
    return np.flatnonzero((lat >= region.south - _EDGE) & (lat <= region.north + _EDGE))


def _columns_inside(lon: Float[np.ndarray, " x"], region: Region) -> Int[np.ndarray, " j"]:
    """Those east of the western edge, in the order of the source unless the seam lies between them."""
    width = region.east - region.west
    if abs(width) >= 360:
        return np.arange(len(lon))
    offset = (lon - region.west + _EDGE) % 360
    inside = np.flatnonzero(offset <= width % 360 + 2 * _EDGE)
    steps = np.diff(offset[inside])
    return inside if (steps > 0).all() or (steps < 0).all() else inside[np.argsort(offset[inside], kind="stable")]


def is_inside(data: xr.Dataset, region: Region) -> bool:
    """Whether the scalar coordinates ``lat`` and ``lon`` lie in a region."""
    if not {"lat", "lon"} <= set(data.coords):
        return False
    lat, lon = (np.atleast_1d(np.asarray(data[name].values, dtype=np.float64)) for name in ("lat", "lon"))
    return bool(_rows_inside(lat, region).size and _columns_inside(lon, region).size)


def means(data: xr.Dataset, places: Places, boxes: Mapping[str, Region], where: str) -> xr.Dataset:
    """One series per box (and variable, where there are several): the mean over its cells, weighted by their area.
    Cells without a value count for nothing; a box without any has none.

    Raises ``ValueError`` for what is no grid, and for a box in which no cell lies.
    """
    if places.station or not (places.lat and places.lon and data[places.lat].ndim and data[places.lon].ndim):
        raise ValueError(f"{where} is no grid of latitudes and longitudes: boxes cannot be averaged")
    out = {}
    for box, region in boxes.items():
        part = inside(data, places, region, f"{where}, box {box!r}")
        area = part[places.lat].copy(data=np.cos(np.deg2rad(part[places.lat].values)))
        mean = part.weighted(area).mean([*part[places.lat].dims, *part[places.lon].dims], keep_attrs=True)
        for name, variable in mean.data_vars.items():
            south, north, west, east = region
            about = f"mean over {south:g} to {north:g} N, {west:g} to {east:g} E"
            long_name = f"{variable.attrs.get('long_name', name)}, {about}"
            own = variable.astype(np.float32).drop_vars([places.lat, places.lon], errors="ignore")
            out[box if len(mean.data_vars) == 1 else f"{name}_{box}"] = own.assign_attrs(long_name=long_name)
    return xr.Dataset(out, attrs=data.attrs)
