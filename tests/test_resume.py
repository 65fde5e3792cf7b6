"""The law of resuming: interrupted = uninterrupted, in every bit of the weights and every record seen."""

import itertools
import random
import signal

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from torch import nn

from sciformer.data.batching import BatchConfig
from sciformer.data.datamodule import DataModule, ResumeError
from sciformer.progress import History
from sciformer.resume import (
    SECONDS,
    AtomicCheckpointIO,
    AveragedWeights,
    BestWeights,
    Interrupted,
    LastCheckpoint,
    NonFiniteError,
    newest_valid,
    random_state,
    resume_callbacks,
    set_random_state,
)
from sciformer.tokens import Example, Tokens

pytest.importorskip("resource", reason="signals and limits are tested on POSIX systems")

pytestmark = [
    # Two cores do not want loader processes for data in memory.
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    # The trainer's CombinedLoader still uses a class that torch is about to rename.
    pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning"),
]

EPOCHS = 3


def examples(count, seed):
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        values = torch.from_numpy(rng.normal(size=(int(rng.integers(1, 9)), 2))).float()
        made.append(
            Example(
                key=f"r{i}",
                tokens={"toy": Tokens.of("toy", values=values)},
                targets={"y": float(values.sum())},
            )
        )
    return made


def jitter(tokens, rng):
    noise = torch.from_numpy(rng.normal(size=tokens.values.shape)).float()
    return tokens.replace(values=tokens.values + 0.1 * noise)


def data(**changes):
    given = {
        "targets": ["y"],
        "batches": BatchConfig(row=0, records=7, tokens=30, pool=13),
        "seed": 3,
        "augment": jitter,
    }
    return DataModule(examples(40, 0), examples(10, 1), **{**given, **changes})


class Toy(pl.LightningModule):
    """Dropout (global generator), a schedule over all steps, a buffer, and a diary of the records seen."""

    def __init__(self, total_steps, poison=-1):
        super().__init__()
        torch.manual_seed(11)
        self.net = nn.Sequential(nn.Linear(2, 8), nn.Dropout(0.3), nn.ReLU(), nn.Linear(8, 1))
        self.register_buffer("scale", torch.tensor([0.1, 0.7]))
        self.total_steps = total_steps
        self.poison = poison
        self.diary = []
        self.losses = {epoch: [] for epoch in range(EPOCHS)}

    def loss(self, batch):
        tokens = batch.tokens["toy"]
        answer = (self.net(tokens.values * self.scale).squeeze(-1) * tokens.exists).sum(-1)
        return (answer - batch.targets["y"]).square().mean()

    def training_step(self, batch, batch_idx):
        self.diary.append((self.global_step, batch.keys))
        loss = self.loss(batch) * (float("nan") if self.global_step == self.poison else 1.0)
        self.losses[self.current_epoch].append((loss.item(), len(batch)))
        return loss

    def validation_step(self, batch, batch_idx):
        self.log("validation_loss", self.loss(batch), batch_size=len(batch))

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.02)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: max(0.0, 1 - s / self.total_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class StopAtTheEnd(pl.Callback):
    """A signal after the last save."""

    def on_train_end(self, *_):
        signal.raise_signal(signal.SIGTERM)


class CrashAt(pl.Callback):
    """What a kill does, at a chosen step."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step:
            raise ConnectionError("killed")


class StopAt(pl.Callback):
    """What a signal does, at a chosen step."""

    def __init__(self, step, signum=signal.SIGTERM):
        self.step, self.signum = step, signum

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step:
            self.step = None  # once: a step has several batches where gradients are accumulated
            signal.raise_signal(self.signum)


def train(directory, *others, resume=False, accumulate=1, toy=None, epochs=EPOCHS, seconds=3600, **changes):
    module = data(**changes)
    toy = toy or Toy(module.sampler.total_steps(EPOCHS, accumulate))
    torch.manual_seed(99 + resume)  # a resumed process never starts with the right states
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        accumulate_grad_batches=accumulate,
        use_distributed_sampler=False,
        gradient_clip_val=1.0,
        plugins=[AtomicCheckpointIO()],
        callbacks=resume_callbacks(directory, *others, seconds=seconds),
    )
    path = newest_valid(directory) if resume else None
    trainer.fit(toy, datamodule=module, ckpt_path=path)
    return toy, trainer


def interrupted(directory, stops, make=lambda: [], **changes):
    """Train with stops at the given steps; returns the last process's module and what all of them saw."""
    diary, resume = [], False
    for stop in stops:
        module = data(**changes.get("data", {}))
        toy = Toy(module.sampler.total_steps(EPOCHS, changes.get("accumulate", 1)))
        with pytest.raises(Interrupted) as caught:
            train(directory, *make(), StopAt(stop), resume=resume, toy=toy, **changes)
        assert caught.value.exit_code == 143
        assert str(caught.value.checkpoint) in str(caught.value)
        diary += toy.diary
        resume = True
    toy, trainer = train(directory, *make(), resume=True, **changes)
    return toy, trainer, diary + toy.diary


def assert_same(a, b):
    for name, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[name]), name


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return train(tmp_path_factory.mktemp("reference"))


def steps():
    """The first batch, the middle, the last batch of an epoch, the first of the next, the last of all."""
    lengths = [len(data().sampler.batches(epoch)) for epoch in range(EPOCHS)]
    first = lengths[0]
    return {
        "first": [0],
        "middle": [first + 2],
        "epoch end": [first - 1],
        "epoch start": [first],
        "last": [sum(lengths) - 1],
        "again and again": [1, 3, first - 1, first, first + 1],
    }


@pytest.mark.parametrize("point", list(steps()))
def test_interrupted_equals_uninterrupted(point, tmp_path, reference):
    toy, _, diary = interrupted(tmp_path, steps()[point])
    assert diary == reference[0].diary
    assert_same(toy, reference[0])


@pytest.mark.slow
@pytest.mark.parametrize("point", ["middle", "epoch end"])
def test_the_law_holds_with_loader_processes(point, tmp_path, reference):
    workers = BatchConfig(row=0, records=7, tokens=30, pool=13, workers=2)
    toy, _, diary = interrupted(tmp_path, steps()[point], batches=workers)
    assert diary == reference[0].diary
    assert_same(toy, reference[0])


def test_epochs_of_different_length_are_all_seen_whole_and_validated(reference):
    toy, trainer = reference
    expected = [[f"r{i}" for i in batch] for epoch in range(EPOCHS) for batch in data().sampler.batches(epoch)]
    assert [list(keys) for _, keys in toy.diary] == expected
    assert len({len(data().sampler.batches(epoch)) for epoch in range(EPOCHS)}) > 1
    assert trainer.current_epoch == EPOCHS
    assert trainer.global_step == data().sampler.total_steps(EPOCHS)


def test_the_law_holds_with_accumulated_gradients(tmp_path):
    whole, _ = train(tmp_path / "whole", accumulate=3)
    toy, trainer, diary = interrupted(tmp_path / "cut", [1, 4], accumulate=3)
    assert diary == whole.diary
    assert_same(toy, whole)
    assert trainer.global_step == data().sampler.total_steps(EPOCHS, 3)


def averaging():
    return [AveragedWeights(0.8)]


@pytest.mark.parametrize("point", ["middle", "epoch end", "again and again"])
def test_the_law_holds_with_averaged_weights(point, tmp_path):
    whole, trainer = train(tmp_path / "whole", *averaging())
    toy, resumed, diary = interrupted(tmp_path / "cut", steps()[point], averaging)
    assert diary == whole.diary
    assert_same(toy, whole)
    assert torch.equal(whole.scale, torch.tensor([0.1, 0.7])), "constants must not be averaged"
    for name, value in best(trainer).weights.items():
        assert torch.equal(value, best(resumed).weights[name])


def best(trainer):
    return next(callback for callback in trainer.callbacks if isinstance(callback, BestWeights))


def test_the_best_weights_are_those_that_were_validated(tmp_path):
    _, trainer = train(tmp_path, *averaging())
    toy = Toy(1)
    toy.load_state_dict(best(trainer).weights)
    toy.eval()
    batches = list(data().val_dataloader())
    with torch.no_grad():
        loss = sum(float(toy.loss(b)) * len(b) for b in batches) / sum(map(len, batches))
    assert loss == pytest.approx(best(trainer).value, rel=1e-5)


def test_resuming_a_finished_run_trains_nothing_and_ends_with_its_weights(tmp_path):
    for others in (list, averaging):
        whole, _ = train(tmp_path / others.__name__, *others())
        toy, _ = train(tmp_path / others.__name__, *others(), resume=True)
        assert toy.diary == []
        assert_same(toy, whole)


def test_a_run_that_early_stopping_ended_does_not_train_on_when_resumed(tmp_path):
    def stopper():
        return EarlyStopping("validation_loss", patience=1, min_delta=1e9)

    whole, trainer = train(tmp_path, stopper())
    assert trainer.current_epoch == 2
    toy, again = train(tmp_path, stopper(), resume=True)
    assert (again.current_epoch, toy.diary) == (2, [])
    assert_same(toy, whole)


def test_a_damaged_newest_file_falls_back_to_the_one_before(tmp_path, reference):
    with pytest.raises(Interrupted):
        train(tmp_path, StopAt(9), seconds=0)
    last = tmp_path / "last.ckpt"
    assert newest_valid(tmp_path) == last
    damaged = bytearray(last.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    last.write_bytes(damaged)
    assert newest_valid(tmp_path) == tmp_path / "previous.ckpt"
    toy, _ = train(tmp_path, resume=True)
    assert_same(toy, reference[0])


def test_nothing_to_resume_from_is_none(tmp_path):
    assert newest_valid(tmp_path) is None
    assert newest_valid(tmp_path / "absent") is None
    (tmp_path / "last.ckpt").write_bytes(b"")
    (tmp_path / "other.ckpt").write_bytes(b"PK\x03\x04 not really")
    assert newest_valid(tmp_path) is None


def test_ctrl_c_saves_and_the_handlers_are_given_back(tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(Interrupted) as caught:
        train(tmp_path, StopAt(2, signal.SIGINT))
    assert caught.value.exit_code == 130
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_signal_after_the_last_save_is_obeyed_too(tmp_path, reference):
    with pytest.raises(Interrupted) as caught:
        train(tmp_path, StopAtTheEnd())
    assert caught.value.exit_code == 143
    toy, _ = train(tmp_path, resume=True)
    assert toy.diary == []
    assert_same(toy, reference[0])


def test_long_epochs_are_saved_by_the_clock(tmp_path, monkeypatch, reference):
    monkeypatch.setattr("sciformer.resume.monotonic", itertools.count(0, 25).__next__)  # a reading takes 25 s
    with pytest.raises(ConnectionError):
        train(tmp_path, CrashAt(5), seconds=SECONDS)
    saved = AtomicCheckpointIO().load_checkpoint(newest_valid(tmp_path))
    assert 1 < saved["global_step"] < 5 < len(data().sampler.batches(0)), "inside the first epoch"
    toy, _ = train(tmp_path, resume=True)
    assert_same(toy, reference[0])


def test_short_epochs_are_not_saved_batch_by_batch(tmp_path, monkeypatch):
    monkeypatch.setattr("sciformer.resume.monotonic", itertools.count(0, 1).__next__)
    with pytest.raises(ConnectionError):
        train(tmp_path, CrashAt(5), seconds=SECONDS)
    assert newest_valid(tmp_path) is None


@pytest.mark.parametrize("point", ["middle", "epoch end", "again and again"])
def test_the_learning_curve_is_that_of_an_uninterrupted_run(point, tmp_path):
    def curve(trainer):
        rows = next(callback for callback in trainer.callbacks if isinstance(callback, History)).rows
        return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]

    toy, whole = train(tmp_path / "whole", History(0))
    assert [row["epoch"] for row in curve(whole)] == [1, 2, 3]
    sums = [sum(loss * n for loss, n in losses) for losses in toy.losses.values()]
    assert [row["train_loss"] for row in curve(whole)] == pytest.approx([x / 40 for x in sums])
    _, cut, _ = interrupted(tmp_path / "cut", steps()[point], lambda: [History(0)])
    assert curve(cut) == curve(whole)


@pytest.mark.parametrize("change", [{"seed": 4}, {"batches": BatchConfig(row=0, records=6)}])
def test_resuming_a_different_run_is_refused(change, tmp_path):
    with pytest.raises(Interrupted):
        train(tmp_path, StopAt(2))
    with pytest.raises(ResumeError, match="cannot resume"):
        train(tmp_path, resume=True, **change)


def test_a_loss_that_is_not_finite_stops_with_the_records_and_keeps_the_last_good_state(tmp_path, reference):
    module = data()
    toy = Toy(module.sampler.total_steps(EPOCHS), poison=9)
    with pytest.raises(NonFiniteError, match=r"loss became nan at step 9 .* records r\d+, r\d+") as caught:
        train(tmp_path, toy=toy, seconds=0)
    assert all(key in str(caught.value) for key in toy.diary[-1][1])
    assert "(epoch 1)" in str(caught.value)
    assert "the saved state is from before this step" in str(caught.value)
    saved = AtomicCheckpointIO().load_checkpoint(newest_valid(tmp_path))
    assert saved["global_step"] == 9
    assert all(torch.isfinite(x).all() for x in saved["state_dict"].values())
    resumed, _ = train(tmp_path, resume=True)
    assert_same(resumed, reference[0])


def test_a_loss_that_is_not_finite_at_once_does_not_speak_of_a_saved_state(tmp_path):
    toy = Toy(data().sampler.total_steps(EPOCHS), poison=0)
    with pytest.raises(NonFiniteError, match=r"at step 0 \(epoch 1\).*no state had been saved before this step"):
        train(tmp_path, toy=toy)


def test_the_wrong_order_and_step_limits_are_refused(tmp_path):
    wrong = [LastCheckpoint(tmp_path), LastCheckpoint(tmp_path / "b")]
    fit = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    with pytest.raises((ValueError, RuntimeError)):
        pl.Trainer(max_epochs=1, callbacks=wrong, **fit).fit(Toy(1), datamodule=data())
    with pytest.raises(ValueError, match="without max_steps"):
        pl.Trainer(max_steps=3, callbacks=wrong[:1], **fit).fit(Toy(1), datamodule=data())


def test_random_states_round_trip_through_a_file(tmp_path):
    def draw():
        return torch.rand(3).tolist(), np.random.rand(3).tolist(), random.random(), random.gauss(0, 1)  # noqa: NPY002

    saved = random_state()
    random.gauss(0, 1)  # leaves a second value behind, which belongs to the state
    try:
        path = tmp_path / "state.ckpt"
        AtomicCheckpointIO().save_checkpoint({"random": random_state()}, path)
        first = draw()
        set_random_state(AtomicCheckpointIO().load_checkpoint(path)["random"])
        assert draw() == first
    finally:
        set_random_state(saved)
