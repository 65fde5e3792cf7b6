"""Numbers about whole records are read off one answer, whatever else lies beside a record."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import pytest
import torch
from torch.testing import assert_close

from sciformer.adapter import DomainAdapter, Record
from sciformer.model import Sciformer, SciformerConfig
from sciformer.tasks.describe import Describe
from sciformer.tokens import Axis, Category, Example, Schema, Tokens, collate

CONFIG = SciformerConfig(width=32, depth=2, heads=2, dropout=0.0)
SCHEMA = Schema(ids=(Category("letter", 6),), axes=(Axis("order", "step", shortest=2.0, longest=100.0),))
NAMES = ("size", "ones", "rare")


class Toy(DomainAdapter):
    """Words; tokens are their own records."""

    name: ClassVar[str] = "toy"

    @property
    def schema(self) -> Schema:
        return SCHEMA

    def read(self, source: Iterable[Record], **columns: Any) -> Iterator[Record]:
        return iter(source)

    def tokenize(self, record: Record) -> Tokens:
        return record.data


def example(i: int, **targets: float) -> Example:
    """A word of 2 to 7 letters, with its length, how many of them are the first letter, and what is known of few."""
    rng = torch.Generator().manual_seed(i)
    letters = torch.randint(1, 6, (2 + i % 6, 1), generator=rng)
    coords = torch.zeros(len(letters), 5)
    coords[:, 0] = torch.arange(len(letters))
    known = {
        "size": 1000.0 + len(letters),
        "ones": float((letters == 1).sum()),
        **({} if i % 3 else {"rare": float(i)}),
    }
    return Example(
        key=str(i), tokens={"toy": Tokens.of("toy", ids=letters, coords=coords)}, targets={**known, **targets}
    )


EXAMPLES = [example(i) for i in range(12)]


@pytest.fixture
def fresh() -> tuple[Sciformer, Describe]:
    torch.manual_seed(0)
    model, task = Sciformer(CONFIG, {"toy": Toy()}), Describe(CONFIG, "toy", NAMES)
    task.fit(EXAMPLES)
    return model, task


def answered(model: Sciformer, task: Describe, examples: list[Example], row: int = 0) -> torch.Tensor:
    with torch.no_grad():
        return task(model, task.pose(collate(examples, NAMES, row)))


def loss(task: Describe, answer: torch.Tensor, examples: list[Example]) -> torch.Tensor:
    return task.score(answer, task.pose(collate(examples, NAMES)))["loss"]


def test_numbers_of_a_few_records_are_memorised(fresh):
    model, task = fresh
    parameters = [*model.parameters(), *task.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=5e-3)
    problem = task.pose(collate(EXAMPLES, NAMES, row=16))
    for _ in range(200):
        optimizer.zero_grad()
        task.score(task(model, problem), problem)["loss"].backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
    assert loss(task, answered(model, task, EXAMPLES), EXAMPLES) < 0.01
    said = answered(model, task, EXAMPLES) * task.scale.std + task.scale.mean
    assert said[:, 0].round().tolist() == [e.targets["size"] for e in EXAMPLES]


def test_answers_are_the_same_alone_in_a_batch_and_packed(fresh):
    together = answered(*fresh, EXAMPLES)
    assert len(collate(EXAMPLES, row=64).tokens["toy"].sample) < 3
    assert_close(answered(*fresh, EXAMPLES, row=64), together, atol=1e-5, rtol=1e-5)
    for i, one in enumerate(EXAMPLES):
        assert_close(answered(*fresh, [one]), together[i : i + 1], atol=1e-5, rtol=1e-5)


def test_no_gradient_of_an_answer_reaches_other_records_of_its_row(fresh):
    model, task = fresh
    batch = collate(EXAMPLES[:4], NAMES, row=64)
    states = []

    def keep(module, given, out):
        out.retain_grad()
        states.append(out)

    model.embedders["toy"].register_forward_hook(keep)
    answer = task(model, task.pose(batch))
    answer[2].sum().backward()
    row, slot = batch.place[2].tolist()
    own = batch.tokens["toy"].sample[row] == slot
    felt = states[0].grad[row].abs().sum(-1) > 0
    assert torch.equal(felt, own)


def test_the_loss_is_the_mean_square_in_spreads_of_what_is_known(fresh):
    model, task = fresh
    answer = answered(model, task, EXAMPLES)
    mean, std = task.scale.mean, task.scale.std
    errors = [
        (answer[i, j] - (e.targets[name] - mean[j]) / std[j]) ** 2
        for i, e in enumerate(EXAMPLES)
        for j, name in enumerate(NAMES)
        if name in e.targets
    ]
    assert len(errors) == 2 * 12 + 4
    assert_close(loss(task, answer, EXAMPLES), torch.stack(errors).mean())


def test_what_is_unknown_teaches_nothing(fresh):
    model, task = fresh
    bare = [dataclasses.replace(e, targets={n: x for n, x in e.targets.items() if n != "rare"}) for e in EXAMPLES]
    loss(task, task(model, task.pose(collate(bare, NAMES))), bare).backward()
    told = task.readout.weight.grad.abs().sum(-1) > 0
    assert told.tolist() == [True, True, False]
    model.zero_grad()
    task.zero_grad()
    blank = [dataclasses.replace(e, targets={}) for e in EXAMPLES]
    nothing = loss(task, task(model, task.pose(collate(blank, NAMES))), blank)
    nothing.backward()
    assert nothing == 0
    assert not any(p.grad.any() for p in (*model.parameters(), *task.parameters()) if p.grad is not None)


def test_a_number_without_bounds_counts_as_six_spreads(fresh):
    model, task = fresh
    answer = answered(model, task, EXAMPLES)
    mean, std = task.scale.mean[0].item(), task.scale.std[0].item()
    for sign in (-1, 1):
        far, farther = (example(0, size=mean + sign * k * std) for k in (6.001, 1e6))
        assert torch.equal(loss(task, answer[:1], [far]), loss(task, answer[:1], [farther]))
        assert loss(task, answer[:1], [far]) > loss(task, answer[:1], [example(0, size=mean + sign * 5 * std)])


def test_a_record_need_not_be_the_sum_of_its_tokens():
    torch.manual_seed(0)
    task = Describe(CONFIG, "toy", NAMES, extensive=False)
    assert task.head.amount is None
    assert task.to_json() == {"name": "describe", "modality": "toy", "names": list(NAMES), "extensive": False}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda e: {**e.targets, "ones": 2.0}, "column 'ones' is always 2 in the training part"),
        (lambda e: {"size": e.targets["size"], "ones": e.targets["ones"]}, "column 'rare' has no known value"),
    ],
)
def test_a_number_that_teaches_nothing_is_refused(changed, message):
    examples = [dataclasses.replace(e, targets=changed(e)) for e in EXAMPLES]
    with pytest.raises(ValueError, match=message):
        Describe(CONFIG, "toy", NAMES).fit(examples)


def test_a_domain_without_numbers_is_refused():
    with pytest.raises(ValueError, match="records of the domain 'toy' have no descriptors to learn from"):
        Describe(CONFIG, "toy", [])
