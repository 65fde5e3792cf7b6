"""Weights of a checkpoint into a model for other data: what is known goes where it belongs, by name and never by place.

Blocks must be the same. Categories and values are found by their names, in whatever order the data have them: a column
that the checkpoint has never met starts at random, a label of a known column (a band, a variable) must be told what it
is called there, and a value in another unit is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from sciformer.adapter import DomainAdapter
from sciformer.ensemble import Member
from sciformer.foundation import Foundation
from sciformer.nn.embed import ColumnEmbedder, Waves
from sciformer.tasks.base import Task
from sciformer.tasks.describe import Describe
from sciformer.tasks.forecast import Forecast
from sciformer.tasks.property import Property
from sciformer.tokens import Category, Value

ALL = "*"
"""In place of a label: all that the checkpoint does not know."""

Rows = list[tuple[int, int]]
"""Pairs of a row of the new table and the row of the saved one that it takes."""


@dataclass
class TransferReport:
    """What became of every weight: ``loaded`` or ``fresh`` in the new model, or ``unused`` of the old one."""

    loaded: dict[str, int] = field(default_factory=dict)
    fresh: dict[str, int] = field(default_factory=dict)
    unused: dict[str, int] = field(default_factory=dict)
    """Numbers of weights by the part of the model that they are in."""
    new: frozenset[str] = frozenset()
    """Names of the tensors of the new model that start at random, in whole or in part."""

    def to_json(self) -> dict[str, dict[str, int]]:
        return {"loaded": self.loaded, "fresh": self.fresh, "unused": self.unused}

    def lines(self) -> list[str]:
        told = {"loaded": self.loaded, "starting at random": self.fresh, "not used": self.unused}
        return [f"{what}: {_counted(parts)}" for what, parts in told.items() if parts]


def _counted(parts: Mapping[str, int]) -> str:
    return ", ".join(f"{part} ({count:,} weights)" for part, count in parts.items())


def transfer(
    foundation: Foundation, member: Member[Task], adapter: DomainAdapter, labels: Mapping[str, str] | None = None
) -> TransferReport:
    """Fill a model with what a checkpoint knows. ``labels`` says what labels of the data are called there; "" lets one
    start at random.

    Scales of columns that both have become those of the checkpoint, so that a value means the same to it.
    Raises ``ValueError`` for a backbone of another shape, a label that the checkpoint does not know and that ``labels``
    does not name, and a column in another unit or of another size; the model is then untouched.
    """
    columns = _Columns(adapter, foundation.adapters[adapter.name], labels or {})
    source, filling = foundation.model.state_dict(), _Filling()
    for name, own in member.model.state_dict().items():
        if name in source:
            rows, dim = columns.rows(name, member.model, foundation.model), columns.dim(name)
            value, known = _taken(name, own, source[name], rows, dim)
            filling.take(f"model.{name}", value, f"model.{name}", _numbers(source[name], rows, dim), known)
    _task(filling, member.task, foundation.objectives_of(adapter.name), foundation)
    state = member.state_dict()
    state.update({name: value.to(state[name].dtype) for name, value in filling.values.items()})
    member.load_state_dict(state)
    return _report(member, foundation, filling)


@dataclass
class _Filling:
    """What a new model takes from a checkpoint."""

    values: dict[str, Tensor] = field(default_factory=dict)
    """By the name of a weight of the new model."""
    loaded: dict[str, int] = field(default_factory=dict)
    """How many numbers of it are from the checkpoint."""
    used: dict[str, int] = field(default_factory=dict)
    """By the name of a weight of the checkpoint, how many of its numbers are taken."""

    def take(self, name: str, value: Tensor, saved: str, numbers: int, known: Tensor | None = None) -> None:
        """``value`` for a weight, with ``numbers`` of the weight that is called ``saved`` in the checkpoint; ``known``
        says which of the value are from there, where not all are."""
        self.values[name], self.used[saved] = value, numbers
        self.loaded[name] = value.numel() if known is None else int(known.sum())


def _taken(name: str, own: Tensor, saved: Tensor, rows: Rows | None, dim: int) -> tuple[Tensor, Tensor]:
    """A tensor with the rows that the checkpoint knows, and where they are; all of it where ``rows`` is None."""
    sides = range(own.ndim) if rows is None else [side for side in range(own.ndim) if side != dim]
    if any(own.shape[side] != saved.shape[side] for side in sides):
        raise ValueError(
            f"the weights {name} are {tuple(saved.shape)} in the checkpoint and {tuple(own.shape)} in the model: "
            "give the model the shape of the checkpoint"
        )
    if rows is None:
        return saved.to(own.dtype), torch.ones_like(own, dtype=torch.bool)
    value, known = own.clone(), torch.zeros_like(own, dtype=torch.bool)
    if rows:
        here, there = (torch.tensor(places) for places in zip(*rows, strict=True))
        value.index_copy_(dim, here, saved.index_select(dim, there).to(own.dtype))
        known.index_fill_(dim, here, True)
    return value, known


def _numbers(saved: Tensor, rows: Rows | None, dim: int) -> int:
    """How many numbers of a tensor of the checkpoint are taken; a row that several labels take counts once."""
    if rows is None:
        return saved.numel()
    return len({place for _, place in rows}) * saved.numel() // max(1, saved.shape[dim])


@dataclass(frozen=True)
class _Columns:
    """How the columns of two schemas of one domain correspond."""

    own: DomainAdapter
    saved: DomainAdapter
    labels: Mapping[str, str]

    def dim(self, name: str) -> int:
        """Along which the categories of a table lie: the census has them as columns."""
        return 1 if name.startswith("pair_censuses.") else 0

    def rows(self, name: str, own: nn.Module, saved: nn.Module) -> Rows | None:
        """Of a weight of the model; None where it is taken as a whole."""
        domain = self.own.name
        if name.startswith(("pair_biases.", "pair_censuses.")):
            place = int(name.split(".")[3])
            pairs = self._categories(self.own.schema.pairs[place], self.saved.schema.pairs[place])
            return pairs if name.startswith("pair_biases.") else [(i - 1, j - 1) for i, j in pairs if i]
        embedder = own.get_submodule(f"embedders.{domain}")
        if not name.startswith(f"embedders.{domain}.") or not isinstance(embedder, ColumnEmbedder):
            return None
        there = saved.get_submodule(f"embedders.{domain}")
        assert isinstance(there, ColumnEmbedder)  # one domain has one kind of embedder
        return self._embedder_rows(name.removeprefix(f"embedders.{domain}."), embedder, there)

    def _embedder_rows(self, name: str, own: ColumnEmbedder, saved: ColumnEmbedder) -> Rows | None:
        if name == "ids.weight":
            return self._table_rows(own, saved)
        here, there = own.scale.columns, saved.scale.columns
        if name in ("value", "missing", "scale.mean", "scale.std"):
            return self._values(here, there)
        if name == "spread":
            return self._values([here[j] for j in own.own.tolist()], [there[j] for j in saved.own.tolist()])
        if name.startswith("waves."):
            pairs = self._values([here[j] for j in own.wavy], [there[j] for j in saved.wavy])
            size = 1 if name == "waves.frequency" else 2 * Waves.FREQUENCIES
            return [(i * size + k, j * size + k) for i, j in pairs for k in range(size)]
        return None

    def _table_rows(self, own: ColumnEmbedder, saved: ColumnEmbedder) -> Rows:
        """Of the table in which all categories lie one below the other."""
        starts = dict(zip((self.saved.schema.ids[j].name for j in saved.seen), saved.offsets.tolist(), strict=True))
        known = {column.name: column for column in self.saved.schema.ids}
        rows: Rows = []
        for j, start in zip(own.seen, own.offsets.tolist(), strict=True):
            column = self.own.schema.ids[j]
            if column.name in starts:
                pairs = self._categories(column, known[column.name])
                rows += [(start + i, starts[column.name] + k) for i, k in pairs]
        return rows

    def _categories(self, own: Category, saved: Category) -> Rows:
        """Ids by their labels; 0, hidden, is 0."""
        if not own.labels or not saved.labels:
            if own.size != saved.size:
                raise ValueError(
                    f"column {own.name!r} has {own.size - 1} categories without names and the checkpoint "
                    f"{saved.size - 1}: they are not the same, and nothing says which is which"
                )
            return [(i, i) for i in range(own.size)]
        places = {label: i for i, label in enumerate(saved.labels, 1)}
        rest = self.labels.get(ALL)
        called = {x: self.labels.get(x, x if rest is None or x in places else rest) for x in own.labels}
        if strange := [label for label in own.labels if called[label] and called[label] not in places]:
            raise ValueError(
                f"{own.name} {', '.join(map(repr, strange))} of the data is unknown to the checkpoint, which knows "
                f"{', '.join(saved.labels)}: say what it is called there, as in --start.labels.{strange[0]} "
                f"{saved.labels[0]}, or let it start at random with --start.labels.{strange[0]} '', or all that are "
                f"unknown with '--start.labels.{ALL}' ''"
            )
        return [(0, 0), *((i, places[called[label]]) for i, label in enumerate(own.labels, 1) if called[label])]

    def _values(self, own: Sequence[Value], saved: Sequence[Value]) -> Rows:
        places = {column.name: j for j, column in enumerate(saved)}
        free = {column.name for column in own if column.scale == "per_sample"}
        for column in own:
            if {column.name, column.error_of, column.guess_of} & free:
                continue  # in spreads of its own record, a unit is divided out
            if column.name in places and column.unit != saved[places[column.name]].unit:
                raise ValueError(
                    f"{column.name!r} is in {column.unit or 'no unit'!r} and was in "
                    f"{saved[places[column.name]].unit or 'no unit'!r} when the checkpoint was trained: convert it"
                )
        return [(i, places[column.name]) for i, column in enumerate(own) if column.name in places]


def _task(filling: _Filling, task: Task, objectives: Sequence[Task], foundation: Foundation) -> None:
    """What the head of a task can take from an objective of pretraining: the first whose head is of the same shape. Its
    last layer is taken only where both answer the same."""
    own = task.state_dict()
    wanted = [name for name in own if name.startswith(("head.", "heads.")) and not name.startswith("head.out.")]
    for objective in objectives:
        weights = objective.state_dict()
        if not wanted or any(name not in weights or weights[name].shape != own[name].shape for name in wanted):
            continue
        stream = next(name for name, known in foundation.objectives.items() if known is objective)
        there = f"objectives.{stream}."
        if isinstance(objective, Forecast) and isinstance(task, Forecast) and _answer_alike(task, objective):
            wanted += [name for name in own if name.startswith("readout.")]
        for name in wanted:
            filling.take(f"task.{name}", weights[name], f"{there}{name}", weights[name].numel())
        if isinstance(objective, Describe) and isinstance(task, Property):
            asked = weights["questions"]
            filling.take("task.questions", own["questions"] + asked, f"{there}questions", asked.numel())
        elif isinstance(objective, Property) and isinstance(task, Property):
            _answers(filling, task, objective, there)
        return


def _answer_alike(task: Forecast, objective: Forecast) -> bool:
    """Answers are in spreads around a guess, whatever is measured: that of as many steps at once goes on."""
    return task.family == objective.family and task.readout.weight.shape == objective.readout.weight.shape


def _answers(filling: _Filling, task: Property, objective: Property, there: str) -> None:
    """The questions and readouts of targets that both answer in the same unit."""
    questions, asked = task.questions.detach().clone(), objective.questions.detach()
    known = torch.zeros_like(questions, dtype=torch.bool)
    for i, target in enumerate(task.targets):
        if target in objective.targets and task.family == objective.family:
            j = objective.targets.index(target)
            questions[i], known[i] = asked[j], True
            for part, x in objective.readouts[j].state_dict().items():
                filling.take(f"task.readouts.{i}.{part}", x, f"{there}readouts.{j}.{part}", x.numel())
    if known.any():
        filling.take("task.questions", questions, f"{there}questions", int(known.sum()), known)


def _report(member: Member[Task], foundation: Foundation, filling: _Filling) -> TransferReport:
    left = {name: x.numel() - filling.loaded.get(name, 0) for name, x in member.named_parameters()}
    report = TransferReport(new=frozenset(name for name, count in left.items() if count))
    for name, count in left.items():
        _add(report.loaded, name, filling.loaded.get(name, 0))
        _add(report.fresh, name, count)
    for name, x in foundation.named_parameters():
        _add(report.unused, name, x.numel() - filling.used.get(name, 0))
    return report


def _add(parts: dict[str, int], name: str, count: int) -> None:
    """Counted under the part of the model that people speak of."""
    words = name.split(".")
    part = {"blocks": "blocks", "norm": "last norm", "embedders": "embedder", "objectives": "objective"}.get(
        words[1] if words[0] == "model" else words[0], "pairs" if words[0] == "model" else f"task {words[1]}"
    )
    if part in ("embedder", "objective"):
        part = f"{part} {words[2] if part == 'embedder' else words[1]}"
    if count:
        parts[part] = parts.get(part, 0) + count
