"""The analysis-code interface: a checkpoint becomes an object that answers tables with tables.

Nothing global is touched: no seed, no logging, no thread count.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from torch import nn

from sciformer import adapter as adapters
from sciformer import calibration
from sciformer.adapter import DomainAdapter, Record
from sciformer.checkpoint import (
    MODEL_LIMITS,
    SCHEMA_VERSION,
    Checkpoint,
    check_fields,
    load_checkpoint,
    load_strict,
    refused,
    require_fit,
    save_checkpoint,
)
from sciformer.data.batching import BatchConfig, length_pooled_batches
from sciformer.distributions import Categorical, Distribution, Real
from sciformer.model import Sciformer, SciformerConfig
from sciformer.tasks.property import Family, Property
from sciformer.tokens import Batch, Example, Target, collate

MINIMUM = BatchConfig(records=256, tokens=16384, pairs=2**21)
"""Memory budget of a batch when nothing has to be kept for a gradient."""

MOST_ITEMS = 10_000
"""Targets, or classes of a target, that a checkpoint may ask for."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What ``config.json`` of a checkpoint holds."""

    schema_version: int = SCHEMA_VERSION
    sciformer: str
    title: str
    adapter: dict[str, Any]
    model: dict[str, Any]
    task: dict[str, Any]
    members: int
    level: float
    simulated: bool
    splits: dict[str, Any]


@dataclass(frozen=True)
class _PropertySpec:
    """The ``task`` of a config, as ``Property.to_json`` writes it."""

    name: Literal["property"]
    family: Family
    targets: list[dict[str, Any]]
    extensive: bool = True


class Member(nn.Module):
    """One model of an ensemble with its task: what the checkpoint calls ``members.<i>``."""

    def __init__(self, model: Sciformer, task: Property):
        super().__init__()
        self.model, self.task = model, task


@dataclass(frozen=True)
class Predictor:
    """A trained ensemble of property models. All answers are in the units of the training data.

    Answers do not depend on batch size or on the order of the rows (beyond float32 rounding).
    """

    adapter: DomainAdapter
    members: Sequence[Member]
    calibrations: Mapping[str, calibration.Calibration]
    """By target; a target without one has the model's own intervals."""
    level: float = 0.9

    @property
    def targets(self) -> tuple[Target, ...]:
        return self.members[0].task.targets

    @property
    def device(self) -> torch.device:
        return next(self.members[0].parameters()).device

    def predict(self, source: Any, *, level: float | int | None = None, **columns: Any) -> pd.DataFrame:
        """Predict every row of ``source``, in its order.

        The index is that of a table, 0, 1, ... for a list, and the keys of the records for a file.

        Args:
            source: Whatever the domain reads: a path, a DataFrame, a list of records in native types.
            level: Share of truths that intervals and sets shall hold; by default that of training.
            columns: Options of the domain's reader, such as ``smiles="SMILES"``.

        Returns:
            For a regression target its name, ``_lower`` and ``_upper``; for classes the likeliest class,
            ``_p_<class>`` for each class and ``_set`` (classes joined by ``|``); last ``status``: ``ok`` or
            the reason why a row has no answer.

        Raises ``ValueError`` where the source as a whole cannot be read or ``level`` is not calibrated.
        """
        level = _known_level(self.level if level is None else level)
        records = list(self.adapter.read(source, **columns))
        answers = self.answer([record for record in records if record.ok])
        readable = np.array([record.ok for record in records], dtype=bool)
        table: dict[str, np.ndarray] = {}
        for target in self.targets:
            table |= {
                name: _spread(values, readable)
                for name, values in self.columns(target, answers[target.name], level).items()
            }
        table["status"] = np.array([status(record) for record in records], dtype=object)
        return pd.DataFrame(table, index=_index(source, records))

    def columns(self, target: Target, answer: Distribution, level: float) -> dict[str, np.ndarray]:
        """The columns of ``predict`` for one target."""
        known, name = self.calibrations.get(target.name), target.name
        if isinstance(answer, Real):
            bounds = known.interval(answer, level) if isinstance(known, calibration.IntervalCalibration) else None
            lower, upper = bounds or tuple(x.double().cpu().numpy() for x in answer.interval(level))
            return {name: answer.mean.double().cpu().numpy(), f"{name}_lower": lower, f"{name}_upper": upper}
        assert isinstance(answer, Categorical)
        labels = np.array(target.classes, dtype=object)
        if isinstance(known, calibration.ClassCalibration):
            probs = known.probs(answer)
            inside = known.sets(probs, level)
        else:
            probs = answer.probs.double().cpu().numpy()
            inside = _likeliest(probs, level)
        return {
            name: labels[probs.argmax(-1)],
            **{f"{name}_p_{label}": probs[:, j] for j, label in enumerate(target.classes)},
            f"{name}_set": np.array(["|".join(labels[row]) for row in inside], dtype=object),
        }

    def answer(self, records: Sequence[Record | Example]) -> dict[str, Distribution]:
        """Distributions by target for readable records, in their order and in physical units."""
        parts: list[dict[str, Distribution]] = []
        order: list[int] = []
        for rows, batch in self._batches(records):
            each = [member.task.predict(member.model, batch) for member in self.members]
            parts.append({t.name: type(each[0][t.name]).mixture([x[t.name] for x in each]) for t in self.targets})
            order += rows
        back = torch.from_numpy(np.argsort(np.array(order, dtype=np.int64)))
        return {t.name: self._join([part[t.name] for part in parts], t, back) for t in self.targets}

    def _join(self, parts: Sequence[Distribution], target: Target, back: torch.Tensor) -> Distribution:
        if not parts:
            return self.members[0].task.empty(target)
        fields = {name: torch.cat([vars(part)[name] for part in parts]).cpu()[back] for name in vars(parts[0])}
        return type(parts[0])(**fields)

    def embed(self, source: Any, **columns: Any) -> pd.DataFrame:
        """One vector per record: the mean of the backbone's token vectors (of the first model of an ensemble).

        Columns are ``0 .. width-1`` and the index is that of ``predict``. All are numbers, so that they can be
        computed with: an unreadable row is NaN, and ``predict`` says why.
        """
        records = list(self.adapter.read(source, **columns))
        return pd.DataFrame(self.vectors(records), index=_index(source, records))

    def vectors(self, records: Sequence[Record]) -> np.ndarray:
        """The rows of ``embed``."""
        readable = np.flatnonzero([record.ok for record in records])
        model = self.members[0].model
        out = np.full((len(records), model.config.width), np.nan)
        for rows, batch in self._batches([record for record in records if record.ok]):
            encoded = model(batch.tokens)
            exists = (encoded.sample >= 0).unsqueeze(-1).to(encoded.states.dtype)
            out[readable[rows]] = ((encoded.states * exists).sum(1) / exists.sum(1)).double().cpu().numpy()
        return out

    def attention(self, source: Any, **columns: Any) -> pd.DataFrame:
        """How much each property reads from each token: a long table of record, target, token and weight.

        ``record`` is the label that the record has in the index of ``predict``. An unreadable record has one
        row, with the reason as its ``status`` and nothing else. Weights of a record and target sum to 1 (mean
        over heads and models). They show where the model looked, which is not an explanation of its answer.
        """
        records = list(self.adapter.read(source, **columns))
        found = iter(self.weights([record for record in records if record.ok]))
        rows: list[tuple[Any, ...]] = []
        for label, record in zip(_index(source, records), records, strict=True):
            if not record.ok:
                rows.append((label, None, None, None, np.nan, record.problem))
                continue
            names = self.adapter.token_names(record)
            for target, weights in zip(self.targets, next(found), strict=True):
                rows += [
                    (label, target.name, i, name, float(weight), "ok")
                    for i, (name, weight) in enumerate(zip(names, weights, strict=True))
                ]
        table = pd.DataFrame(rows, columns=["record", "target", "token", "name", "weight", "status"])
        return table.astype({"token": "Int64", "weight": float})  # integers that can be missing

    def weights(self, records: Sequence[Record]) -> list[np.ndarray]:
        """Attention of each target to each token, ``[targets, tokens]`` per readable record."""
        out: list[np.ndarray] = [np.zeros(0)] * len(records)
        for rows, batch in self._batches(records):
            mean = torch.stack([m.task.attention(m.model, batch) for m in self.members]).mean(0).cpu().numpy()
            sizes = sum(tokens.exists.sum(-1) for tokens in batch.tokens.values())
            for row, weights, size in zip(rows, mean, sizes.tolist(), strict=True):  # pyright: ignore[reportAttributeAccessIssue]
                out[row] = weights[:, :size]
        return out

    def _batches(self, records: Sequence[Record | Example]) -> Iterator[tuple[list[int], Batch]]:
        """Batches of similar length under the memory budget, with the rows they hold. No gradients inside."""
        examples = [x if isinstance(x, Example) else examples_of(self.adapter, x) for x in records]
        plan = length_pooled_batches(
            [example.size for example in examples],
            range(len(examples)),
            tokens=MINIMUM.tokens,
            records=MINIMUM.records,
            pairs=MINIMUM.pairs,
            pool=max(1, len(examples)),
        )
        with torch.inference_mode():
            for rows in plan:
                yield rows, collate([examples[i] for i in rows]).to(self.device)


def examples_of(adapter: DomainAdapter, record: Record) -> Example:
    """A readable record, tokenised and with what is known of its answers."""
    return Example(key=record.key, tokens={adapter.name: adapter.tokenize(record)}, targets=record.targets)


def status(record: Record) -> str:
    return record.problem or "ok"


def answer_columns(targets: Sequence[Target]) -> list[str]:
    """The columns of ``Predictor.predict``."""
    names = []
    for target in targets:
        parts = [*(f"p_{label}" for label in target.classes), "set"] if target.classes else ["lower", "upper"]
        names += [target.name, *(f"{target.name}_{part}" for part in parts)]
    return [*names, "status"]


def beside(table: pd.DataFrame | None, answers: pd.DataFrame, targets: Sequence[Target]) -> pd.DataFrame:
    """The answers behind the columns of the input, which keep their names and their cells. Where the input has
    one of the columns of a target, all of that target are called ``predicted_...``."""
    answers = answers.reset_index()
    if table is None or len(table) != len(answers):  # better no columns than those of another row
        return answers
    groups = [answer_columns([target])[:-1] for target in targets]
    groups += [[name] for name in answers.columns if not any(name in group for group in groups)]
    taken, given, names = set(table.columns), set(answers.columns), {}
    for group in groups:
        prefix = ""
        while any(prefix + name in taken or (prefix and prefix + name in given) for name in group):
            prefix += "predicted_"
        names |= {name: prefix + name for name in group}
        taken |= {prefix + name for name in group}
    return pd.concat([table.reset_index(drop=True), answers.rename(columns=names)], axis=1)


def save(
    predictor: Predictor,
    path: Path,
    *,
    title: str,
    card: str,
    simulated: bool = False,
    splits: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint directory: what ``load`` reads, a model card for people, and where it comes from."""
    from sciformer import __version__

    first = predictor.members[0]
    config = Config(
        sciformer=__version__,
        title=title,
        adapter=adapters.to_json(predictor.adapter),
        model=asdict(first.model.config),
        task=first.task.to_json(),
        members=len(predictor.members),
        level=predictor.level,
        simulated=simulated,
        splits=dict(splits or {"kind": "", "fingerprint": ""}),
    )
    weights = nn.ModuleDict({"members": nn.ModuleList(predictor.members)}).state_dict()
    calibrations = {name: known.to_json() for name, known in predictor.calibrations.items()}
    save_checkpoint(path, config=asdict(config), weights=weights, calibration=calibrations, card=card)


def load(path: str | Path, *, device: str = "auto") -> Predictor:
    """Load a checkpoint written by a training run.

    The manifest of hashes is verified first, and nothing is ever unpickled. ``device`` is a torch device
    or ``auto``: the GPU if there is one.
    Raises ``IntegrityError`` (a ``ValueError``) for a damaged or foreign checkpoint, naming the file.
    """
    return restore(load_checkpoint(Path(path)), device)


def restore(checkpoint: Checkpoint, device: str = "auto") -> Predictor:
    """The predictor of a checkpoint whose files are verified.

    Anyone can make hashes agree with a config, so it is believed only where it describes the weights beside
    it: types and sizes are checked, and the model is built without storage first.
    Raises ``IntegrityError`` naming file and field.
    """
    with refused(checkpoint.path / "config.json"):
        config = _checked(checkpoint)
        with torch.device("meta"):
            require_fit(_build(config), checkpoint.weights)
    with torch.random.fork_rng(devices=[]):  # the caller's seed is not ours to spend
        whole = _build(config)
    load_strict(whole, checkpoint.weights)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    whole.eval().requires_grad_(False).to(device)
    members: list[Member] = list(whole["members"])  # pyright: ignore[reportArgumentType, reportAssignmentType]
    adapter = adapters.from_json(config.adapter)
    return Predictor(adapter, members, _calibrations(checkpoint, members[0].task.targets), config.level)


def _build(config: Config) -> nn.ModuleDict:
    adapter, shape = adapters.from_json(config.adapter), SciformerConfig(**config.model)
    tasks = (Property.from_json(shape, config.task) for _ in range(config.members))
    members = [Member(Sciformer(shape, {adapter.name: adapter}), task) for task in tasks]
    return nn.ModuleDict({"members": nn.ModuleList(members)})


def _checked(checkpoint: Checkpoint) -> Config:
    """The config of a checkpoint; ``ValueError`` naming a field that cannot have been saved so."""
    config = Config(**check_fields(checkpoint.config, Config, "config"))
    kind = adapters.adapter_class(str(config.adapter.get("name")))
    check_fields({name: x for name, x in config.adapter.items() if name != "name"}, kind, "adapter")
    check_fields(config.model, SciformerConfig, "model", MODEL_LIMITS)
    targets = check_fields(config.task, _PropertySpec, "task", {"targets": (1, MOST_ITEMS)})["targets"]
    for i, target in enumerate(targets):
        check_fields(target, Target, f"task.targets[{i}]", {"classes": (0, MOST_ITEMS)})
    _known_level(config.level)
    held = {name.split(".")[1] for name in checkpoint.weights if name.startswith("members.")}
    if config.members != len(held):
        raise ValueError(f"members is {config.members}, but model.safetensors holds {len(held)}")
    return config


def _calibrations(checkpoint: Checkpoint, targets: Sequence[Target]) -> dict[str, calibration.Calibration]:
    by_name = {target.name: target for target in targets}
    known = {}
    for name, spec in checkpoint.calibration.items():
        with refused(f"{checkpoint.path / 'calibration.json'}: {name}"):
            if name not in by_name:
                raise ValueError(f"is no target; targets are {', '.join(by_name)}")
            known[name], target = calibration.from_json(spec), by_name[name]
            if not known[name].suits(target):
                raise ValueError(f"kind {spec['kind']!r} does not suit a {target.kind} target {target.classes or ''}")
    return known


def _known_level(level: float | int) -> float:
    if level not in calibration.LEVELS:
        known = ", ".join(f"{x:g}" for x in calibration.LEVELS)
        raise ValueError(f"level must be one of {known}, got {level:g}")
    return float(level)


def _index(source: Any, records: Sequence[Record]) -> pd.Index:
    if isinstance(source, pd.DataFrame | pd.Series):
        return source.index
    if isinstance(source, str | Path):
        return pd.Index([record.key for record in records], name="record")
    return pd.RangeIndex(len(records))


def _spread(values: np.ndarray, readable: np.ndarray) -> np.ndarray:
    """Answers at their rows; NaN (or None for text) where a row could not be read."""
    missing = None if values.dtype == object else np.nan
    out = np.full(len(readable), missing, dtype=values.dtype)
    out[readable] = values
    return out


def _likeliest(probs: np.ndarray, level: float) -> np.ndarray:
    """Without calibration: the fewest classes whose probabilities add up to the level."""
    order = np.argsort(-probs, axis=-1)
    before = np.take_along_axis(probs, order, -1).cumsum(-1) - np.take_along_axis(probs, order, -1)
    inside = np.zeros(probs.shape, dtype=bool)
    np.put_along_axis(inside, order, before < level, -1)
    return inside
