"""What every process of a comparison has, and how one cell of it is trained and written down."""

import functools
import io
import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sciformer.adapter import DomainAdapter, Record
from sciformer.answers import Known, PropertyEnsemble
from sciformer.baselines import Prepared
from sciformer.comparison.plan import Cell, Fold, epochs_of
from sciformer.data.datamodule import paired
from sciformer.data.dataset import Dataset
from sciformer.data.examples import example_of
from sciformer.data.sampler import EpochBatchSampler
from sciformer.distributions import Categorical, Real, take
from sciformer.files import atomic_file
from sciformer.finetuning import Mode, Origin
from sciformer.recipe import Begun, Recipe, begin
from sciformer.tokens import Example, Target


@dataclass
class Bench:
    """The data, read once, and the checkpoint; tokens are made when they are first asked for."""

    recipe: Recipe
    origin: Origin
    dataset: Dataset
    """Its records are those that can be learned from."""
    folds: Sequence[Fold]
    accelerator: str = "cpu"
    features: Mapping[str, Any] = field(default_factory=dict)
    """By baseline, of all records in the order of the data set."""
    _tokens: dict[str, Example] = field(default_factory=dict, repr=False)
    _reader: DomainAdapter | None = field(default=None, repr=False)

    @functools.cached_property
    def places(self) -> dict[str, int]:
        """Where each record is, by its key."""
        return {record.key: place for place, record in enumerate(self.dataset.records)}

    def records(self, keys: Sequence[str]) -> list[Record]:
        return [self.dataset.records[self.places[key]] for key in keys]

    def examples(self, adapter: DomainAdapter, keys: Sequence[str]) -> list[Example]:
        """The records of these keys as an adapter tokenises them; made once, as long as adapters are equal."""
        if self._reader != adapter:
            self._reader, self._tokens = adapter, {}
        for key in keys:
            if key not in self._tokens:
                self._tokens[key] = example_of(adapter, self.dataset.records[self.places[key]])
        return [self._tokens[key] for key in keys]

    def known(self, target: Target, keys: Sequence[str]) -> Known:
        """Which answers about the records of these keys have a known truth."""
        return self._asking.known(self.records(keys), target)

    @functools.cached_property
    def _asking(self) -> PropertyEnsemble[Any]:
        """An untrained model: what it knows of truths, any knows."""
        import torch

        first = self.folds[0].train
        dataset = replace(self.dataset, adapter=self.dataset.adapter.fitted(self.records(first)))
        with torch.random.fork_rng():
            begun = begin(self.recipe, None, dataset, self.examples(dataset.adapter, first), [], 0)
        return ensemble(dataset, [begun.member])


@dataclass(frozen=True)
class Outcome:
    """What is kept of a cell."""

    seconds: float
    epochs: int
    """0 of a classical baseline."""
    weights: int
    """Those that were trained."""
    test: Sequence[np.ndarray]
    """Per target the answers whose truth is known: numbers [n], or probabilities [n, classes]."""
    held: Sequence[np.ndarray] = ()
    """The same on the held part, of a baseline."""

    def save(self, path: Path) -> None:
        """Whole or not at all."""
        facts = {"seconds": self.seconds, "epochs": self.epochs, "weights": self.weights, "targets": len(self.test)}
        arrays = {f"{part}_{i}": x for part in ("test", "held") for i, x in enumerate(getattr(self, part))}
        buffer = io.BytesIO()
        np.savez(buffer, facts=np.array(json.dumps(facts)), **arrays)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as file:
            file.write(buffer.getvalue())

    @classmethod
    def load(cls, path: Path) -> "Outcome":
        with np.load(path, allow_pickle=False) as saved:
            facts = json.loads(str(saved["facts"]))
            many = range(facts.pop("targets"))
            held = [saved[f"held_{i}"] for i in many if f"held_{i}" in saved]
            return cls(**facts, test=[saved[f"test_{i}"] for i in many], held=held)


def place_of(folder: Path, cell: Cell) -> Path:
    """Where the outcome of a cell is written."""
    return folder / f"{re.sub(r'[^0-9a-zA-Z]+', '-', cell.way)}-{cell.size}-{cell.fold}.npz"


@functools.lru_cache(maxsize=1)
def _bench(path: str) -> Bench:
    """Read once by each process."""
    import cloudpickle

    return cloudpickle.loads(Path(path).read_bytes())


def carry_out(bench: str, cell: Cell, folder: str, worker: bool) -> Cell:
    """Train a cell and write its outcome. Computes with one thread, so that numbers are the same for any number of
    processes; a ``worker`` leaves signals to the process that started it."""
    import signal

    import torch

    if worker:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        known = _bench(bench)
        outcome = classical(known, cell) if cell.classical else trained(known, cell)
    finally:
        torch.set_num_threads(threads)
    outcome.save(place_of(Path(folder), cell))
    return cell


def trained(bench: Bench, cell: Cell) -> Outcome:
    """Every member of the recipe, and what they answer together about the test part."""
    import torch

    from sciformer.training import fit

    start, members, epochs = time.monotonic(), [], 0
    recipe, dataset, origin = prepared(bench, cell)
    weights = 0
    for i in range(recipe.uncertainty.members):
        with torch.random.fork_rng():
            seed = recipe.seed + 1000 * i
            torch.manual_seed(seed)
            begun = started(bench, cell, recipe, dataset, origin, seed)
            weights += sum(p.numel() for p in begun.member.parameters() if p.requires_grad)
            fit(begun.module, begun.data, None, *origin.callbacks(), accelerator=bench.accelerator)
            epochs = begun.module.trainer.current_epoch
            origin.end(begun.member)
        members.append(begun.member.eval().requires_grad_(False))
    seconds = time.monotonic() - start
    answering, known = ensemble(dataset, members), bench.records(bench.folds[cell.fold].test)
    found = answering.answer(known if dataset.by_token else bench.examples(dataset.adapter, [r.key for r in known]))
    points = []
    for target in answering.targets:
        answer = take(found[target.name], answering.known(known, target).rows)
        assert isinstance(answer, Real | Categorical)
        points.append((answer.mean if isinstance(answer, Real) else answer.probs).double().numpy())
    return Outcome(round(seconds, 2), epochs, weights, points)


def prepared(bench: Bench, cell: Cell) -> tuple[Recipe, Dataset, Origin]:
    """The recipe, the data and the start of a cell: its seed, its mode, the epochs for so few records, and an adapter
    that has learned what it must from these."""
    fold, keys = bench.folds[cell.fold], bench.folds[cell.fold].first(cell.records)
    mode: Mode = cell.way  # pyright: ignore[reportAssignmentType]
    start = replace(bench.recipe.start, mode=mode)
    adapter = bench.dataset.adapter.fitted(bench.records(keys))
    dataset = replace(bench.dataset, adapter=adapter)
    recipe, optim = replace(bench.recipe, seed=fold.seed, start=start), bench.recipe.optim
    whole, each = (_sampler(bench, recipe, adapter, some) for some in (fold.train, keys))
    epochs = epochs_of(optim.epochs, whole.total_steps(optim.epochs), each.total_steps(1))
    patience = round(optim.patience * epochs / optim.epochs)  # as many steps
    return (
        replace(recipe, optim=replace(optim, epochs=epochs, patience=patience)),
        dataset,
        replace(bench.origin, start=start),
    )


def _sampler(bench: Bench, recipe: Recipe, adapter: DomainAdapter, keys: Sequence[str]) -> EpochBatchSampler:
    examples = bench.examples(adapter, keys)
    sizes = [example.size for example in examples]
    return EpochBatchSampler(sizes, recipe.batch, seed=recipe.seed, paired=paired(examples))


def started(bench: Bench, cell: Cell, recipe: Recipe, dataset: Dataset, origin: Origin, seed: int) -> Begun:
    """The model of a cell before its training.

    Raises ``ValueError`` for records that nothing can be learned from.
    """
    fold = bench.folds[cell.fold]
    train, validation = (bench.examples(dataset.adapter, x) for x in (fold.first(cell.records), fold.validation))
    return begin(recipe, origin, dataset, train, validation, seed)


def ensemble(dataset: Dataset, members: Sequence[Any]) -> PropertyEnsemble[Any]:
    """What trained members answer; nothing is calibrated, which changes no point answer of a number."""
    from sciformer.annotator import Annotator
    from sciformer.predictor import Predictor

    return (Annotator if dataset.by_token else Predictor)(dataset.adapter, members, {})


def classical(bench: Bench, cell: Cell) -> Outcome:
    """A baseline, fitted on the same records, on the test and the held part."""
    fold = bench.folds[cell.fold]
    keys = [*fold.test, *fold.held]
    start = time.monotonic()
    answers = [_asked(bench, cell, target, keys) for target in bench.dataset.targets]
    seconds = round(time.monotonic() - start, 2)
    test, held = [], []
    for target, values in zip(bench.dataset.targets, answers, strict=True):
        known = bench.known(target, keys)
        tested = np.isin(known.keys, fold.test)
        test.append(values[known.rows][tested])
        held.append(values[known.rows][~tested])
    return Outcome(seconds, 0, 0, test, held)


def _asked(bench: Bench, cell: Cell, target: Target, keys: Sequence[str]) -> np.ndarray:
    """What a baseline, fitted to the training records of a cell, says of the records of these keys."""
    fold, adapter = bench.folds[cell.fold], bench.dataset.adapter
    train = fold.first(cell.records)
    if bench.dataset.by_token:
        ask = adapter.token_baselines()[cell.way]
        return np.asarray(ask(bench.records(train), bench.records(keys), target, fold.seed), dtype=np.float64)
    baseline = next(baseline for baseline in adapter.baselines() if baseline.name == cell.way)
    of_train, of_rest = (bench.features[cell.way][[bench.places[key] for key in some]] for some in (train, keys))
    fitted = Prepared(baseline, bench.records(train), of_train, of_rest)
    return np.asarray(fitted.fit_predict(target, fold.seed), dtype=np.float64)
