"""Rotary positions over real-valued coordinates.

RoFormer (Su et al. 2021, arXiv:2104.09864) turns pairs of query and key components by an angle
proportional to the position. Here the angle is ``coords . frequencies``: any number of real axes, so
sequences, uneven times and points in space share one formula, and attention depends on coordinate
differences alone.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sciformer.tokens import AXES, Axis


def frequencies(axes: Sequence[Axis], head_width: int) -> Float[Tensor, "5 half"]:
    """Angular frequencies of every component pair, shared out evenly among the axes in use.

    Each axis gets geometrically spaced periods from its ``shortest`` to its ``longest``. One ``order`` axis
    with periods 2 pi .. 2 pi 10000^((k-2)/k) is exactly the published rotary embedding.
    """
    table = torch.zeros(len(AXES), head_width // 2, dtype=torch.float64)
    for j, axis in enumerate(axes):
        columns = torch.arange(j, head_width // 2, len(axes))
        periods = torch.logspace(
            math.log(axis.shortest), math.log(axis.longest), len(columns), base=math.e, dtype=torch.float64
        )
        table[AXES.index(axis.name), columns] = 2 * math.pi / periods
    return table.float()


def merge_axes(axes: Sequence[Axis]) -> tuple[Axis, ...]:
    """One axis per name, wide enough for all modalities that share it."""
    merged: dict[str, Axis] = {}
    for axis in axes:
        known = merged.setdefault(axis.name, axis)
        if known.unit != axis.unit:
            raise ValueError(f"axis {axis.name!r} is in {known.unit!r} and in {axis.unit!r}; use one unit")
        merged[axis.name] = Axis(
            axis.name, axis.unit, min(known.shortest, axis.shortest), max(known.longest, axis.longest)
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
