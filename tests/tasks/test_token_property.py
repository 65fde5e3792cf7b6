"""Labels of residues are learned where they are known, and are never read."""

import dataclasses
from collections.abc import Sequence

import pytest
import torch
from torch.testing import assert_close

from sciformer.distributions import Categorical, Real
from sciformer.domains.protein.adapter import Protein
from sciformer.model import Sciformer, SciformerConfig
from sciformer.tasks.token_property import TokenProperty
from sciformer.tokens import Batch, Example, Tokens, collate

CONFIG = SciformerConfig(width=32, depth=2, heads=2, dropout=0.0)
STATES = {"state": ["C", "E", "H"], "buried": ["0", "1"], "exposure": []}
PROTEIN = Protein(labels=STATES)


@pytest.fixture
def examples(protein_samples) -> list[Example]:
    """Three proteins with classes, numbers and what is unknown of them."""
    sequences = ("MKTAYIAKQRQ", "GGSWAC", "ELVIS")
    made = [protein_samples.record(s, protein_samples.chains(s, seed=i)) for i, s in enumerate(sequences)]
    return [Example(key=r.key, tokens={"protein": PROTEIN.tokenize(r)}) for r in made]


def fresh(examples: Sequence[Example], family: str = "gaussian") -> tuple[Sciformer, TokenProperty]:
    torch.manual_seed(0)
    model, task = Sciformer(CONFIG, {"protein": PROTEIN}), TokenProperty(CONFIG, PROTEIN, family)  # type: ignore[arg-type]
    task.fit(examples)
    return model, task


def relabelled(batch: Batch, **changes: torch.Tensor) -> Batch:
    tokens = batch.tokens["protein"]
    return dataclasses.replace(batch, tokens={"protein": tokens.replace(**changes)})


def numbers(task: TokenProperty, model: Sciformer, batch: Batch) -> torch.Tensor:
    """All that is answered about every place of every row."""
    with torch.no_grad():
        said = task.predict(model, batch)
    return torch.cat([x.reshape(len(x), -1) for answer in said.values() for x in vars(answer).values()], dim=-1)


@pytest.mark.parametrize("family", ["gaussian", "quantile"])
def test_classes_and_numbers_of_a_few_proteins_are_memorised_together(examples, family):
    model, task = fresh(examples, family)
    batch = collate(examples, row=32)
    problem = task.pose(batch)
    parameters = [*model.parameters(), *task.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 120)
    for _ in range(120):
        optimizer.zero_grad()
        task.score(task(model, problem), problem)["loss"].backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        said = task.predict(model, batch)
    for target in PROTEIN.token_targets:
        known = problem.known[target.name]
        answer, truth = said[target.name], problem.truth[target.name][known]
        if target.classes:
            assert isinstance(answer, Categorical)
            assert answer.probs[known].gather(1, truth.long().unsqueeze(1)).min() > 0.9
        else:
            assert isinstance(answer, Real)
            assert (answer.mean[known] - truth).abs().max() < 0.2


def test_labels_cannot_change_the_answers(examples):
    model, task = fresh(examples)
    batch = collate(examples)
    tokens = batch.tokens["protein"]
    ids, values = tokens.ids.clone(), torch.randn(tokens.values.shape)
    ids[..., list(task.ids.values())] = 1
    other = relabelled(batch, ids=ids, values=values, observed=torch.ones_like(tokens.observed))
    none = relabelled(batch, ids=tokens.ids * (torch.arange(ids.shape[-1]) == 0), observed=tokens.observed & False)
    for labels in (other, none):
        assert torch.equal(numbers(task, model, labels), numbers(task, model, batch))
        assert torch.equal(model(labels.tokens).states, model(batch.tokens).states)


def test_the_loss_is_the_mean_over_what_is_known(examples):
    model, task = fresh(examples)
    batch = collate(examples)
    problem = task.pose(batch)
    answer, tokens = task(model, problem), batch.tokens["protein"]
    by_hand = []
    for name, j in task.ids.items():
        ids = tokens.ids[..., j].flatten()
        by_hand += [-answer[name].log_probs[i, ids[i] - 1] for i in range(len(ids)) if ids[i]]
    (j,) = task.values
    scaled = (tokens.values[..., j].flatten() - task.scale.mean) / task.scale.std
    by_hand += list(answer["exposure"].loss(scaled)[tokens.observed[..., j].flatten()])
    known = sum(int(x.sum()) for x in problem.known.values())
    assert 0 < known == len(by_hand) < 3 * 22
    assert_close(task.score(answer, problem)["loss"], torch.stack(by_hand).mean())


def test_what_stands_where_a_number_is_unknown_does_not_matter(examples):
    model, task = fresh(examples)
    batch = collate(examples)
    tokens = batch.tokens["protein"]
    wild = relabelled(batch, values=torch.where(tokens.observed, tokens.values, torch.nan))
    losses = [task.score(task(model, x), x)["loss"] for x in (task.pose(batch), task.pose(wild))]
    assert torch.equal(*losses)
    losses[1].backward()
    assert all(p.grad.isfinite().all() for p in task.parameters() if p.grad is not None)


def test_a_label_that_is_unknown_everywhere_teaches_nothing(examples):
    model, task = fresh(examples)
    batch = collate(examples)
    ids = batch.tokens["protein"].ids.clone()
    ids[..., task.ids["buried"]] = 0
    problem = task.pose(relabelled(batch, ids=ids))
    task.score(task(model, problem), problem)["loss"].backward()
    state, buried, exposure = task.head.out.weight.grad.split(task.sizes)
    assert state.any()
    assert exposure.any()
    assert not buried.any()


def test_a_batch_without_any_label_has_no_loss_and_no_gradient(examples):
    model, task = fresh(examples)
    tokens = collate(examples).tokens["protein"]
    blank = relabelled(collate(examples), ids=tokens.ids * (torch.arange(tokens.ids.shape[-1]) == 0))
    problem = task.pose(relabelled(blank, observed=torch.zeros_like(tokens.observed)))
    loss = task.score(task(model, problem), problem)["loss"]
    loss.backward()
    assert loss == 0
    assert not any(p.grad.any() for p in task.parameters() if p.grad is not None)


def test_padding_and_marks_of_begin_and_end_have_no_labels(examples):
    _, task = fresh(examples)
    tokens: Tokens = collate(examples).tokens["protein"]
    residue = torch.zeros(tokens.sample.shape, dtype=torch.bool)
    for row, example in zip(residue, examples, strict=True):
        row[1 : example.size - 1] = True
    for known in task.pose(collate(examples)).known.values():
        assert known.any()
        assert not known[~residue.flatten()].any()


def test_answers_are_the_same_padded_packed_and_alone(examples):
    model, task = fresh(examples)
    packed = collate(examples, row=64)
    assert len(packed.tokens["protein"].sample) == 1
    width, together = packed.tokens["protein"].size, numbers(task, model, packed)
    padded = numbers(task, model, collate(examples)).unflatten(0, (len(examples), -1))
    for i, example in enumerate(examples):
        alone = numbers(task, model, collate([example]))
        row, slot = packed.place[i].tolist()
        here = (packed.tokens["protein"].sample[row] == slot).nonzero().flatten() + row * width
        assert_close(together[here], alone, atol=1e-5, rtol=1e-5)
        assert_close(padded[i, : example.size], alone, atol=1e-5, rtol=1e-5)


def test_numbers_are_answered_in_their_own_unit(examples):
    model, task = fresh(examples)
    batch = collate(examples)
    plain = task.predict(model, batch)["exposure"]
    task.scale.mean += 7
    task.scale.std *= 3
    moved = task.predict(model, batch)["exposure"]
    mean, std = task.scale.mean - 7, task.scale.std / 3
    assert_close(moved.mean, (plain.mean - mean) * 3 + mean + 7)
    assert_close(moved.std, plain.std * 3)
    assert std > 0


@pytest.mark.parametrize(
    ("column", "message"),
    [("buried", "label 'buried' has no known value in the training part"), ("exposure", "'exposure' has no known")],
)
def test_a_label_that_training_never_shows_is_refused(examples, column, message):
    task, blank = TokenProperty(CONFIG, PROTEIN), []
    for example in examples:
        tokens = example.tokens["protein"]
        ids, observed = tokens.ids.clone(), tokens.observed
        if column in task.ids:
            ids[:, task.ids[column]] = 0
        else:
            observed = torch.zeros_like(observed)
        blank.append(dataclasses.replace(example, tokens={"protein": tokens.replace(ids=ids, observed=observed)}))
    with pytest.raises(ValueError, match=message):
        task.fit(blank)


def test_a_domain_without_labels_is_refused():
    with pytest.raises(ValueError, match="'protein' has no answers per token; name columns of labels"):
        TokenProperty(CONFIG, Protein())


def test_it_comes_back_from_its_description(examples):
    model, task = fresh(examples, "quantile")
    again = TokenProperty.from_json(CONFIG, task.to_json(), PROTEIN)
    again.load_state_dict(task.state_dict())
    batch = collate(examples)
    assert torch.equal(numbers(again.eval(), model, batch), numbers(task.eval(), model, batch))
    assert {t.name: len(vars(again.empty(t)).popitem()[1]) for t in again.answers} == dict.fromkeys(STATES, 0)
