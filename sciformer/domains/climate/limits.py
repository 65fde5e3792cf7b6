"""What a variable cannot be: rain is never negative, and no more than all of the sky is covered."""

from collections.abc import Mapping, Sequence

import numpy as np

from sciformer.data.targets import listed
from sciformer.domains.climate.series import Series

SHARES = frozenset({"cloud_area_fraction", "relative_humidity", "sea_ice_area_fraction", "surface_snow_area_fraction"})
"""CF standard names of parts of a whole, in the unit ``1`` or in per cent."""
POSITIVE = SHARES | {
    "atmosphere_mass_content_of_water_vapor",
    "convective_precipitation_flux",
    "duration_of_sunshine",
    "lwe_precipitation_rate",
    "lwe_snowfall_rate",
    "lwe_thickness_of_precipitation_amount",
    "lwe_thickness_of_surface_snow_amount",
    "precipitation_amount",
    "precipitation_flux",
    "rainfall_amount",
    "rainfall_flux",
    "rainfall_rate",
    "runoff_flux",
    "sea_surface_wave_significant_height",
    "snowfall_amount",
    "snowfall_flux",
    "specific_humidity",
    "surface_downwelling_longwave_flux_in_air",
    "surface_downwelling_shortwave_flux_in_air",
    "surface_snow_amount",
    "surface_snow_thickness",
    "visibility_in_air",
    "wind_speed",
    "wind_speed_of_gust",
}
"""CF standard names of what is never negative."""
WHOLE = {"1": 1.0, "%": 100.0, "percent": 100.0}
"""All of something, by unit."""
SLACK = 1e-3
"""So much of their range may values lie beyond a limit (by packing, or as a sensor drifts): it moves out to them."""

Limits = tuple[float | None, float | None]
"""The lowest and the highest value, None where there is none."""


def limits(series: Sequence[Series], told: Mapping[str, str]) -> tuple[dict[str, Limits], list[str]]:
    """Of every variable what its values can be, and notes. ``told`` wins: by variable ``low..high``, of which either
    may be absent; else ``valid_min``, ``valid_max`` or ``valid_range`` say it, else the ``standard_name``.

    Raises ``ValueError`` for a limit that was told and is none, of a variable that is not there, or that values of the
    series clearly pass.
    """
    names = [variable.name for variable in series[0].variables]
    if odd := [name for name in told if name not in names]:
        raise ValueError(f"data.bounds.{odd[0]}: there is no such variable, but {listed(names)}")
    found, notes = {}, []
    for j, variable in enumerate(series[0].variables):
        attributes = _attributes(series[0], variable.name)
        wanted = _parsed(variable.name, told[variable.name]) if variable.name in told else _known(attributes)
        low, high = _extremes(series, j)
        slack = SLACK * (high - low) if low < high else 0.0
        kept: list[float | None] = []
        for limit, extreme, side in zip(wanted, (low, high), (-1, 1), strict=True):
            beyond = 0.0 if limit is None else side * (extreme - limit)
            if beyond > slack and variable.name in told:
                raise ValueError(f"data.bounds.{variable.name} {told[variable.name]}: but values reach {extreme:g}")
            if beyond > slack:
                notes.append(f"{variable.name} reaches {extreme:g}, beyond its limit {limit:g}, which is not kept to")
            kept.append(limit if beyond <= 0 else extreme if beyond <= slack else None)
        found[variable.name] = (kept[0], kept[1])
    return found, notes


def _attributes(series: Series, name: str) -> Mapping[str, object]:
    labels = series.labels
    return {} if labels is None or name not in labels else {str(key): x for key, x in labels[name].attrs.items()}


def _known(attributes: Mapping[str, object]) -> Limits:
    """What the attributes of a variable say."""
    low, high = None, None
    if (name := attributes.get("standard_name")) in POSITIVE:
        low = 0.0
        high = WHOLE.get(str(attributes.get("units", ""))) if name in SHARES else None
    pair = attributes.get("valid_range")
    valid = list(pair) if isinstance(pair, Sequence | np.ndarray) and len(pair) == 2 else [None, None]
    valid = [attributes.get("valid_min", valid[0]), attributes.get("valid_max", valid[1])]
    low, high = (known if x is None else float(str(x)) for x, known in zip(valid, (low, high), strict=True))
    return low, high


def _parsed(name: str, text: str) -> Limits:
    low, dots, high = text.partition("..")
    try:
        pair = tuple(float(part) if part.strip() else None for part in (low, high))
    except ValueError:
        dots, pair = "", (None, None)
    if not dots or (pair[0] is not None and pair[1] is not None and not pair[0] < pair[1]):
        raise ValueError(f"data.bounds.{name} must be like 0.. or 0..100 or ..100, got {text!r}")
    return pair[0], pair[1]


def _extremes(series: Sequence[Series], j: int) -> tuple[float, float]:
    """The lowest and the highest value; of values that stay on disk nobody knows."""
    parts = [x.values[..., j] for x in series if isinstance(x.values, np.ndarray)]
    known = np.concatenate([part[np.isfinite(part)] for part in parts]) if parts else np.zeros(0)
    return (float(known.min()), float(known.max())) if known.size else (np.inf, -np.inf)
