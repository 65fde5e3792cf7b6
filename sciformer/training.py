"""How a model is fitted: the only LightningModule, its optimiser and its schedule."""

import contextlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim.lr_scheduler import LambdaLR

from sciformer.data.datamodule import Positioned
from sciformer.model import Sciformer
from sciformer.optim import OptimConfig, parameter_groups, warmup_cosine
from sciformer.resume import AtomicCheckpointIO, AveragedWeights, BestWeights, newest_valid, resume_callbacks
from sciformer.tasks.base import Task
from sciformer.tokens import Batch


class SciformerModule(pl.LightningModule):
    """One model and one task under training.

    ``total_steps`` is counted by hand from the sampler: asking the trainer for it would build the loader
    before the resumed position is known. ``rate`` gives the factor of the learning rate by the name of a
    parameter, for example ``layer_rates``; without it all learn alike.
    """

    def __init__(
        self,
        model: Sciformer,
        task: Task,
        optim: OptimConfig,
        total_steps: int,
        seed: int,
        rate: Callable[[str], float] | None = None,
    ):
        super().__init__()
        self.model, self.task, self.optim = model, task, optim
        self.total_steps, self.seed, self.rate = total_steps, seed, rate

    def _score(self, batch: Batch, stage: int, step: int) -> Mapping[str, Tensor]:
        """Pose, answer, score, with a random stream that depends on the step alone."""
        rng = torch.Generator().manual_seed(hash((self.seed, stage, step)) % 2**63)
        problem = self.task.pose(batch, rng)
        return self.task.score(self.task(self.model, problem), problem)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        step = self.global_step * self.trainer.world_size + self.global_rank  # processes hide other things
        loss = self._score(batch, 0, step)["loss"]
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        scores = self._score(batch, 1, batch_idx)
        self.log_dict({f"validation_{name}": x for name, x in scores.items()}, batch_size=len(batch))

    def configure_optimizers(self) -> Any:
        groups = parameter_groups(self, self.optim.weight_decay, self.rate)
        for group in groups:
            group["lr"] = self.optim.lr * group["lr_factor"]
        optimizer = torch.optim.AdamW(groups, lr=self.optim.lr, fused=True)
        schedule = LambdaLR(optimizer, lambda step: warmup_cosine(step, self.total_steps, self.optim.warmup))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | int | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clipped here, because the trainer refuses a fused optimiser under mixed precision. That guard is
        meant for gradient scaling, which bf16 does without."""
        if self.optim.clip:
            torch.nn.utils.clip_grad_norm_(self.parameters(), self.optim.clip)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Other data are refused before the weights are looked at, which then may not fit either."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        data.load_state_dict(checkpoint[type(data).__qualname__])

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch.to(device)


def fit(
    module: SciformerModule,
    data: Positioned,
    folder: Path | None,
    *observers: pl.Callback,
    accelerator: str = "auto",
    devices: int = 1,
) -> SciformerModule:
    """Train to the end, going on from the newest whole state in ``folder`` if there is one. Without a folder nothing
    is saved on the way, and validation records are looked at only where ``patience`` asks for it; the weights are the
    same.

    Ends with the weights of the best validated epoch if ``patience`` is set, else with the last ones. Of several
    ``devices`` each has a process of its own, for which ``data`` must have been made; unless a launcher has started
    all of them, the first starts the others with its own command line. A step goes along the mean of their gradients.
    """
    from pytorch_lightning.callbacks import EarlyStopping

    optim = module.optim
    extra: list[pl.Callback] = []
    if optim.ema:
        extra.append(AveragedWeights(optim.ema))
    if optim.patience:
        extra.append(EarlyStopping("validation_loss", patience=optim.patience, check_finite=False))
    callbacks = resume_callbacks(folder, *extra, *observers)
    with _quiet():
        trainer = pl.Trainer(
            max_epochs=optim.epochs,
            limit_val_batches=None if folder or optim.patience else 0,
            accelerator=accelerator,
            devices=devices,
            # several tasks take turns, so the parameters of the others have no gradient
            strategy="ddp_find_unused_parameters_true" if devices > 1 else "auto",
            precision=precision(accelerator),
            callbacks=callbacks,
            plugins=[AtomicCheckpointIO()],
            default_root_dir=folder,
            logger=False,
            enable_checkpointing=folder is not None,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
        )
        last = None if folder is None else newest_valid(folder)
        trainer.fit(module, datamodule=data, ckpt_path=None if last is None else str(last), weights_only=True)
    best = next(callback for callback in callbacks if isinstance(callback, BestWeights))
    if optim.patience and best.weights:
        module.load_state_dict(best.weights)
    return module.cpu()


def precision(accelerator: str) -> Literal["bf16-mixed", "32-true"]:
    """bf16 on GPUs that have it; fp32 on CPUs, where bf16 is many times slower."""
    gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return "bf16-mixed" if gpu and torch.cuda.is_bf16_supported() else "32-true"


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The trainer's remarks on devices and loaders help its developers; its settings are put back after."""
    loggers = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    before = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="(pytorch_lightning|lightning_fabric)")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)
