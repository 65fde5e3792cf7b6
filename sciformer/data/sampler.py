"""Epochs as a pure function of (seed, epoch), so that training can stop and go on anywhere."""

from collections.abc import Iterator, Sequence

import numpy as np

from sciformer.data.batching import BatchConfig, length_pooled_batches


def random_stream(seed: int, *place: int) -> np.random.Generator:
    """The random stream of a place, for example ``(epoch, index)``: independent of every other place.

    ``place`` goes into the spawn key because ``SeedSequence`` pads a short entropy list with zeros:
    as entropy, ``[seed, epoch]`` and ``[seed, epoch, 0]`` would be one stream.
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=place)))


class EpochBatchSampler:
    """Batches of ``(epoch, index)`` pairs; position ``(epoch, consumed)`` is set by its owner.

    Iterating yields what is left of the current epoch and does not move the position: loaders fetch
    ahead, so only ``advance`` (called when a batch was trained on) says what was consumed.

    There is deliberately no ``__len__``: with length-pooled batches their number differs between epochs,
    and a trainer would keep the first answer for all of them.
    """

    def __init__(
        self,
        lengths: Sequence[int] | np.ndarray,
        config: BatchConfig,
        *,
        seed: int,
        paired: bool = False,
        rank: int = 0,
        world_size: int = 1,
    ):
        """``paired``: the records carry pair columns, so the quadratic budget counts too."""
        if len(lengths) == 0:
            raise ValueError("a sampler needs at least one record, got none")
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must lie in 0..{world_size - 1}, got {rank}")
        self.lengths = np.asarray(lengths)
        self.config = config
        self.seed = seed
        self.paired = paired
        self.rank = rank
        self.world_size = world_size
        self.epoch = 0
        self.consumed = 0
        self._left = 0

    def batches(self, epoch: int) -> list[list[int]]:
        """This rank's batches of record indices in an epoch, in training order."""
        rng = random_stream(self.seed, epoch)
        batches = length_pooled_batches(
            self.lengths,
            rng.permutation(len(self.lengths)),
            tokens=self.config.tokens,
            records=self.config.records,
            pairs=self.config.pairs if self.paired else None,
            pool=self.config.pool,
            rng=rng,
        )
        # Ranks must take equally many steps or the collective operations hang: repeat a few batches.
        short = -len(batches) % self.world_size
        batches += [batches[i % len(batches)] for i in range(short)]
        return batches[self.rank :: self.world_size]

    def total_steps(self, epochs: int, accumulate: int = 1) -> int:
        """Optimiser steps in the first ``epochs`` epochs when ``accumulate`` batches make a step.

        The last step of an epoch may have fewer. Schedules must use this and not the trainer's
        estimate, which builds a loader early and so shifts what a resumed run reads.
        """
        return sum(-(-len(self.batches(epoch)) // accumulate) for epoch in range(epochs))

    def seek(self, epoch: int, consumed: int) -> None:
        """Go to the place after ``consumed`` batches of ``epoch``; call it before a loader iterates.

        Raises ``ValueError`` when the epoch has fewer batches.
        """
        if epoch < 0:
            raise ValueError(f"epochs count from 0, got {epoch}")
        count = len(self.batches(epoch))
        if not 0 <= consumed <= count:
            raise ValueError(f"cannot go to batch {consumed} of epoch {epoch}, which has {count} batches")
        self.epoch, self.consumed, self._left = epoch, consumed, count - consumed
        self._wrap()

    def advance(self) -> None:
        """Count one batch as trained on; after the last one the position is the next epoch's start."""
        if self._left == 0:
            self.seek(self.epoch, self.consumed)
        self.consumed += 1
        self._left -= 1
        self._wrap()

    def _wrap(self) -> None:
        if self._left == 0:
            self.epoch, self.consumed = self.epoch + 1, 0

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        # Not a generator: the position must be read now, not when a loader first asks for a batch.
        epoch = self.epoch
        return iter([[(epoch, index) for index in batch] for batch in self.batches(epoch)[self.consumed :]])
