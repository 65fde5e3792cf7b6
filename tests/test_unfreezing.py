"""Gradual unfreezing: which layers learn in which epoch, also when a training is stopped and goes on."""

import signal

import pytest
import pytorch_lightning as pl
import torch
from torch.testing import assert_close

from sciformer import training
from sciformer.data.batching import BatchConfig
from sciformer.data.datamodule import DataModule
from sciformer.domains.molecule import adapter as Molecule
from sciformer.model import Sciformer, SciformerConfig
from sciformer.nn.lora import inject
from sciformer.optim import OptimConfig, layer_of, layer_rates
from sciformer.resume import Interrupted
from sciformer.tasks.property import Property
from sciformer.tokens import Example, Target
from sciformer.unfreezing import GradualUnfreezing

pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec.*:FutureWarning")

DEPTH = 2
CONFIG = SciformerConfig(width=16, depth=DEPTH, heads=2, dropout=0.1)
TOKENS, FIRST, LAST, TASK = range(DEPTH + 2)
STEPS = 2  # of an epoch


def make(prepare=lambda model: None, **optim) -> tuple[training.SciformerModule, DataModule]:
    molecule = Molecule()
    examples = [
        Example(key=r.key, tokens={"molecule": molecule.tokenize(r)}, targets={"y": float(i % 3)})
        for i, r in enumerate(molecule.read(["CCO", "CCC", "c1ccccc1", "CCN"]))
    ]
    settings = OptimConfig(**{"epochs": 4, "lr": 0.01, **optim})
    data = DataModule(examples, examples[:2], targets=["y"], batches=BatchConfig(records=2))
    torch.manual_seed(0)
    task = Property(CONFIG, [Target("y")])
    task.fit(examples)
    model = Sciformer(CONFIG, {"molecule": molecule})
    prepare(model)
    total = data.sampler.total_steps(settings.epochs)
    assert total == STEPS * settings.epochs
    return training.SciformerModule(model, task, settings, total, 0, layer_rates(DEPTH, 0.8)), data


class Diary(pl.Callback):
    """Names of the parameters that moved in each epoch."""

    def __init__(self):
        self.moved: list[set[str]] = []
        self.before: dict[str, torch.Tensor] = {}

    def on_train_epoch_start(self, trainer, pl_module):
        self.before = {name: p.detach().clone() for name, p in pl_module.named_parameters()}

    def on_train_epoch_end(self, trainer, pl_module):
        moved = {name for name, p in pl_module.named_parameters() if not torch.equal(p, self.before[name])}
        self.moved.append(moved)

    @property
    def layers(self) -> list[set[int]]:
        return [{layer_of(name, DEPTH) for name in names} for names in self.moved]


class StopAt(pl.Callback):
    """What a signal does, at a chosen step."""

    def __init__(self, step: int):
        self.step = step

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step:
            signal.raise_signal(signal.SIGTERM)


def fit(folder, *observers, prepare=lambda model: None, **optim) -> training.SciformerModule:
    module, data = make(prepare, **optim)
    return training.fit(module, data, folder, *observers, accelerator="cpu")


def test_each_epoch_one_more_layer_learns(tmp_path):
    diary = Diary()
    module = fit(tmp_path, GradualUnfreezing(), diary)
    assert diary.layers == [{TASK}, {TASK, LAST}, {TASK, LAST, FIRST}, {TASK, LAST, FIRST, TOKENS}]
    assert "model.norm.weight" in diary.moved[1] - diary.moved[0]
    assert all(p.requires_grad for p in module.parameters()), "all is there for a next training"


def test_a_layer_may_be_given_several_epochs(tmp_path):
    diary = Diary()
    fit(tmp_path, GradualUnfreezing(2), diary, epochs=5)
    assert diary.layers == [{TASK}, {TASK}, {TASK, LAST}, {TASK, LAST}, {TASK, LAST, FIRST}]


def test_what_was_frozen_before_stays_frozen(tmp_path):
    """The base of low-rank updates never moves; the factors wait for their block."""
    diary = Diary()
    module = fit(tmp_path, GradualUnfreezing(), diary, prepare=lambda model: inject(model, rank=2, alpha=4))
    assert diary.layers == [{TASK}, {TASK, LAST}, {TASK, LAST, FIRST}, {TASK, LAST, FIRST}]
    backbone = {name for name in diary.moved[-1] if name.startswith("model.")}
    assert {name.rsplit(".", 1)[1] for name in backbone} == {"up", "down"}
    assert {name for name, p in module.model.named_parameters(prefix="model") if p.requires_grad} == backbone


@pytest.mark.parametrize("ema", [0.0, 0.5])
@pytest.mark.parametrize("stop", [0, STEPS - 1, STEPS, 2 * STEPS, 3 * STEPS])  # the second is saved between epochs
def test_interrupted_equals_uninterrupted(tmp_path, stop, ema):
    whole = fit(tmp_path / "whole", GradualUnfreezing(), ema=ema)
    with pytest.raises(Interrupted):
        fit(tmp_path / "cut", GradualUnfreezing(), StopAt(stop), ema=ema)
    resumed = fit(tmp_path / "cut", GradualUnfreezing(), ema=ema)
    assert_close(resumed.state_dict(), whole.state_dict(), atol=0, rtol=0)


def test_a_run_resumed_inside_an_epoch_has_its_layers(tmp_path):
    """The trainer does not announce an epoch that is under way."""
    seen = []

    class Learning(pl.Callback):
        def on_train_batch_start(self, trainer, pl_module, *_):
            names = [name for name, p in pl_module.named_parameters() if p.requires_grad]
            seen.append((trainer.global_step, {layer_of(name, DEPTH) for name in names}))

    with pytest.raises(Interrupted):
        fit(tmp_path, GradualUnfreezing(), StopAt(2 * STEPS))
    fit(tmp_path, GradualUnfreezing(), Learning())
    assert seen[0] == (2 * STEPS + 1, {TASK, LAST, FIRST})


def test_averages_leave_frozen_layers_as_they_were(tmp_path):
    start, _ = make()
    averaged = fit(tmp_path, GradualUnfreezing(), epochs=2, ema=0.9)
    before = dict(start.named_parameters())
    moved = {layer_of(n, DEPTH) for n, p in averaged.named_parameters() if not torch.equal(p, before[n])}
    assert moved == {TASK, LAST}


def test_a_failed_training_leaves_nothing_frozen(tmp_path):
    class Fail(pl.Callback):
        def on_train_batch_start(self, *_):
            raise ConnectionError("killed")

    module, data = make()
    with pytest.raises(ConnectionError):
        training.fit(module, data, tmp_path, GradualUnfreezing(), Fail(), accelerator="cpu")
    assert all(p.requires_grad for p in module.parameters())


@pytest.mark.parametrize("epochs", [0, -1])
def test_less_than_an_epoch_per_layer_is_refused(epochs):
    with pytest.raises(ValueError, match=rf"at least 1, got {epochs}: leave gradual unfreezing out"):
        GradualUnfreezing(epochs)
