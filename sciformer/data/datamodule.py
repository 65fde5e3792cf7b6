"""Tokenised examples to batches for the trainer, with a position that a checkpoint can hold."""

import abc
import dataclasses
import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset

from sciformer.data.batching import BatchConfig, length_pooled_batches
from sciformer.data.examples import Examples
from sciformer.data.sampler import EpochBatchSampler, random_stream
from sciformer.tokens import Example, Tokens, collate

Augment = Callable[[Tokens, np.random.Generator], Tokens]


class ResumeError(ValueError):
    """The run that wrote a checkpoint and the run that reads it would not see the same batches."""


class ExamplesDataset(Dataset[Example]):
    """Examples by epoch. An item is a function of (seed, epoch, index) and of nothing else."""

    def __init__(self, examples: Sequence[Example], *, seed: int = 0, augment: Augment | None = None):
        self.examples = examples
        self.seed = seed
        self.augment = augment

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, place: tuple[int, int]) -> Example:
        epoch, index = place
        example = self.examples[index]
        if self.augment is None:
            return example
        rng = random_stream(self.seed, epoch, index)
        tokens = {name: self.augment(tokens, rng) for name, tokens in example.tokens.items()}
        return dataclasses.replace(example, tokens=tokens)


class Positioned(pl.LightningDataModule, abc.ABC):
    """Data with a position in training. It is counted by ``advance`` and travels in the trainer's checkpoint; loading
    one that was written with other data, another seed, other batch settings or another number of processes is refused.
    """

    @property
    @abc.abstractmethod
    def position(self) -> tuple[int, int]:
        """``(epoch, batches of it trained on)``; after an epoch's last batch it is the next epoch's start."""

    @abc.abstractmethod
    def advance(self) -> None:
        """Count one training batch as done."""

    @abc.abstractmethod
    def seek(self, epoch: int, consumed: int) -> None:
        """Go to a position."""

    @abc.abstractmethod
    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to go on where another stopped."""

    def state_dict(self) -> dict[str, Any]:
        epoch, consumed = self.position
        return {"epoch": epoch, "consumed": consumed, "identity": self.identity()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to the saved position. The trainer calls this before it builds a loader.

        Raises ``ResumeError`` when the batches to come would not be those of the interrupted run.
        """
        saved, here = state["identity"], self.identity()
        changed = [
            f"{name} was {saved.get(name)!r} and is now {here.get(name)!r}"
            for name in sorted(saved.keys() | here.keys())
            if saved.get(name) != here.get(name)
        ]
        if changed:
            raise ResumeError(
                f"cannot resume: {'; '.join(changed)}. Restore these settings and files, "
                "or start a new run in another directory"
            )
        self.seek(state["epoch"], state["consumed"])


class DataModule(Positioned):
    """Training and validation examples as loaders of ``Batch``.

    Training batches are length-pooled and shuffled, a pure function of ``seed`` and epoch; ``augment``
    sees training examples only. Validation batches are fixed and sorted by length.
    """

    def __init__(
        self,
        train: Sequence[Example],
        validation: Sequence[Example],
        *,
        targets: Sequence[str] = (),
        batches: BatchConfig | None = None,
        seed: int = 0,
        augment: Augment | None = None,
        rank: int = 0,
        world_size: int = 1,
    ):
        super().__init__()
        if not train:
            raise ValueError("training needs at least one example, got none: check the split and unreadable rows")
        self.train, self.validation = Examples.of(train), Examples.of(validation)
        self.targets = tuple(targets)
        self.batches = batches or BatchConfig()
        self.seed = seed
        self.augment = augment
        self.sampler = EpochBatchSampler(
            [trace.size for trace in self.train.traces],
            self.batches,
            seed=seed,
            paired=paired(self.train),
            rank=rank,
            world_size=world_size,
        )

    def train_dataloader(self) -> DataLoader[Example]:
        return self._loader(self.dataset(training=True), self.sampler)

    def val_dataloader(self) -> DataLoader[Example]:
        return self._loader(self.dataset(training=False), self.validation_places())

    def dataset(self, *, training: bool) -> ExamplesDataset:
        """The training examples, augmented, or those of validation as they are."""
        if training:
            return ExamplesDataset(self.train, seed=self.seed, augment=self.augment)
        return ExamplesDataset(self.validation)

    def validation_places(self) -> list[list[tuple[int, int]]]:
        """The places of the validation examples, batch by batch."""
        plan = length_pooled_batches(
            [trace.size for trace in self.validation.traces],
            range(len(self.validation)),
            tokens=self.batches.tokens,
            records=self.batches.records,
            pairs=self.batches.pairs if paired(self.validation) else None,
            pool=max(1, len(self.validation)),
        )
        return [[(0, index) for index in batch] for batch in plan]

    def _loader(self, dataset: ExamplesDataset, batches: EpochBatchSampler | list) -> DataLoader[Example]:
        return DataLoader(
            dataset,
            batch_sampler=batches,
            num_workers=self.batches.workers,
            persistent_workers=self.batches.workers > 0,
            collate_fn=functools.partial(collate, targets=self.targets, row=self.batches.row),
            generator=self.loader_generator(),
        )

    def loader_generator(self) -> torch.Generator:
        """One of the loader's own: otherwise every new iterator would draw from the global one, and a resumed run,
        which makes fewer of them, would see other dropout masks."""
        return torch.Generator().manual_seed(self.seed)

    @property
    def position(self) -> tuple[int, int]:
        return self.sampler.epoch, self.sampler.consumed

    def advance(self) -> None:
        self.sampler.advance()

    def seek(self, epoch: int, consumed: int) -> None:
        self.sampler.seek(epoch, consumed)

    def total_steps(self, epochs: int) -> int:
        """Training batches in the first epochs."""
        return self.sampler.total_steps(epochs)

    @functools.cached_property
    def fingerprint(self) -> str:
        """Hash of everything a training or validation batch can contain."""
        digest = hashlib.sha256(f"{(len(self.train), self.targets)!r}\n".encode())
        for trace in (*self.train.traces, *self.validation.traces):
            digest.update(trace.content)
        return digest.hexdigest()

    def identity(self) -> dict[str, Any]:
        settings = {f"batches.{name}": value for name, value in dataclasses.asdict(self.batches).items()}
        del settings["batches.workers"]  # batches do not depend on who loads them
        return {
            "seed": self.seed,
            "processes": self.sampler.world_size,
            "augmentation": self.augment is not None,
            **settings,
            "data": self.fingerprint,
        }


def paired(examples: Sequence[Example]) -> bool:
    """Whether examples have pair columns. Those of one run have one schema, so the first speaks for all."""
    return any(tokens.pair is not None for example in examples[:1] for tokens in example.tokens.values())
