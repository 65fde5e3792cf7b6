"""What can be asked about a light curve: its value at other times and bands, or at those that were held out."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sciformer.adapter import Record
from sciformer.data.targets import label
from sciformer.domains.lightcurve.curve import Curve

AHEAD, STEPS = 0.3, 50
"""Without times, the next 30 % of the time span are asked about, in so many steps."""
FEWEST = 2
"""A curve with fewer observations before the cut is not divided."""
DETECTED = 5.0
"""Signal-to-noise ratio of a flux that counts as a detection."""


def questions(record: Record, times: Any, bands: Any, known: Sequence[str], longest: float) -> Curve:
    """A curve without values at every one of ``times`` in every one of ``bands``.

    ``times``: days in the time scale of the record, ``astropy.time.Time`` or dates; one, several, or a mapping from
    ids of records to them; None for the time that follows. ``bands``: one, several, or None for those of the record.

    Raises ``ValueError`` for a time that is none or more than ``longest`` days away, and for a band not in ``known``.
    """
    curve: Curve = record.data
    if isinstance(times, Mapping):
        times = {label(key): when for key, when in times.items()}
        if record.key not in times:
            raise ValueError(f"`times` has no entry for object {record.key!r}; it has {', '.join(times)[:200]}")
        times = times[record.key]
    when = _following(curve) if times is None else _days(times, curve)
    if not len(when):
        raise ValueError("`times` is empty: name at least one, or leave it out for the time that follows")
    _reachable(when, record, longest)
    where = np.unique(curve.band) if bands is None else np.atleast_1d(np.asarray(bands, dtype=object))
    if unknown := [str(band) for band in where if str(band) not in known]:
        raise ValueError(f"band {unknown[0]!r} was not learned; the model knows {', '.join(map(repr, known))}")
    time, band = np.repeat(when, len(where)), np.tile(where.astype(str), len(when))
    nothing = np.zeros(len(time))
    return dataclasses.replace(curve, time=time, band=band, value=nothing, error=np.full(len(time), np.nan))


def _following(curve: Curve) -> np.ndarray:
    last, span = curve.time[-1], max(float(np.ptp(curve.time)), 1.0)
    return last + AHEAD * span * np.arange(1, STEPS + 1) / STEPS


def _days(times: Any, curve: Curve) -> np.ndarray:
    """Sorted days in the scale of the curve."""
    dates = hasattr(times, "jd1") or np.asarray(times).dtype.kind in "MUSO"
    if not dates:
        return np.sort(np.atleast_1d(np.asarray(times, dtype=np.float64)))
    from astropy.time import Time

    if not np.isfinite(curve.origin):
        raise ValueError("the light curve has no known time scale, so dates cannot be placed: give days as numbers")
    try:
        moment: Any = times if hasattr(times, "jd1") else Time(np.atleast_1d(np.asarray(times, dtype="datetime64[ns]")))
    except ValueError as error:
        raise ValueError(f"times must be days as numbers or dates like 2026-01-31T12:00, got {times!r}") from error
    return np.sort(np.atleast_1d((moment.jd1 - curve.origin) + moment.jd2))


def _reachable(when: np.ndarray, record: Record, longest: float) -> None:
    first, last = record.data.time[[0, -1]]
    if not np.isfinite(when).all():
        raise ValueError(f"object {record.key!r} is asked about a time that is no number")
    far = (when < first - longest) | (when > last + longest)
    if far.any():
        scale = f" {record.data.scale}" if record.data.scale else ""
        raise ValueError(
            f"object {record.key!r} was observed from{scale} {first:.6g} to {last:.6g} days and is asked about "
            f"{when[far][0]:.8g}, more than {longest:g} days away: give times in its own scale"
        )


def divide(record: Record, share: float) -> tuple[Record, Curve] | None:
    """The record before the last ``share`` of its observations, and those; one moment is never divided."""
    curve: Curve = record.data
    before = len(curve) - max(round(share * len(curve)), 1)
    if before < FEWEST:
        return None
    later = curve.time > curve.time[before - 1]
    if not later.any():
        return None
    return dataclasses.replace(record, data=curve.take(~later)), curve.take(later)


def thin(record: Record, keep: float, rng: np.random.Generator) -> Record:
    """The record with a random share of its observations, at least ``FEWEST``."""
    curve: Curve = record.data
    left = min(max(round(keep * len(curve)), FEWEST), len(curve))
    rows = np.sort(rng.permutation(len(curve))[:left])
    return dataclasses.replace(record, data=curve.take(rows))


def ages(record: Record) -> np.ndarray:
    """Days of each observation since the first detection: the first flux well above its error; of magnitudes, and where
    no flux is, the first observation."""
    curve: Curve = record.data
    detected = (curve.value > DETECTED * curve.error) & (curve.quantity == "flux")  # never where the error is unknown
    return curve.time - curve.time[int(detected.argmax())]


def until(record: Record, age: float | int) -> Record | None:
    """What was observed up to that many days after the first detection, or None."""
    known = ages(record) <= age
    return dataclasses.replace(record, data=record.data.take(known)) if known.any() else None
