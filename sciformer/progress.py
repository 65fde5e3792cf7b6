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
    included: a resumed epoch has the mean loss of all its records, not of those that were left. Where several tasks are
    learned, each has a column of its own besides. Of several processes, training losses are those of the first."""

    def __init__(self, member: int):
        self.member = member
        self.rows: list[dict[str, float]] = []
        self._sums: dict[str, list[float]] = {}
        """By task the sum of losses, and of how many records, in the epoch under way."""
        self._seconds, self._start = 0.0, time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start = time.monotonic()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        loss, records = self._sums.get(batch.task, (0.0, 0.0))
        self._sums[batch.task] = [loss + float(outputs["loss"]) * len(batch), records + len(batch)]

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        losses, records = zip(*self._sums.values(), strict=True)
        self.rows.append(
            {
                "member": self.member,
                "epoch": trainer.current_epoch + 1,
                "step": trainer.global_step,
                "train_loss": sum(losses) / sum(records),
                **{f"train_{task}.loss": loss / n for task, (loss, n) in sorted(self._sums.items()) if task},
                "validation_loss": float("nan"),
                **{name: float(x) for name, x in trainer.callback_metrics.items() if name.startswith("validation_")},
                "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
                "seconds": self._elapsed(),
            }
        )
        self._sums = {}

    def _elapsed(self) -> float:
        return self._seconds + time.monotonic() - self._start

    def state_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "sums": self._sums, "seconds": self._elapsed()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        self.rows = list(state_dict["rows"])
        self._sums, self._seconds = dict(state_dict["sums"]), state_dict["seconds"]
