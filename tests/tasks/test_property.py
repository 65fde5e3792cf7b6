"""Every kind of answer can be learned: eight molecules are memorised to near zero."""

import dataclasses
from collections.abc import Mapping

import pytest
import torch

from sciformer.distributions import Categorical, Distribution, Real
from sciformer.domains.molecule import adapter as Molecule
from sciformer.model import Sciformer, SciformerConfig
from sciformer.optim import warmup_cosine
from sciformer.tasks.property import Family, Property
from sciformer.tokens import Batch, Example, Target, collate

CONFIG = SciformerConfig(width=32, depth=2, heads=2, dropout=0.0)
STEPS = 300
SMILES = ("CCO", "c1ccccc1", "CC(=O)O", "CCN", "C1CCCCC1", "CC(C)=O", "c1ccncc1O", "CCCCCl")
NUMBERS = (-0.8, 2.1, 0.6, 1.1, -3.2, 0.1, 4.0, -2.4)
COLOURS = ("blue", "green", "red")

REGRESSION = Target("y", "regression", "kJ/mol")
BINARY = Target("y", "binary", classes=("no", "yes"))
MULTICLASS = Target("y", "multiclass", classes=COLOURS)


def _batch(*targets: Target) -> tuple[Batch, list[Example]]:
    molecule = Molecule()
    examples = []
    for i, record in enumerate(molecule.read(list(SMILES))):
        known = {t.name: NUMBERS[i] if not t.classes else float(i * 5 % 7 % len(t.classes)) for t in targets}
        examples.append(Example(key=record.key, tokens={"molecule": molecule.tokenize(record)}, targets=known))
    return collate(examples, [t.name for t in targets], row=64), examples


def _learn(target: Target, family: Family, batch: Batch, examples: list[Example]) -> Mapping[str, Distribution]:
    torch.manual_seed(0)
    model, task = Sciformer(CONFIG, {"molecule": Molecule()}), Property(CONFIG, [target], family)
    task.fit(examples)
    optimizer = torch.optim.AdamW([*model.parameters(), *task.parameters()], lr=3e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warmup_cosine(step, STEPS, 0.05))
    problem = task.pose(batch)
    for _ in range(STEPS):
        optimizer.zero_grad()
        task.score(task(model, problem), problem)["loss"].backward()
        torch.nn.utils.clip_grad_norm_([*model.parameters(), *task.parameters()], 1.0)
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        return task.predict(model, batch)


@pytest.mark.parametrize("family", ["gaussian", "quantile"])
def test_eight_numbers_are_memorised_in_their_unit(family):
    batch, examples = _batch(REGRESSION)
    answer = _learn(REGRESSION, family, batch, examples)["y"]
    assert isinstance(answer, Real)
    assert (answer.mean - batch.targets["y"]).abs().max() < 0.1
    lower, upper = answer.interval(0.9)
    assert (upper - lower).max() < 0.5  # and the model knows that it knows


@pytest.mark.parametrize("target", [BINARY, MULTICLASS], ids=["binary", "multiclass"])
def test_eight_classes_are_memorised(target):
    batch, examples = _batch(target)
    answer = _learn(target, "gaussian", batch, examples)["y"]
    assert isinstance(answer, Categorical)
    truth = batch.targets["y"].long()
    assert len(truth.unique()) == len(target.classes)
    assert answer.probs[torch.arange(8), truth].min() > 0.95


def test_an_unknown_label_teaches_nothing():
    targets = [REGRESSION, dataclasses.replace(BINARY, name="active")]
    batch, examples = _batch(*targets)
    known = {**batch.known, "active": torch.zeros(8, dtype=torch.bool)}
    task = Property(CONFIG, targets)
    task.fit(examples)
    torch.manual_seed(0)
    model = Sciformer(CONFIG, {"molecule": Molecule()})
    problem = task.pose(dataclasses.replace(batch, known=known))
    task.score(task(model, problem), problem)["loss"].backward()
    taught = [sum(float(p.grad.abs().sum()) for p in readout.parameters()) for readout in task.readouts]  # pyright: ignore
    assert taught[0] > 0
    assert taught[1] == 0


def test_balance_answers_as_if_classes_were_alike():
    """Where nothing tells the classes apart, answers are their frequencies; balanced, they are even."""
    _, examples = _batch(BINARY)
    rare = [dataclasses.replace(examples[0], targets={"y": float(i == 0)}) for i in range(8)]
    batch, said = collate(rare, ["y"]), {}
    for balance in (0.0, 1.0):
        torch.manual_seed(0)
        model, task = Sciformer(CONFIG, {"molecule": Molecule()}), Property(CONFIG, [BINARY], balance=balance)
        task.fit(rare)
        optimizer = torch.optim.AdamW([*model.parameters(), *task.parameters()], lr=3e-3)
        problem = task.pose(batch)
        for _ in range(100):
            optimizer.zero_grad()
            task.score(task(model, problem), problem)["loss"].backward()
            optimizer.step()
        answer = task.predict(model, batch)["y"]
        assert isinstance(answer, Categorical)
        said[balance] = float(answer.probs[0, 1].detach())
    assert said[0.0] == pytest.approx(1 / 8, abs=0.03)
    assert said[1.0] == pytest.approx(1 / 2, abs=0.08)
    with pytest.raises(ValueError, match="balance must lie in 0"):
        Property(CONFIG, [BINARY], balance=2.0)
