"""One progress bar for a whole run on a terminal; a few plain lines elsewhere."""

import time
from collections.abc import Mapping
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sciformer.tokens import Batch


class RunProgress(pl.Callback):
    """Epoch, losses and the time left. Silent where the output is not a terminal."""

    def __init__(self, console: Console, name: str, total_steps: int):
        self.total_steps = total_steps
        self.name = name
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:3.0f}% · {task.fields[epoch]} · {task.fields[losses]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self.task = self.bar.add_task(name, total=total_steps, epoch="", losses="")

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.bar.start()

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        self.bar.update(self.task, completed=trainer.global_step, epoch=epoch)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        losses = {name: float(x) for name, x in trainer.callback_metrics.items() if name.endswith("_loss")}
        self.bar.update(self.task, losses=", ".join(f"{n.removesuffix('_loss')} {x:.3f}" for n, x in losses.items()))

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self.bar.stop()


class History(pl.Callback):
    """Learning curve of one model, a row per epoch. It travels in the resume checkpoint, the epoch under way
    included: a resumed epoch has the mean loss of all its records, not of those that were left."""

    def __init__(self, member: int):
        self.member = member
        self.rows: list[dict[str, float]] = []
        self._loss, self._records = 0.0, 0
        self._seconds, self._start = 0.0, time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        self._loss += float(outputs["loss"]) * len(batch)
        self._records += len(batch)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.rows.append(
            {
                "member": self.member,
                "epoch": trainer.current_epoch + 1,
                "step": trainer.global_step,
                "train_loss": self._loss / self._records,
                "validation_loss": float(trainer.callback_metrics.get("validation_loss", float("nan"))),
                "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
                "seconds": self._elapsed(),
            }
        )
        self._loss, self._records = 0.0, 0

    def _elapsed(self) -> float:
        return self._seconds + time.monotonic() - self._start

    def state_dict(self) -> dict[str, Any]:
        under_way = {"loss": self._loss, "records": self._records, "seconds": self._elapsed()}
        return {"rows": self.rows, **under_way}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self.rows = list(state_dict["rows"])
        self._loss, self._records = state_dict["loss"], state_dict["records"]
        self._seconds = state_dict["seconds"]
