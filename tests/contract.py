"""The laws that every domain obeys, each written once; ``test_contract.py`` runs them.

A law of ``RECORD_LAWS`` takes the adapter and one record. A law of ``MODEL_LAWS`` takes a ``Case`` and
hypothesis's ``draw``, with which it chooses the records and whatever else is arbitrary. The models are small,
random and never trained: a law that needs a trained model is none.
"""

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close

from sciformer.adapter import DomainAdapter, Record
from sciformer.checkpoint import load_checkpoint, load_strict, save_checkpoint
from sciformer.discovery import from_json, to_json
from sciformer.model import Sciformer, SciformerConfig
from sciformer.nn.embed import PairBias
from sciformer.nn.scale import Standardizer
from sciformer.tasks.property import Property
from sciformer.tokens import AXES, Batch, Example, Target, Tokens, collate, pack

CONFIG = SciformerConfig(width=32, depth=2, heads=2, expansion=2.0)
TARGETS = (
    Target("energy", unit="eV"),
    Target("toxic", "binary", classes=("no", "yes")),
    Target("phase", "multiclass", classes=("solid", "liquid", "gas")),
)
SHIFTED = {"translation": ("x", "y", "z"), "time_shift": ("time",), "shift": ("order",)}
"""The axes along which a declared symmetry may move a whole record."""
FEW = st.integers(0, 2**31 - 1)

Draw = Callable[[st.SearchStrategy], Any]


@dataclass(frozen=True)
class Case:
    """A domain with its sample records as tokens, and a random model that reads them."""

    adapter: DomainAdapter
    rows: tuple[Tokens, ...]
    model: Sciformer
    task: Property

    @classmethod
    def of(cls, adapter: DomainAdapter, records: Sequence[Record]) -> "Case":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model, task = Sciformer(CONFIG, {adapter.name: adapter}), Property(CONFIG, TARGETS)
            for module in nn.ModuleList([model, task]).modules():
                _unlearn(module)
        return cls(adapter, tuple(map(adapter.tokenize, records)), model.eval(), task.eval())

    def batch(self, rows: Sequence[Tokens], capacity: int = 0) -> Batch:
        """The rows, padded; or packed into rows of ``capacity`` tokens."""
        examples = [Example(key=str(i), tokens={self.adapter.name: row}) for i, row in enumerate(rows)]
        return collate(examples, row=capacity)

    def but(self, batch: Batch, tokens: Tokens) -> Batch:
        return dataclasses.replace(batch, tokens={self.adapter.name: tokens})

    def tokens(self, batch: Batch) -> Tokens:
        return batch.tokens[self.adapter.name]

    def states(self, batch: Batch) -> Tensor:
        with torch.no_grad():
            return self.model(batch.tokens).states

    def answers(self, batch: Batch) -> Tensor:
        return answers(self.model, self.task, batch)


def answers(model: Sciformer, task: Property, batch: Batch) -> Tensor:
    """All numbers that the property task says about each record, in one tensor ``[r, numbers]``."""
    with torch.no_grad():
        said = task.predict(model, batch)
    return torch.cat([x.reshape(len(batch), -1) for answer in said.values() for x in vars(answer).values()], dim=-1)


def _unlearn(module: nn.Module) -> None:
    """Random instead of neutral: what starts at zero would hide a broken law."""
    if isinstance(module, PairBias):
        for table in module.tables:
            nn.init.normal_(table.weight)
    if isinstance(module, Standardizer):
        module.mean.normal_()
        module.std.uniform_(0.5, 2.0)
        module.fitted.fill_(True)


def close(got: Tensor, expected: Tensor) -> None:
    assert expected.isfinite().all()
    assert_close(got, expected, rtol=1e-4, atol=5e-5)


# --- choices -----------------------------------------------------------------------------------------------


def some(case: Case, draw: Draw) -> list[Tokens]:
    """Two to four different records in any order."""
    count = len(case.rows)
    chosen = draw(st.lists(st.integers(0, count - 1), min_size=2, max_size=min(4, count), unique=True))
    return [case.rows[i] for i in chosen]


def one(case: Case, draw: Draw) -> Tokens:
    return case.rows[draw(st.integers(0, len(case.rows) - 1))]


def subset(tokens: Tokens, draw: Draw) -> Tensor:
    """Any choice of tokens of a batch; padding may be among them."""
    return torch.rand(tokens.sample.shape, generator=torch.Generator().manual_seed(draw(FEW))) < 0.5


def scrambled(case: Case, tokens: Tokens, where: Tensor, draw: Draw, *, place: bool) -> Tokens:
    """Other content, and with ``place`` also other coordinates and pairs, at the chosen tokens."""
    rng = torch.Generator().manual_seed(draw(FEW))
    schema, content = case.adapter.schema, where.unsqueeze(-1)

    def ids(like: Tensor, columns: Sequence[Any]) -> Tensor:
        drawn = [torch.randint(column.size, like.shape[:-1], generator=rng) for column in columns]
        return torch.stack(drawn, -1).to(like.dtype) if drawn else like

    observed = torch.rand(tokens.values.shape, generator=rng) < 0.5
    changed = tokens.replace(
        ids=torch.where(content, ids(tokens.ids, schema.ids), tokens.ids),
        values=torch.where(content, torch.randn(tokens.values.shape, generator=rng), tokens.values),
        observed=torch.where(content, observed, tokens.observed),
    )
    if not place:
        return changed
    pair = tokens.pair
    if pair is not None:
        touched = (content | where.unsqueeze(-2)).unsqueeze(-1)
        pair = torch.where(touched, ids(pair, schema.pairs), pair)
    coords = torch.randn(tokens.coords.shape, generator=rng)
    return changed.replace(coords=torch.where(content, coords, tokens.coords), pair=pair)


def permuted(tokens: Tokens, order: Tensor) -> Tokens:
    """Unbatched tokens in another order."""
    columns = {name: getattr(tokens, name)[order] for name in ("ids", "values", "observed", "coords", "sample")}
    pair = None if tokens.pair is None else tokens.pair[order][:, order]
    return tokens.replace(**columns, pair=pair)


# --- laws of one record --------------------------------------------------------------------------------------


def tokens_fit_the_schema(adapter: DomainAdapter, record: Record) -> None:
    tokens = adapter.tokenize(record)
    adapter.schema.check(tokens)
    assert tokens.modality == adapter.name
    assert tokens.size > 0
    assert tokens.exists.all()
    assert (tokens.sample == 0).all()
    assert tokens.values.isfinite().all()
    assert not tokens.values[~tokens.observed].any()
    assert tokens.coords.isfinite().all()


def only_declared_axes_are_used(adapter: DomainAdapter, record: Record) -> None:
    used = {AXES[j] for j in adapter.tokenize(record).coords.any(0).nonzero().flatten().tolist()}
    assert used <= {axis.name for axis in adapter.schema.axes}


def tokenising_twice_gives_the_same(adapter: DomainAdapter, record: Record) -> None:
    assert_same(adapter.tokenize(record), adapter.tokenize(record))


def an_adapter_comes_back_from_json(adapter: DomainAdapter, record: Record) -> None:
    again = from_json(json.loads(json.dumps(to_json(adapter))))
    assert again == adapter
    assert again.schema == adapter.schema
    assert_same(again.tokenize(record), adapter.tokenize(record))


def every_token_has_a_name(adapter: DomainAdapter, record: Record) -> None:
    assert len(adapter.token_names(record)) == adapter.tokenize(record).size


def assert_same(left: Tokens, right: Tokens) -> None:
    for name, x in vars(left).items():
        other = getattr(right, name)
        assert torch.equal(x, other) if isinstance(x, Tensor) else x == other, name


# --- laws of a model that reads the domain ---------------------------------------------------------------------


def alone_equals_in_a_batch(case: Case, draw: Draw) -> None:
    rows = some(case, draw)
    batch = case.batch(rows)
    together, states = case.answers(batch), case.states(batch)
    for i, row in enumerate(rows):
        close(together[i], case.answers(case.batch([row]))[0])
        close(states[i, : row.size], case.states(case.batch([row]))[0])


def padding_changes_nothing(case: Case, draw: Draw) -> None:
    rows = some(case, draw)
    batch = case.batch(rows)
    n = case.tokens(batch).size
    nothing = pack([max(rows, key=lambda row: row.size)] * 2)
    longer = case.batch([*rows, nothing.keep(torch.zeros(nothing.size, dtype=torch.bool))])
    assert case.tokens(longer).size > n
    close(case.answers(longer)[:-1], case.answers(batch))
    close(case.states(longer)[:-1, :n][case.tokens(batch).exists], case.states(batch)[case.tokens(batch).exists])


def packed_equals_unpacked(case: Case, draw: Draw) -> None:
    rows = some(case, draw)
    capacity = draw(st.integers(1, sum(row.size for row in rows)))
    close(case.answers(case.batch(rows, capacity)), case.answers(case.batch(rows)))
    alone = torch.cat([case.states(case.batch([row]))[0] for row in rows])
    close(case.states(case.batch([pack(rows)]))[0], alone)


def no_gradient_crosses_samples(case: Case, draw: Draw) -> None:
    first, second = some(case, draw)[:2]
    embedded: list[Tensor] = []

    def leaf(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        embedded.append(output.detach().requires_grad_())
        return embedded[-1]

    with case.model.embedders[case.adapter.name].register_forward_hook(leaf):
        states = case.model(case.batch([pack([first, second])]).tokens).states
    weights = torch.randn(first.size, CONFIG.width, generator=torch.Generator().manual_seed(draw(FEW)))
    (gradient,) = torch.autograd.grad((states[0, : first.size] * weights).sum(), embedded)
    assert gradient[0, : first.size].any()
    assert not gradient[0, first.size :].any()


def hidden_content_cannot_change_answers(case: Case, draw: Draw) -> None:
    batch = case.batch(some(case, draw))
    tokens = case.tokens(batch)
    where = subset(tokens, draw)
    other = scrambled(case, tokens, where, draw, place=False)
    assert torch.equal(
        case.answers(case.but(batch, other.hide(where))), case.answers(case.but(batch, tokens.hide(where)))
    )


def what_is_not_kept_cannot_change_answers(case: Case, draw: Draw) -> None:
    """Not even by its place."""
    batch = case.batch(some(case, draw))
    tokens = case.tokens(batch)
    where = subset(tokens, draw)
    other = scrambled(case, tokens, ~where, draw, place=True)
    assert torch.equal(
        case.answers(case.but(batch, other.keep(where))), case.answers(case.but(batch, tokens.keep(where)))
    )


def keeping_equals_cutting_out(case: Case, draw: Draw) -> None:
    row = one(case, draw)
    where = subset(row, draw)
    where[draw(st.integers(0, row.size - 1))] = True
    cut = permuted(row, where.nonzero().flatten())
    close(case.answers(case.batch([row.keep(where)])), case.answers(case.batch([cut])))


def declared_symmetries_hold(case: Case, draw: Draw) -> None:
    batch = case.batch([row := one(case, draw)])
    for symmetry in case.adapter.symmetries:
        order, moved = transformed(row, symmetry, draw)
        close(case.answers(case.batch([moved])), case.answers(batch))
        close(case.states(case.batch([moved]))[0], case.states(batch)[0, order])


def transformed(tokens: Tokens, symmetry: str, draw: Draw) -> tuple[Tensor, Tokens]:
    """Where each token comes from, and the tokens that should mean the same."""
    order = torch.arange(tokens.size)
    if symmetry == "permutation":
        order = torch.tensor(draw(st.permutations(range(tokens.size))))
        return order, permuted(tokens, order)
    step = torch.zeros(len(AXES))
    for name in SHIFTED[symmetry]:
        step[AXES.index(name)] = draw(st.floats(-20, 20, width=32))
    return order, tokens.replace(coords=tokens.coords + step)


def attention_is_shared_among_existing_tokens(case: Case, draw: Draw) -> None:
    batch = case.batch(some(case, draw))
    exists = case.tokens(batch).exists
    with torch.no_grad():
        asked, own = case.task.attention(case.model, batch), case.model.attention(batch.tokens)
    own = own.permute(1, 3, 4, 0, 2)  # b n n depth h
    for weights in (asked.transpose(1, 2).unsqueeze(1), own):
        assert (weights >= 0).all()
        queries = exists if weights is own else exists.new_ones(len(batch), 1)
        assert not weights[queries.unsqueeze(2) & ~exists.unsqueeze(1)].any()
        total = weights.sum(2)[queries]
        assert_close(total, torch.ones_like(total))


def an_empty_record_is_answered_without_nan(case: Case, draw: Draw) -> None:
    """And does not disturb its neighbours."""
    batch = case.batch(some(case, draw))
    where = case.tokens(batch).exists.clone()
    where[0] = False
    found = case.answers(case.but(batch, case.tokens(batch).keep(where)))
    assert found.isfinite().all()
    close(found[1:], case.answers(batch)[1:])


def a_checkpoint_gives_the_same_bits(case: Case, draw: Draw) -> None:
    batch = case.batch(some(case, draw))
    weights = nn.ModuleDict({"model": case.model, "task": case.task}).state_dict()
    config = {"adapter": to_json(case.adapter), "task": case.task.to_json()}
    with TemporaryDirectory() as folder:
        save_checkpoint(Path(folder, "saved"), config=config, weights=weights, calibration={}, card="")
        saved = load_checkpoint(Path(folder, "saved"))
    adapter = from_json(saved.config["adapter"])
    model, task = Sciformer(CONFIG, {adapter.name: adapter}), Property.from_json(CONFIG, saved.config["task"])
    load_strict(nn.ModuleDict({"model": model, "task": task}).eval(), saved.weights)
    assert torch.equal(answers(model, task, batch), case.answers(batch))


RECORD_LAWS = (
    tokens_fit_the_schema,
    only_declared_axes_are_used,
    tokenising_twice_gives_the_same,
    an_adapter_comes_back_from_json,
    every_token_has_a_name,
)
MODEL_LAWS = (
    alone_equals_in_a_batch,
    padding_changes_nothing,
    packed_equals_unpacked,
    no_gradient_crosses_samples,
    hidden_content_cannot_change_answers,
    what_is_not_kept_cannot_change_answers,
    keeping_equals_cutting_out,
    declared_symmetries_hold,
    attention_is_shared_among_existing_tokens,
    an_empty_record_is_answered_without_nan,
    a_checkpoint_gives_the_same_bits,
)
