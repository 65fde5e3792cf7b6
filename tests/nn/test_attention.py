"""Attention is the softmax written out, and its masks hold."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.testing import assert_close

from sciformer.nn.attention import CrossAttention, SelfAttention, attend, attention_weights, may_attend

B, H, Q, N, K = 2, 3, 4, 5, 8


def tensors(seed: int = 0):
    torch.manual_seed(seed)
    q, k, v = torch.randn(B, H, Q, K), torch.randn(B, H, N, K), torch.randn(B, H, N, K)
    return q, k, v, torch.rand(B, 1, Q, N) < 0.5, torch.randn(B, H, Q, N)


def written_out(q, k, v, allowed, bias):
    """Equation 1 of Vaswani et al. 2017, one query at a time."""
    out = torch.zeros(*q.shape[:-1], v.shape[-1])
    for b, h, i in torch.cartesian_prod(*map(torch.arange, q.shape[:-1])).tolist():
        seen = allowed[b, 0, i]
        if seen.any():
            scores = k[b, h, seen] @ q[b, h, i] / K**0.5 + bias[b, h, i, seen]
            out[b, h, i] = scores.softmax(0) @ v[b, h, seen]
    return out


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_attention_is_the_softmax_written_out(seed):
    q, k, v, allowed, bias = tensors(seed)
    assert_close(attend(q, k, v, allowed, bias), written_out(q, k, v, allowed, bias), atol=1e-5, rtol=1e-5)
    assert_close(attend(q, k, v, allowed), written_out(q, k, v, allowed, torch.zeros_like(bias)), atol=1e-5, rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_the_weights_shown_are_the_weights_used(seed):
    q, k, v, allowed, bias = tensors(seed)
    for extra in (None, bias):
        assert_close(attention_weights(q, k, allowed, extra) @ v, attend(q, k, v, allowed, extra), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("with_bias", [False, True])
def test_a_query_with_nothing_to_attend_answers_zero_with_a_finite_gradient(with_bias):
    q, k, v, allowed, bias = tensors()
    allowed[:, :, 1] = False
    leaves = [x.requires_grad_() for x in (q, k, v, bias)]
    out = attend(q, k, v, allowed, bias if with_bias else None)
    assert not out[:, :, 1].any()
    assert not attention_weights(q, k, allowed, bias)[:, :, 1].any()
    (out**2).sum().backward()
    for x in leaves[: 4 if with_bias else 3]:
        assert x.grad.isfinite().all()
    assert not q.grad[:, :, 1].any()


def test_no_token_at_all_is_answered_with_zero():
    q, k, v, allowed, _ = tensors()
    assert not attend(q, k[:, :, :0], v[:, :, :0], allowed[..., :0]).any()


def test_only_equal_samples_may_attend():
    queries, keys = torch.tensor([[0, 1, 7]]), torch.tensor([[0, 0, 1, -1]])
    expected = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]).bool()
    assert torch.equal(may_attend(queries, keys), expected[None, None])


def test_causal_attention_sees_no_later_token():
    layer = SelfAttention(16, 2, bias=True, causal=True)
    x = torch.randn(1, 6, 16, requires_grad=True)
    allowed = torch.ones(1, 1, 6, 6, dtype=torch.bool)
    (gradient,) = torch.autograd.grad(layer(x, allowed)[0, 2].sum(), x)
    assert gradient[0, :3].any(-1).all()
    assert not gradient[0, 3:].any()
    weights = layer.weights(x, allowed)
    assert not weights.triu(1).any()
    assert_close(weights.sum(-1), torch.ones(1, 2, 6))


@pytest.mark.parametrize("layer", [SelfAttention, CrossAttention])
def test_without_bias_there_is_none(layer):
    options = {"causal": False} if layer is SelfAttention else {}
    names = [name for name, _ in layer(16, 2, bias=False, **options).named_parameters()]
    assert names
    assert not any(name.endswith("bias") for name in names)


def test_cross_attention_reads_what_its_weights_say():
    torch.manual_seed(0)
    layer = CrossAttention(16, 2, bias=True)
    questions, memory = torch.randn(2, 3, 16), torch.randn(2, 5, 16)
    allowed = may_attend(torch.zeros(2, 3, dtype=torch.long), torch.tensor([[0, 0, 0, 0, 0], [0, 0, -1, -1, -1]]))
    *_, v = layer.project(questions, memory, (None, None))
    read = (layer.weights(questions, memory, allowed) @ v).transpose(1, 2).flatten(-2)
    assert_close(layer(questions, memory, allowed), layer.out(read), atol=1e-5, rtol=1e-5)
