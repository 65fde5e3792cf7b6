"""Gradual unfreezing: a fine-tuned model learns from the task down to the tokens (Howard & Ruder 2018,
arXiv:1801.06146)."""

from typing import Any

import pytorch_lightning as pl
from torch import nn

from sciformer.optim import layer_of


class GradualUnfreezing(pl.Callback):
    """At first only the task learns, and each ``epochs_per_layer`` epochs one more layer from the top does.

    The layers are those of ``sciformer.optim.layer_of``: the last block, and with it the last norm, learns from epoch
    ``epochs_per_layer`` on (counted from 0), the first block from ``depth`` times, the embedders and pairs from
    ``depth`` + 1 times as many; a shorter training leaves the lower ones as they were. Layers that do not learn keep
    their dropout.

    The optimiser holds all that is to be trained from the start, and passes over what has no gradient. What was frozen
    when the optimiser was made, the base of low-rank updates for example, stays so. Who learns follows from the epoch
    alone, so a resumed training needs no state of this callback.

    Raises ``ValueError`` for less than one epoch per layer.
    """

    def __init__(self, epochs_per_layer: int = 1):
        if epochs_per_layer < 1:
            raise ValueError(
                f"epochs_per_layer must be at least 1, got {epochs_per_layer}: leave gradual unfreezing out to train "
                "all layers from the start"
            )
        self.epochs_per_layer = epochs_per_layer

    # A run that is resumed inside an epoch starts with the first hook, all other epochs with the second.
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._unfreeze(trainer, pl_module)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._unfreeze(trainer, pl_module)

    def _unfreeze(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        blocks = pl_module.get_submodule("model.blocks")
        assert isinstance(blocks, nn.ModuleList)
        depth = len(blocks)
        lowest = depth + 1 - trainer.current_epoch // self.epochs_per_layer
        trained = {id(parameter) for parameter in _trained(trainer)}
        for name, parameter in pl_module.named_parameters():
            if id(parameter) in trained:
                parameter.requires_grad_(layer_of(name, depth) >= lowest)

    # Left frozen, they would be missing from the optimiser of the next training of the same module.
    def on_train_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._release(trainer)

    def on_exception(self, trainer: pl.Trainer, *_: Any) -> None:
        self._release(trainer)

    def _release(self, trainer: pl.Trainer) -> None:
        for parameter in _trained(trainer):
            parameter.requires_grad_(True)


def _trained(trainer: pl.Trainer) -> list[nn.Parameter]:
    """All parameters of the optimisers."""
    return [p for optimizer in trainer.optimizers for group in optimizer.param_groups for p in group["params"]]
