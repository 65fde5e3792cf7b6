"""From a stretch of a series to tokens: one per variable, block of cells and patch of consecutive steps.

A step that is absent and one that is NaN are the same: not observed, never filled. Times are steps since the first one
of the stretch; the season and the hour, which hold of any moment, are columns of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Integer

from sciformer.domains.climate.normals import Cycles
from sciformer.domains.climate.series import Series
from sciformer.tokens import AXES, Axis, Category, Schema, Tokens, Value

_TIME = AXES.index("time")
_X = AXES.index("x")
PHASES = ("cos_year", "sin_year", "cos_day", "sin_day", "sin_lat")


@dataclass(frozen=True)
class Layout:
    """How much of a series a token holds, and where in the token what is found."""

    patch: int
    """Consecutive steps."""
    block: int
    """Cells along a side; 1 for stations."""
    known: int = 0
    """Variables that are known beforehand."""

    @property
    def size(self) -> int:
        """Values of a token: steps, then rows, then columns of cells."""
        return self.patch * self.block**2

    def part(self, k: int) -> slice:
        """Columns of the ``k``-th of: value, normal, expected, doubt, level, unsure."""
        start = k * self.size if k < 2 else k * self.size + 1 + len(PHASES)
        return slice(start, start + self.size)

    @property
    def spread(self) -> int:
        return 2 * self.size

    @property
    def phases(self) -> slice:
        return slice(2 * self.size + 1, 2 * self.size + 1 + len(PHASES))

    @property
    def width(self) -> int:
        return self.told.stop

    @property
    def told(self) -> slice:
        """Columns of what is known beforehand, variable by variable."""
        start = 6 * self.size + 1 + len(PHASES)
        return slice(start, start + self.known * self.size)

    @property
    def steps(self) -> Integer[np.ndarray, " k"]:
        """Of each value of a token, its step."""
        return np.repeat(np.arange(self.patch), self.block**2)


def schema(layout: Layout, variables: Sequence[str], known: Sequence[str] = (), *, gridded: bool, span: int) -> Schema:
    """Value columns: what is measured; what is normal, how far from it things stray and the phases, given beforehand;
    and, derived from what is visible (see ``memory``), what is expected, its standard error, and both again in spreads
    from the normal, which is what the backbone reads. What is ``known`` beforehand of the same steps is told to every
    token, questions included, in spreads from its normal. ``span`` is the longest stretch in steps."""
    each = range(layout.size)
    axes = [Axis("time", "step", shortest=2.0, longest=2.0 * span)]
    axes += [Axis(name, "1", shortest=0.05, longest=4.0) for name in ("x", "y", "z")] if gridded else []
    return Schema(
        ids=(Category("variable", len(variables) + 1, tuple(variables)),),
        values=(
            *(Value(f"value_{j}", embedded=False) for j in each),
            *(Value(f"normal_{j}", given=True, embedded=False) for j in each),
            Value("spread", given=True, embedded=False),
            *(Value(name, scale="none", given=True) for name in PHASES),
            *(Value(f"expected_{j}", derived=True, guess_of=f"value_{j}", embedded=False) for j in each),
            *(Value(f"doubt_{j}", derived=True, error_of=f"expected_{j}", embedded=False) for j in each),
            *(Value(f"level_{j}", scale="none", derived=True) for j in each),
            *(Value(f"unsure_{j}", scale="none", derived=True) for j in each),
            *(Value(f"known_{name}_{j}", scale="none", given=True) for name in known for j in each),
        ),
        axes=tuple(axes),
    )


@dataclass(frozen=True)
class Stretch:
    """A grid of steps beginning at some moment, on which observations and questions are laid."""

    origin: float
    """Days since 1970 of step 0."""
    step: float
    """Days."""

    def place(self, time: Float[np.ndarray, " n"]) -> Integer[np.ndarray, " n"]:
        """The step of each moment."""
        return np.round((time - self.origin) / self.step).astype(int)

    def time(self, place: Integer[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Days since 1970 of steps."""
        return self.origin + place * self.step


def blocks(
    values: Float[np.ndarray, "n y x v"], places: Integer[np.ndarray, " n"], first: int, count: int, layout: Layout
) -> Float[np.ndarray, "t by bx v k"]:
    """Values laid on ``count`` patches of steps from patch ``first``; NaN where there are none."""
    _, ny, nx, nv = values.shape
    p, b = layout.patch, layout.block
    by, bx = -(-ny // b), -(-nx // b)
    laid = np.full((count * p, by * b, bx * b, nv), np.nan)
    inside = (places >= first * p) & (places < (first + count) * p)
    laid[places[inside] - first * p, :ny, :nx] = values[inside]
    parts = laid.reshape(count, p, by, b, bx, b, nv)
    return parts.transpose(0, 2, 4, 6, 1, 3, 5).reshape(count, by, bx, nv, layout.size)


def answered(
    chosen: Bool[np.ndarray, "n y x v"], places: Integer[np.ndarray, " n"], layout: Layout
) -> Integer[np.ndarray, " q"]:
    """Of every chosen value, in order, where among all columns of all tokens that hold one of them it lies."""
    first = int(places.min() // layout.patch)
    count = int(places.max() // layout.patch) - first + 1
    wanted = np.full(chosen.shape, np.nan)
    wanted[chosen] = np.arange(chosen.sum())
    laid = blocks(wanted, places, first, count, layout)
    tokens = laid[np.isfinite(laid).any(-1)]
    token, column = np.nonzero(np.isfinite(tokens))
    out = np.empty(int(chosen.sum()), dtype=int)
    out[tokens[token, column].astype(int)] = token * layout.size + column
    return out


def sphere(lat: Float[np.ndarray, " y"], lon: Float[np.ndarray, " x"]) -> Float[np.ndarray, "y x 3"]:
    """Points of the unit sphere; where places are unknown, its centre."""
    phi, theta = np.deg2rad(lat)[:, None], np.deg2rad(lon)[None]
    point = np.stack(np.broadcast_arrays(np.cos(phi) * np.cos(theta), np.cos(phi) * np.sin(theta), np.sin(phi)), -1)
    return np.nan_to_num(point)


def centres(series: Series, block: int) -> Float[np.ndarray, "by bx 3"]:
    """The middle of each block of cells."""
    lat, lon = (np.array([x[i : i + block].mean() for i in range(0, len(x), block)]) for x in (series.lat, series.lon))
    return sphere(lat, lon)


def phases(time: Float[np.ndarray, " n"], cycles: Cycles) -> Float[np.ndarray, "n 4"]:
    """Where in the year and in the day moments lie; 0 where the training part was too short to tell that cycle from
    chance: the day of its only year would be learned by heart."""
    angles = 2 * np.pi * np.stack([time / cycles.year, time], -1)
    known = np.array([cycles.annual, cycles.annual, cycles.diurnal, cycles.diurnal]) > 0
    waves = np.cos(angles[:, 0]), np.sin(angles[:, 0]), np.cos(angles[:, 1]), np.sin(angles[:, 1])
    return np.stack(waves, -1) * known


def tokens(
    modality: str,
    layout: Layout,
    *,
    values: Float[np.ndarray, "m k"],
    normals: Float[np.ndarray, "m k"],
    spread: Float[np.ndarray, " m"],
    given: Float[np.ndarray, "m phases"],
    told: Float[np.ndarray, "m known"],
    variable: Integer[np.ndarray, " m"],
    time: Float[np.ndarray, " m"],
    where: Float[np.ndarray, "m 3"],
) -> Tokens:
    """Unbatched tokens; NaN is what is not observed, ``time`` steps since the first moment of the stretch."""
    content = np.full((len(values), layout.width), np.nan)
    content[:, layout.part(0)], content[:, layout.part(1)] = values, normals
    content[:, layout.spread], content[:, layout.phases], content[:, layout.told] = spread, given, told
    coords = torch.zeros(len(values), len(AXES))
    coords[:, _TIME] = torch.from_numpy(time).float()
    coords[:, _X : _X + 3] = torch.from_numpy(where).float()
    observed = torch.from_numpy(np.isfinite(content))
    return Tokens.of(
        modality,
        ids=torch.from_numpy(variable.astype(np.int64)[:, None]),
        values=torch.from_numpy(np.nan_to_num(content)).float(),
        observed=observed,
        coords=coords,
    )
