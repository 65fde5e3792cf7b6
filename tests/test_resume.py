"""The law of resuming: interrupted = uninterrupted, in every bit of the weights and every record seen."""

import contextlib
import multiprocessing
import os
import random
import signal
import time

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping
from torch import nn

from sciformer.checkpoint import IntegrityError
from sciformer.data.batching import BatchConfig
from sciformer.data.datamodule import DataModule, ResumeError
from sciformer.resume import (
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

resource = pytest.importorskip("resource", reason="signals and limits are tested on POSIX systems")

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

    def loss(self, batch):
        tokens = batch.tokens["toy"]
        answer = (self.net(tokens.values * self.scale).squeeze(-1) * tokens.exists).sum(-1)
        return (answer - batch.targets["y"]).square().mean()

    def training_step(self, batch, batch_idx):
        self.diary.append((self.global_step, batch.keys))
        return self.loss(batch) * (float("nan") if self.global_step == self.poison else 1.0)

    def validation_step(self, batch, batch_idx):
        self.log("validation_loss", self.loss(batch), batch_size=len(batch))

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.02)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: max(0.0, 1 - s / self.total_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class StopAt(pl.Callback):
    """What a signal does, at a chosen step."""

    def __init__(self, step, signum=signal.SIGTERM):
        self.step, self.signum = step, signum

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step:
            self.step = None  # once: a step has several batches where gradients are accumulated
            signal.raise_signal(self.signum)


def train(directory, *others, resume=False, accumulate=1, toy=None, epochs=EPOCHS, every_n_steps=0, **changes):
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
        callbacks=resume_callbacks(directory, *others, every_n_steps=every_n_steps),
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
    assert trainer.global_step == data().sampler.total_batches(EPOCHS)


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
        train(tmp_path, StopAt(9), every_n_steps=2)
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
        train(tmp_path, toy=toy, every_n_steps=1)
    assert all(key in str(caught.value) for key in toy.diary[-1][1])
    saved = AtomicCheckpointIO().load_checkpoint(newest_valid(tmp_path))
    assert saved["global_step"] == 9
    assert all(torch.isfinite(x).all() for x in saved["state_dict"].values())
    resumed, _ = train(tmp_path, resume=True)
    assert_same(resumed, reference[0])


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


class Bomb:
    def __reduce__(self):
        return (os.system, ("touch canary",))


def test_a_pickle_is_never_executed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"x": Bomb()}, tmp_path / "bomb.ckpt")
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "bomb.ckpt", weights_only=False)
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("url", ["http://localhost/x.ckpt", "s3://bucket/x.ckpt", "file:///x.ckpt"])
def test_urls_are_refused(url):
    with pytest.raises(IntegrityError, match="local files only"):
        AtomicCheckpointIO().load_checkpoint(url)


def test_damage_is_named_on_load(tmp_path):
    path = tmp_path / "x.ckpt"
    AtomicCheckpointIO().save_checkpoint({"x": torch.ones(1000)}, path)
    whole = path.read_bytes()
    for bad in (
        whole[:-10],
        whole[: len(whole) // 2],
        b"",
        whole.replace(b"\x00\x00\x80\x3f", b"\x00\x00\x81\x3f", 1),
    ):
        assert bad != whole
        path.write_bytes(bad)
        with pytest.raises(IntegrityError, match=r"x\.ckpt"):
            AtomicCheckpointIO().load_checkpoint(path)
    with pytest.raises(FileNotFoundError, match="no training checkpoint"):
        AtomicCheckpointIO().load_checkpoint(tmp_path / "absent.ckpt")


def save_with_little_room(path, answers):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        AtomicCheckpointIO().save_checkpoint({"x": torch.ones(1_000_000)}, path)
    except OSError as error:
        answers.send(error.strerror)


def save_for_ever(directory, answers):
    answers.send("ready")
    content = {"x": torch.randn(3_000_000)}
    while True:
        for name in "abc":
            AtomicCheckpointIO().save_checkpoint(content, directory / f"{name}.ckpt")


@contextlib.contextmanager
def child(function, place):
    """A process of its own for what must not happen to this one."""
    fork = multiprocessing.get_context("fork")
    here, there = fork.Pipe()
    process = fork.Process(target=function, args=(place, there))
    process.start()
    try:
        yield process, here
    finally:
        process.kill()
        process.join()


def test_a_full_disk_is_said_plainly_and_leaves_the_old_file(tmp_path):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"x": torch.zeros(3)}, path)
    with child(save_with_little_room, path) as (process, answers):
        assert answers.poll(60)
        assert answers.recv().startswith("the disk is full")
        process.join()
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]
    assert AtomicCheckpointIO().load_checkpoint(path)["x"].tolist() == [0, 0, 0]


def test_a_kill_while_writing_leaves_only_whole_files(tmp_path):
    for i in range(4):
        with child(save_for_ever, tmp_path) as (_, answers):
            assert answers.recv() == "ready"
            time.sleep(0.3 + 0.07 * i)
        files = list(tmp_path.glob("*.ckpt"))
        assert files
        for path in files:
            assert AtomicCheckpointIO().load_checkpoint(path)["x"].shape == (3_000_000,)
    assert newest_valid(tmp_path) in files
