"""Rotary positions: differences alone matter, and the published form is a special case."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from sciformer.nn.positions import Rotary, frequencies, merge_axes, rotate
from sciformer.tokens import AXES, Axis

SPACE = tuple(Axis(name, "Å", 1.0, 40.0) for name in ("x", "y", "z"))
TIME = Axis("time", "day", 0.1, 300.0)


def standard(head_width: int) -> Axis:
    """The axis that is the rotary embedding of RoFormer, ESM-2 and most language models."""
    return Axis("order", "token", 2 * math.pi, 2 * math.pi * 10000 ** ((head_width - 2) / head_width))


def scores(rotary: Rotary, q, k, coords):
    angles = rotary.angles(coords)
    return rotate(q, angles) @ rotate(k, angles).transpose(-1, -2)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), shift=st.lists(st.floats(-10, 10, width=32), min_size=5, max_size=5))
def test_attention_depends_on_coordinate_differences_alone(seed, shift):
    torch.manual_seed(seed)
    q, k, coords = torch.randn(1, 2, 6, 24), torch.randn(1, 2, 6, 24), torch.randn(1, 6, 5)
    rotary = Rotary((*SPACE, TIME), 24)
    moved = scores(rotary, q, k, coords + torch.tensor(shift))
    assert_close(moved, scores(rotary, q, k, coords), atol=5e-3, rtol=0)  # angles reach 600 in float32


def test_coordinate_differences_do_matter():
    torch.manual_seed(0)
    q, k = torch.randn(1, 1, 3, 24), torch.randn(1, 1, 3, 24)
    rotary, coords = Rotary(SPACE, 24), torch.randn(1, 3, 5)
    assert (scores(rotary, q, k, coords) - scores(rotary, q, k, 2 * coords)).abs().max() > 0.1


@pytest.mark.parametrize("head_width", [16, 64])
def test_one_order_axis_is_the_standard_rotary_embedding(head_width):
    torch.manual_seed(0)
    n = 50
    x, order = torch.randn(1, 2, n, head_width), torch.arange(n)
    # As ESM-2 has it: rotate_half, both halves with the same angles.
    inv_freq = 10000 ** (-torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
    angle = torch.outer(order.double(), inv_freq).repeat(1, 2)
    first, second = x.double().chunk(2, dim=-1)
    expected = x.double() * angle.cos() + torch.cat([-second, first], dim=-1) * angle.sin()

    coords = torch.zeros(1, n, len(AXES))
    coords[..., AXES.index("order")] = order
    rotary = Rotary([standard(head_width)], head_width)
    assert_close(rotary.frequencies[0].double(), inv_freq, rtol=1e-6, atol=0)
    assert_close(rotate(x, rotary.angles(coords)).double(), expected, rtol=0, atol=5e-5)


def test_every_axis_gets_its_share_of_periods():
    table = frequencies(SPACE, 24)
    for name in ("x", "y", "z"):
        periods = 2 * math.pi / table[AXES.index(name)][table[AXES.index(name)] > 0]
        assert len(periods) == 4
        assert_close((periods.min(), periods.max()), (torch.tensor(1.0), torch.tensor(40.0)))
    assert not table[AXES.index("time")].any()
    assert ((table > 0).sum(0) == 1).all()


def test_angles_stay_float32_under_autocast():
    coords = torch.full((1, 2, 5), 123.456)
    rotary = Rotary(SPACE, 24)
    expected = rotary.angles(coords)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = rotary.angles(coords)
    assert found[0].dtype == torch.float32
    assert torch.equal(found[0], expected[0])
    assert torch.equal(found[1], expected[1])


def test_rotation_keeps_the_type_and_the_length():
    torch.manual_seed(0)
    x = torch.randn(1, 2, 3, 24)
    angles = Rotary(SPACE, 24).angles(torch.randn(1, 3, 5))
    assert_close(rotate(x, angles).norm(dim=-1), x.norm(dim=-1))
    assert rotate(x.bfloat16(), angles).dtype == torch.bfloat16


def test_without_axes_nothing_turns():
    rotary = Rotary([], 8)
    assert rotary.angles(torch.randn(1, 3, 5)) is None
    x = torch.randn(1, 1, 3, 8)
    assert rotate(x, None) is x


def test_axes_of_the_same_name_merge_to_the_wider_one():
    day = Axis("time", "day", 1.0, 10.0)
    assert merge_axes([TIME, day, *SPACE]) == (TIME, *SPACE)
    assert merge_axes([day, Axis("time", "day", 0.5, 5.0)]) == (Axis("time", "day", 0.5, 10.0),)


def test_axes_in_different_units_do_not_merge():
    with pytest.raises(ValueError, match=r"'time' is in 'day' and in 'hour'"):
        merge_axes([TIME, Axis("time", "hour", 1.0, 10.0)])


def test_an_axis_that_names_its_periods_turns_by_them():
    named = Axis("order", "token", 1.0, 9.0, periods=(7.0, 2.0, 3.0))
    assert_close(frequencies([named], 6)[0], 2 * math.pi / torch.tensor([7.0, 2.0, 3.0]))
    assert merge_axes([named, named]) == (named,)
    with pytest.raises(
        ValueError, match=r"'order' names 3 periods, but heads of width 8 leave it 4 beside 0 other axes"
    ):
        frequencies([named], 8)
    with pytest.raises(ValueError, match=r"'order' has 3 periods of published weights in one modality and 0 or other"):
        merge_axes([named, Axis("order", "token", 1.0, 9.0)])
