"""Questions read their own sample and nothing else."""

import pytest
import torch
from torch.testing import assert_close

from sciformer.heads import QueryHead, TokenHead, learned_questions
from sciformer.model import Encoded, SciformerConfig
from sciformer.nn.positions import Rotary
from sciformer.tokens import Axis

CONFIG = SciformerConfig(width=24, depth=1, heads=2, expansion=2.0, dropout=0.0)
ROTARY = Rotary([Axis("time", "day", 1.0, 30.0)], 12)
SAMPLE = torch.tensor([[0, 0, 0, 1, 1, -1]])


def setting(shift: float = 0.0):
    """A head, two questions to each of two packed samples, and the tokens; times are moved by ``shift``."""
    torch.manual_seed(0)
    head, questions = QueryHead(CONFIG).eval(), learned_questions(2, CONFIG).repeat(2, 1).unsqueeze(0) * 50
    times = torch.zeros(1, 6, 5)
    times[..., 1] = torch.randn(1, 6) * 10 + shift
    encoded = Encoded(states=torch.randn(1, 6, 24), sample=SAMPLE, angles=ROTARY.angles(times))
    asked = torch.zeros(1, 4, 5)
    asked[..., 1] = torch.randn(1, 4) * 10 + shift
    return head, questions, torch.tensor([[0, 0, 1, 1]]), encoded, ROTARY.angles(asked)


def test_an_answer_comes_from_its_own_sample():
    head, questions, sample, encoded, _ = setting()
    states = encoded.states.clone().requires_grad_()
    answers = head(questions, sample, Encoded(states=states, sample=SAMPLE, angles=encoded.angles))
    (gradient,) = torch.autograd.grad(answers[0, :2].sum(), states)
    assert gradient[0, :3].any(-1).all()
    assert not gradient[0, 3:].any()


def test_no_answer_depends_on_what_else_is_asked():
    head, questions, sample, encoded, angles = setting()
    alone = head(questions[:, 1:2], sample[:, 1:2], encoded, tuple(x[:, :, 1:2] for x in angles))
    assert_close(alone, head(questions, sample, encoded, angles)[:, 1:2])


def test_questions_that_are_nowhere_do_not_depend_on_the_origin():
    head, questions, sample, encoded, _ = setting()
    moved = setting(shift=7.3)[3]
    assert_close(head(questions, sample, moved), head(questions, sample, encoded))
    assert_close(head.weights(questions, sample, moved), head.weights(questions, sample, encoded))


def test_questions_with_a_place_see_how_far_the_tokens_are():
    head, questions, sample, encoded, angles = setting()
    *_, moved, moved_angles = setting(shift=7.3)
    placed = head.weights(questions, sample, encoded, angles)
    assert_close(head.weights(questions, sample, moved, moved_angles), placed, atol=1e-4, rtol=1e-4)
    assert (placed - head.weights(questions, sample, encoded, moved_angles)).abs().max() > 1e-3


def test_a_question_to_nobody_is_answered_without_nan():
    head, questions, sample, encoded, _ = setting()
    empty = torch.full_like(sample, 9)
    assert head(questions, empty, encoded).isfinite().all()
    assert not head.weights(questions, empty, encoded).any()


@pytest.mark.parametrize("outputs", [1, 7])
def test_a_token_head_answers_at_every_token(outputs):
    head, (_, _, _, encoded, _) = TokenHead(CONFIG, outputs), setting()
    out = head(encoded)
    assert out.shape == (1, 6, outputs)
    assert_close(out[:, 2:3], head(Encoded(states=encoded.states[:, 2:3], sample=SAMPLE[:, 2:3], angles=None)))
