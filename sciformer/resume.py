"""Training that can be stopped anywhere and goes on as if nothing had happened, bit for bit.

What a trainer does not promise is added here: files that are whole or absent, the state of the random
generators, the place in the data, and a stop that saves first. ``resume_callbacks`` gives all of it.
"""

import random
import signal
import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.io.checkpoint_io import CheckpointIO
from pytorch_lightning.callbacks import Callback, Checkpoint, WeightAveraging
from torch import Tensor, distributed
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sciformer.checkpoint import IntegrityError
from sciformer.data.datamodule import Positioned
from sciformer.files import atomic_file, disk_full, leftovers
from sciformer.tokens import Batch

LAST = "last.ckpt"
PREVIOUS = "previous.ckpt"
SECONDS = 60.0
"""At most about so much training is lost when a process is killed."""


class Interrupted(Exception):
    """Training was asked to stop by a signal; its state is saved in ``checkpoint``."""

    def __init__(self, signum: int, checkpoint: Path, step: int):
        self.signum = signum
        self.checkpoint = checkpoint
        super().__init__(
            f"stopped by {signal.Signals(signum).name} after step {step}, with the state saved in "
            f"{checkpoint}: start the same run again with resuming switched on to go on from there"
        )

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process ended by this signal (130 for SIGINT, 143 for SIGTERM)."""
        return 128 + self.signum


class NonFiniteError(FloatingPointError):
    """A loss or gradient became infinite or not a number."""


# --- files -----------------------------------------------------------------------------------------------


class AtomicCheckpointIO(CheckpointIO):
    """Training checkpoints that are whole or absent. (The trainer's own writer leaves cut files under the
    final name on a full disk, and after a kill where the temporary folder is another file system.)"""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Raises ``OSError`` with a plain message when the disk is full; the old file is then untouched."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with atomic_file(path) as file:
                torch.save(checkpoint, file)
        except RuntimeError as error:
            if "unexpected pos" in str(error):  # what torch's zip writer makes of a failed write
                raise disk_full(path) from error
            raise

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Tensors and plain data only, whatever ``weights_only`` says; never from a URL."""
        if "://" in str(path):
            raise IntegrityError(f"training checkpoints are read from local files only, got {path}")
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no training checkpoint at {path}")
        if problem := _damage(path):
            raise IntegrityError(f"{path} {problem}: resume from an older checkpoint or start again")
        return torch.load(path, map_location=map_location or "cpu", weights_only=True)

    def remove_checkpoint(self, path: str | Path) -> None:
        Path(path).unlink(missing_ok=True)


def _damage(path: Path) -> str:
    """Why a checkpoint file cannot be whole, or ''. Its zip format has a checksum per member, which
    ``torch.load`` does not look at; nothing is unpickled here."""
    try:
        with zipfile.ZipFile(path) as archive:
            bad = archive.testzip()
        return f"is damaged in {bad}" if bad else ""
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        return f"is not a whole checkpoint ({error})"


def newest_valid(directory: str | Path) -> Path | None:
    """The newest whole checkpoint in a directory; None where there is none to resume from."""
    found = [path for path in Path(directory).glob("*.ckpt") if path.is_file()]
    for path in sorted(found, key=lambda p: (p.stat().st_mtime_ns, p.name == LAST), reverse=True):
        if not _damage(path):
            return path
    return None


# --- state that the trainer forgets ----------------------------------------------------------------------


class Progress(Callback):
    """Counts trained batches in the ``DataModule``, whose state then says where to go on.

    The trainer's own counter is one behind while the hooks at the end of a batch run.
    """

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        _datamodule(trainer).advance()


class RandomState(Callback):
    """Saves the states of the global random generators of all processes and restores them just before training goes
    on."""

    def __init__(self) -> None:
        self._saved: dict[str, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        states: list[Any] = [random_state()]
        if distributed.is_initialized():
            states = states * distributed.get_world_size()
            distributed.all_gather_object(states, states[0])
        return {"processes": states}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._saved = state_dict["processes"][distributed.get_rank() if distributed.is_initialized() else 0]

    # A run saved between two epochs goes on with the first hook, one saved inside an epoch with the second.
    def on_train_epoch_start(self, *_: Any) -> None:
        self._restore()

    def on_train_batch_start(self, *_: Any) -> None:
        self._restore()

    def _restore(self) -> None:
        if self._saved:
            set_random_state(self._saved)
            self._saved = {}


def random_state() -> dict[str, Any]:
    """States of the generators of torch, CUDA (where in use), numpy and Python as tensors and plain data."""
    legacy: dict[str, Any] = dict(np.random.get_state(legacy=False))  # noqa: NPY002 - the global one is meant
    version, internal, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "numpy": [
            legacy["bit_generator"],
            legacy["state"]["key"].tolist(),
            int(legacy["state"]["pos"]),
            int(legacy["has_gauss"]),
            float(legacy["gauss"]),
        ],
        "python": [version, list(internal), gauss],
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))


class BestWeights(Callback):
    """Keeps the weights of the epoch with the lowest ``monitor``, inside the resumable state itself.

    A second file could get out of step with the first when a run is killed between the two. The weights
    are those that were validated: the running average where ``AveragedWeights`` is in use.
    """

    def __init__(self, monitor: str = "validation_loss"):
        self.monitor = monitor
        self.value = float("inf")
        self.epoch = -1
        self.weights: dict[str, Tensor] = {}
        self._candidate: dict[str, Tensor] = {}

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int, *_: Any
    ) -> None:
        # Here and not at the end, because by then an average has been exchanged for the raw weights again.
        if batch_idx == 0 and not trainer.sanity_checking:
            self._candidate = {name: x.detach().cpu().clone() for name, x in pl_module.state_dict().items()}

    def on_validation_end(self, trainer: pl.Trainer, *_: Any) -> None:
        if trainer.sanity_checking or self.monitor not in trainer.callback_metrics:
            return
        value = float(trainer.callback_metrics[self.monitor])
        if value < self.value:
            self.value, self.epoch, self.weights = value, trainer.current_epoch, self._candidate
        self._candidate = {}

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value, "epoch": self.epoch, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.value, self.epoch = state_dict["value"], state_dict["epoch"]
        self.weights = state_dict["weights"]


class AveragedWeights(WeightAveraging):
    """Exponential running average of the weights, validated during training and left in the module after."""

    def __init__(self, decay: float):
        # 0.999 x + 0.001 x is not x, so constants would drift: buffers are copied, and the average goes a part of the
        # way to each weight, which for a frozen one is no way at all.
        super().__init__(use_buffers=False, multi_avg_fn=get_ema_multi_avg_fn(decay))

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # A resumed run with no step left skips the end of training, where the average is put in place.
        self.on_train_end(trainer, pl_module)


# --- saving and stopping ---------------------------------------------------------------------------------


class NonFiniteGuard(Callback):
    """Stops before a loss or gradient that is not finite can spoil the weights or a checkpoint.

    Not for float16 with loss scaling, where infinite gradients are part of the method.
    """

    def __init__(self) -> None:
        self._keys: tuple[str, ...] = ()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        self._keys = batch.keys

    def on_before_backward(self, trainer: pl.Trainer, pl_module: pl.LightningModule, loss: Tensor) -> None:
        self._check(trainer, "loss", loss)

    def on_before_optimizer_step(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: Any) -> None:
        gradients = [p.grad for p in pl_module.parameters() if p.grad is not None]
        self._check(trainer, "gradient norm", torch.nn.utils.get_total_norm(gradients))

    def _check(self, trainer: pl.Trainer, what: str, value: Tensor) -> None:
        if torch.isfinite(value).all():
            return
        saved = any(isinstance(x, LastCheckpoint) and x.has_saved for x in trainer.callbacks)  # type: ignore[attr-defined]
        kept = "the saved state is from before this step" if saved else "no state had been saved before this step"
        more = f" and {len(self._keys) - 8} more" if len(self._keys) > 8 else ""
        raise NonFiniteError(
            f"the {what} became {float(value.detach().sum())} at step {trainer.global_step} (epoch "
            f"{trainer.current_epoch + 1}) on the records {', '.join(self._keys[:8])}{more}: look at their "
            f"values or lower the learning rate; {kept}"
        )


class LastCheckpoint(Checkpoint):
    """Saves the whole training state as ``last.ckpt`` after every epoch and, in long epochs, every
    ``seconds``, keeps the one before as ``previous.ckpt``, and turns SIGINT and SIGTERM into save-and-stop.

    A signal is obeyed at the next batch boundary; after the last batch of an epoch, at the end of that
    epoch, so that its validation is never lost. The caller receives ``Interrupted``. A second signal ends
    the process at once. It must be the last callback, because it saves the states of the others.

    Several processes save and stop together, whichever of them the clock or a signal reached; the first writes.
    """

    def __init__(self, directory: str | Path, seconds: float | int = SECONDS):
        self.directory = Path(directory)
        self.seconds = seconds
        self._saved = monotonic()
        self._signum = 0
        self._handlers: dict[int, Any] = {}
        self._stopped = False

    @property
    def has_saved(self) -> bool:
        return any((self.directory / name).exists() for name in (LAST, PREVIOUS))

    def state_dict(self) -> dict[str, Any]:
        return {"stopped": self._stopped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._stopped = state_dict["stopped"]

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if trainer.callbacks[-1] is not self:  # type: ignore[attr-defined]
            raise ValueError("LastCheckpoint must be the last of the trainer's callbacks")
        if trainer.max_steps != -1:
            raise ValueError("resuming needs Trainer(max_epochs=...) without max_steps")
        if trainer.is_global_zero:
            self.directory.mkdir(parents=True, exist_ok=True)
            for left in leftovers(self.directory):
                left.unlink(missing_ok=True)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # The trainer forgets that early stopping had ended the run, and would train on.
        trainer.should_stop = trainer.should_stop or self._stopped
        self._saved = monotonic()
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                self._handlers[signum] = signal.signal(signum, self._on_signal)

    def _on_signal(self, signum: int, frame: FrameType | None) -> None:
        if self._signum:  # asked twice: do not wait
            signal.signal(signum, signal.SIG_DFL)
            signal.raise_signal(signum)
        self._signum = signum

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        consumed = _datamodule(trainer).position[1]
        # Gradients under accumulation are not saved, and the end of an epoch has its own hook.
        if trainer.is_last_batch or consumed % trainer.accumulate_grad_batches:
            return
        wish = _largest(trainer, self._signum or int(monotonic() - self._saved >= self.seconds))
        if wish:
            self._save(trainer, wish if wish > 1 else 0)  # no signal that is handled here has the number 1

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._save(trainer, _largest(trainer, self._signum))

    def _save(self, trainer: pl.Trainer, signum: int) -> None:
        self._stopped = trainer.should_stop
        last = self.directory / LAST
        if trainer.is_global_zero and last.exists():
            last.replace(self.directory / PREVIOUS)
        trainer.save_checkpoint(last)
        self._saved = monotonic()
        self._obey(trainer, signum)

    def _obey(self, trainer: pl.Trainer, signum: int) -> None:
        if signum:
            raise Interrupted(signum, self.directory / LAST, trainer.global_step)

    def on_train_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._release()
        self._obey(trainer, _largest(trainer, self._signum))  # a signal that came after the last save

    def on_exception(self, *_: Any) -> None:
        self._release()

    def _release(self) -> None:
        while self._handlers:
            signal.signal(*self._handlers.popitem())


def resume_callbacks(
    directory: str | Path | None,
    *others: Callback,
    seconds: float | int = SECONDS,
    monitor: str = "validation_loss",
) -> list[Callback]:
    """``others`` (early stopping, averaging, progress bars) among what makes a run resumable, in order; without a
    directory nothing is saved."""
    guards: list[Callback] = [RandomState(), Progress(), NonFiniteGuard(), BestWeights(monitor)]
    return [*guards, *others, *([] if directory is None else [LastCheckpoint(directory, seconds)])]


def _largest(trainer: pl.Trainer, number: int) -> int:
    """The largest of the numbers that the processes of a run bring."""
    if trainer.world_size == 1:
        return number
    return int(trainer.strategy.reduce(torch.tensor(number, device=trainer.strategy.root_device), reduce_op="max"))


def _datamodule(trainer: pl.Trainer) -> Positioned:
    module = trainer.datamodule  # type: ignore[attr-defined]
    if not isinstance(module, Positioned):
        raise ValueError(f"resumable training needs fit(datamodule=DataModule), got {type(module).__name__}")
    return module
