"""Several tasks are learned by one model, each from batches of its own."""

import dataclasses
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import pytest
import torch

from sciformer.adapter import DomainAdapter, Record
from sciformer.model import Sciformer, SciformerConfig
from sciformer.tasks.describe import Describe
from sciformer.tasks.mixture import Mixture
from sciformer.tasks.reconstruct import Reconstruct
from sciformer.tokens import Axis, Batch, Category, Example, Schema, Tokens, Value, collate

CONFIG = SciformerConfig(width=32, depth=2, heads=2, dropout=0.0)
WORDS = Schema(ids=(Category("letter", 6),), axes=(Axis("order", "step", shortest=2.0, longest=100.0),))
HEIGHTS = Schema(values=(Value("height", "m"),), axes=(Axis("order", "step", shortest=2.0, longest=100.0),))


class Words(DomainAdapter):
    """Tokens are their own records."""

    name: ClassVar[str] = "words"

    @property
    def schema(self) -> Schema:
        return WORDS

    def read(self, source: Iterable[Record], **columns: Any) -> Iterator[Record]:
        return iter(source)

    def tokenize(self, record: Record) -> Tokens:
        return record.data


class Heights(Words):
    name: ClassVar[str] = "heights"

    @property
    def schema(self) -> Schema:
        return HEIGHTS


def example(domain: str, i: int) -> Example:
    """Letters of period 5, beginning anywhere, or heights that are those of the record; and the number of tokens."""
    n = 8 + i % 5
    place = torch.arange(n) + i
    coords = torch.zeros(n, 5)
    coords[:, 0] = torch.arange(n)
    columns = (
        {"ids": (place % 5 + 1)[:, None]} if domain == "words" else {"values": torch.full((n, 1), 100.0 * (i % 3))}
    )
    return Example(
        key=f"{domain}{i}", tokens={domain: Tokens.of(domain, coords=coords, **columns)}, targets={"n": float(n)}
    )


EXAMPLES = {domain: [example(domain, i) for i in range(8)] for domain in ("words", "heights")}
STREAMS = {"letters": "words", "sizes": "words", "heights": "heights"}


@pytest.fixture
def fresh() -> tuple[Sciformer, Mixture]:
    torch.manual_seed(0)
    model = Sciformer(CONFIG, {"words": Words(), "heights": Heights()})
    task = Mixture(
        {
            "letters": Reconstruct(CONFIG, WORDS, "words"),
            "sizes": Describe(CONFIG, "words", ["n"]),
            "heights": Reconstruct(CONFIG, HEIGHTS, "heights"),
        }
    )
    for stream, domain in STREAMS.items():
        task.of(stream).fit(EXAMPLES[domain])
    model.fit([e for part in EXAMPLES.values() for e in part])
    return model, task


def batch_of(stream: str) -> Batch:
    made = collate(EXAMPLES[STREAMS[stream]], ["n"] if stream == "sizes" else [], row=32)
    return dataclasses.replace(made, task=stream)


def scores(model: Sciformer, task: Mixture, stream: str, seed: int = 1) -> dict[str, torch.Tensor]:
    problem = task.pose(batch_of(stream), torch.Generator().manual_seed(seed))
    return dict(task.score(task(model, problem), problem))


def test_tasks_of_two_domains_are_learned_by_turns(fresh):
    model, task = fresh
    parameters = [*model.parameters(), *task.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 360)
    for step in range(360):
        optimizer.zero_grad()
        scores(model, task, list(STREAMS)[step % 3], step)["loss"].backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        found = {name: x for stream in STREAMS for name, x in scores(model, task, stream, 10_000).items()}
    assert found["letters.accuracy"] > 0.95
    assert found["sizes.loss"] < 0.05
    problem = task.pose(batch_of("heights"), torch.Generator().manual_seed(10_000))
    with torch.no_grad():
        said = task(model, problem)["height"].mean * task.of("heights").scale.std + task.of("heights").scale.mean
    hidden = problem.known["values"].flatten()
    assert (said - problem.truth["values"].flatten())[hidden].abs().max() < 25


def test_scores_are_those_of_the_task_under_its_name(fresh):
    model, task = fresh
    for stream in STREAMS:
        single = task.of(stream)
        problem = single.pose(batch_of(stream), torch.Generator().manual_seed(1))
        expected = single.score(single(model, problem), problem)
        found = scores(model, task, stream)
        assert found.keys() == {"loss", *(f"{stream}.{name}" for name in expected)}
        assert found["loss"] == expected["loss"] == found[f"{stream}.loss"]
        assert all(torch.equal(found[f"{stream}.{name}"], x) for name, x in expected.items())


def test_a_batch_moves_its_own_task_alone(fresh):
    model, task = fresh
    scores(model, task, "letters")["loss"].backward()
    moved = {name for name, p in task.named_parameters() if p.grad is not None and p.grad.any()}
    assert moved
    assert all(name.startswith("tasks.letters.") for name in moved)
    assert all(p.grad is None for p in model.embedders["heights"].parameters())


def test_it_tells_all_tasks_and_their_answers(fresh):
    _, task = fresh
    assert [target.name for target in task.answers] == ["n", "height"]
    assert task.to_json()["name"] == "mixture"
    assert list(task.to_json()["tasks"]) == list(STREAMS)
    assert task.to_json()["tasks"]["letters"] == task.of("letters").to_json()


def test_tasks_are_fitted_to_their_own_examples(fresh):
    with pytest.raises(ValueError, match="fitted one by one, each to its own examples"):
        fresh[1].fit(EXAMPLES["words"])


def test_a_batch_of_no_task_is_refused(fresh):
    with pytest.raises(KeyError, match="masked"):
        fresh[1].pose(dataclasses.replace(batch_of("letters"), task="masked"))
