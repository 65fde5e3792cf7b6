"""Examples of several streams, one stream a batch: what a backbone for several domains is trained on.

Every stream keeps its own endless order of batches (see ``sampler``); a mixture says whose turn it is. Both are pure
functions of the seed, so that training can stop anywhere and go on, and all processes of a run are at the same stream
at the same step.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Dataset

from sciformer.data.datamodule import DataModule, Positioned
from sciformer.data.sampler import EpochBatchSampler, random_stream
from sciformer.tokens import Batch, Example, collate

Place = tuple[str, int, int]
"""Stream, epoch of that stream, index."""


@dataclasses.dataclass(frozen=True)
class Share:
    """One stream of a mixture: its examples, and how many of the batches are its own relative to the other streams."""

    data: DataModule
    weight: float | int = 1.0


class Turns:
    """Whose turn it is. An epoch is ``steps`` batches; every stream has its share of them, in random order."""

    def __init__(self, weights: Mapping[str, float | int], steps: int, seed: int):
        """Raises ``ValueError`` for a weight that is not positive, or so small that a stream never has its turn."""
        if bad := [name for name, weight in weights.items() if not 0 < weight < math.inf]:
            raise ValueError(f"the weight of stream {bad[0]!r} must be a positive number, got {weights[bad[0]]}")
        self.names, self.steps, self.seed = list(weights), steps, seed
        exact = np.array(list(weights.values())) / sum(weights.values()) * steps
        self.counts = np.floor(exact).astype(int)
        self.counts[np.argsort(self.counts - exact, kind="stable")[: steps - self.counts.sum()]] += 1
        """Batches of each stream in an epoch: rounded down, and what is left goes to the largest remainders."""
        if none := [name for name, count in zip(self.names, self.counts, strict=True) if not count]:
            raise ValueError(
                f"stream {none[0]!r} has less than one of the {steps} batches of an epoch: give it more weight, or an "
                "epoch more steps"
            )

    def order(self, epoch: int) -> list[str]:
        """The stream of every step of an epoch."""
        order = np.repeat(np.arange(len(self.names)), self.counts)
        return [self.names[i] for i in random_stream(self.seed, epoch).permutation(order)]


class Mixture(Positioned):
    """Streams of training examples as one loader of ``Batch``, each of one stream, which it names (``Batch.task``).

    Validation batches are those of all streams, one after the other.
    """

    def __init__(self, shares: Mapping[str, Share], *, steps: int, seed: int = 0):
        super().__init__()
        self.shares = dict(shares)
        self.turns = Turns({name: share.weight for name, share in shares.items()}, steps, seed)
        self.epoch, self.consumed = 0, 0

    def total_steps(self, epochs: int) -> int:
        return self.turns.steps * epochs

    def train_dataloader(self) -> DataLoader[tuple[str, Example]]:
        return self._loader(_Batches(self._rest), training=True)

    def val_dataloader(self) -> DataLoader[tuple[str, Example]]:
        return self._loader(self._validation(), training=False)

    def _rest(self) -> list[list[Place]]:
        """What is left of the epoch, stream by stream going on where it was."""
        going = {
            name: _endless(self.shares[name].data.sampler, int(count) * self.epoch)
            for name, count in zip(self.turns.names, self.turns.counts, strict=True)
        }
        batches = [[(name, *place) for place in next(going[name])] for name in self.turns.order(self.epoch)]
        return batches[self.consumed :]

    def _validation(self) -> list[list[Place]]:
        plans = {name: share.data.validation_places() for name, share in self.shares.items()}
        return [[(name, *place) for place in batch] for name, plan in plans.items() for batch in plan]

    def _loader(self, batches: Any, *, training: bool) -> DataLoader[tuple[str, Example]]:
        first = next(iter(self.shares.values())).data
        datasets = {name: share.data.dataset(training=training) for name, share in self.shares.items()}
        how = {name: (share.data.targets, share.data.batches.row) for name, share in self.shares.items()}
        return DataLoader(
            _Streams(datasets),
            batch_sampler=batches,
            num_workers=first.batches.workers,
            persistent_workers=first.batches.workers > 0,
            collate_fn=functools.partial(_collate, how),
            generator=first.loader_generator(),
        )

    @property
    def position(self) -> tuple[int, int]:
        return self.epoch, self.consumed

    def advance(self) -> None:
        self.seek(self.epoch, self.consumed + 1)

    def seek(self, epoch: int, consumed: int) -> None:
        """Raises ``ValueError`` for a place that no epoch has."""
        if epoch < 0 or not 0 <= consumed <= self.turns.steps:
            raise ValueError(f"cannot go to batch {consumed} of epoch {epoch}: epochs have {self.turns.steps} batches")
        self.epoch, self.consumed = (epoch + 1, 0) if consumed == self.turns.steps else (epoch, consumed)

    def identity(self) -> dict[str, Any]:
        known: dict[str, Any] = {"streams": self.turns.names, "steps": self.turns.steps, "seed": self.turns.seed}
        for stream, share in self.shares.items():
            own = {"weight": share.weight, **share.data.identity()}
            known |= {f"{stream}.{name}": value for name, value in own.items()}
        return known


class _Batches:
    """Batches that are listed when a loader begins to read them. Without ``__len__``, like ``EpochBatchSampler``."""

    def __init__(self, listed: Callable[[], list[list[Place]]]):
        self.listed = listed

    def __iter__(self) -> Iterator[list[Place]]:
        # Not a generator: the position must be read now, not when a loader first asks for a batch.
        return iter(self.listed())


class _Streams(Dataset[tuple[str, Example]]):
    def __init__(self, datasets: Mapping[str, Dataset[Example]]):
        self.datasets = datasets

    def __getitem__(self, place: Place) -> tuple[str, Example]:
        stream, epoch, index = place
        return stream, self.datasets[stream][(epoch, index)]


def _collate(how: Mapping[str, tuple[Sequence[str], int]], items: Sequence[tuple[str, Example]]) -> Batch:
    stream = items[0][0]
    targets, row = how[stream]
    return dataclasses.replace(collate([example for _, example in items], targets, row), task=stream)


def _endless(sampler: EpochBatchSampler, start: int) -> Iterator[list[tuple[int, int]]]:
    """The batches of a stream, epoch after epoch, after the first ``start`` of them."""
    epoch = 0
    while start >= (count := len(sampler.batches(epoch))):
        start, epoch = start - count, epoch + 1
    while True:
        yield from ([(epoch, index) for index in batch] for batch in sampler.batches(epoch)[start:])
        start, epoch = 0, epoch + 1
