"""Rotary positions over real-valued coordinates.

RoFormer (Su et al. 2021, arXiv:2104.09864) turns pairs of query and key components by an angle
proportional to the position. Here the angle is ``coords . frequencies``: any number of real axes, so
sequences, uneven times and points in space share one formula, and attention depends on coordinate
differences alone.
"""

import dataclasses
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sciformer.tokens import AXES, Axis


def frequencies(axes: Sequence[Axis], head_width: int) -> Float[Tensor, "5 half"]:
    """Angular frequencies of every component pair, shared out evenly among the axes in use.

    Each axis gets geometrically spaced periods from its ``shortest`` to its ``longest``, unless it names its
    ``periods``. One ``order`` axis with periods 2 pi .. 2 pi 10000^((k-2)/k) is the published rotary embedding, but for
    the rounding of those that published weights store.

    Raises ``ValueError`` where an axis names more or fewer periods than its share of the component pairs.
    """
    table = torch.zeros(len(AXES), head_width // 2, dtype=torch.float64)
    for j, axis in enumerate(axes):
        columns = torch.arange(j, head_width // 2, len(axes))
        if axis.periods and len(axis.periods) != len(columns):
            raise ValueError(
                f"axis {axis.name!r} names {len(axis.periods)} periods, but heads of width {head_width} leave it "
                f"{len(columns)} beside {len(axes) - 1} other axes: keep the width, the heads and the axes of the "
                "weights that the periods came with"
            )
        periods = torch.tensor(axis.periods, dtype=torch.float64) if axis.periods else _spaced(axis, len(columns))
        table[AXES.index(axis.name), columns] = 2 * math.pi / periods
    return table.float()


def _spaced(axis: Axis, count: int) -> Float[Tensor, " count"]:
    return torch.logspace(math.log(axis.shortest), math.log(axis.longest), count, base=math.e, dtype=torch.float64)


def merge_axes(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """One axis per name, wide enough for all modalities that share it.

    Raises ``ValueError`` where they do not agree on its unit, or on periods that one of them names.
    """
    merged: dict[str, Axis] = {}
    for axis in axes:
        known = merged.setdefault(axis.name, axis)
        if known.unit != axis.unit:
            raise ValueError(f"axis {axis.name!r} is in {known.unit!r} and in {axis.unit!r}; use one unit")
        if known.periods != axis.periods:
            raise ValueError(
                f"axis {axis.name!r} has {len(known.periods)} periods of published weights in one modality and "
                f"{len(axis.periods)} or other ones in another; modalities that share an axis share its periods"
            )
        merged[axis.name] = dataclasses.replace(
            axis, shortest=min(known.shortest, axis.shortest), longest=max(known.longest, axis.longest)
        )
    return tuple(merged.values())


class Rotary(nn.Module):
    """Turns queries and keys by their coordinates, always in float32."""

    frequencies: Float[Tensor, "5 half"]

    def __init__(self, axes: Sequence[Axis], head_width: int):
        super().__init__()
        self.axes = tuple(axes)
        self.register_buffer("frequencies", frequencies(axes, head_width), persistent=False)

    def angles(self, coords: Float[Tensor, "b n 5"]) -> tuple[Tensor, Tensor] | None:
        """Cosine and sine ``b 1 n half``; None where no axis is in use."""
        if not self.axes:
            return None
        with torch.autocast(coords.device.type, enabled=False):
            angle = (coords.float() @ self.frequencies).unsqueeze(1)
            return angle.cos(), angle.sin()


def rotate(x: Float[Tensor, "b h n k"], angles: tuple[Tensor, Tensor] | None) -> Float[Tensor, "b h n k"]:
    if angles is None:
        return x
    cos, sin = angles
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], dim=-1).to(x.dtype)
