"""Fitting: the norm of a gradient is bounded in every precision."""

import pytest
import torch

from sciformer import training
from sciformer.data.batching import BatchConfig
from sciformer.data.datamodule import DataModule
from sciformer.domains.molecule import adapter as Molecule
from sciformer.model import Sciformer, SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.tasks.property import Property
from sciformer.tokens import Example, Target

CONFIG = SciformerConfig(width=16, depth=1, heads=2, dropout=0.0)


def _module(optim: OptimConfig) -> tuple[training.SciformerModule, DataModule]:
    molecule = Molecule()
    examples = [
        Example(key=r.key, tokens={"molecule": molecule.tokenize(r)}, targets={"y": float(i % 3)})
        for i, r in enumerate(molecule.read(["CCO", "CCC", "c1ccccc1", "CCN"]))
    ]
    data = DataModule(examples, [], targets=["y"], batches=BatchConfig(records=2))
    torch.manual_seed(0)
    task = Property(CONFIG, [Target("y")])
    task.fit(examples)
    model = Sciformer(CONFIG, {"molecule": molecule})
    return training.SciformerModule(model, task, optim, data.sampler.total_steps(optim.epochs), 0), data


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec.*:FutureWarning")
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradients_are_clipped_in_every_precision(tmp_path, monkeypatch, precision):
    """The trainer itself refuses to clip for a fused optimiser under mixed precision, that is on every GPU."""
    norms = []
    clip = torch.nn.utils.clip_grad_norm_

    def recorded(parameters, limit):
        parameters = list(parameters)
        clip(parameters, limit)
        norms.append(float(clip(parameters, 1e9)))  # what is left after clipping

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", recorded)
    monkeypatch.setattr(training, "precision", lambda accelerator: precision)
    module, data = _module(OptimConfig(epochs=1, clip=0.01))
    training.fit(module, data, tmp_path, accelerator="cpu")
    assert len(norms) == 2
    assert max(norms) < 0.0101


def test_a_cpu_computes_in_full_precision():
    assert training.precision("cpu") == "32-true"
