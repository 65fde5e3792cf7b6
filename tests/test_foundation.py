"""A pretrained backbone comes back as it was, whole and by domain, or is refused by file and field."""

import copy
import dataclasses

import numpy as np
import pytest
import torch

import sciformer
from sciformer import foundation
from sciformer.checkpoint import IntegrityError, load_checkpoint, save_checkpoint
from sciformer.data.examples import example_of
from sciformer.domains.lightcurve.data import LightCurveData
from sciformer.domains.molecule.adapter import Molecule
from sciformer.domains.molecule.data import MoleculeData
from sciformer.foundation import Backbone, Foundation
from sciformer.model import Sciformer, SciformerConfig
from sciformer.tasks.describe import Describe
from sciformer.tasks.forecast import Forecast
from sciformer.tasks.reconstruct import Reconstruct

CONFIG = SciformerConfig(width=32, depth=2, heads=2)
SMILES = ["CCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "C"]
TRAINED = {"steps": 10, "minutes": 0.1}


@pytest.fixture(scope="module")
def made() -> Foundation:
    """Of molecules and light curves, with three objectives; not trained, but for the scales."""
    sets = [data.load().unlabelled() for data in (MoleculeData(rows=12), LightCurveData(rows=6))]
    adapters = {data.adapter.name: data.adapter for data in sets}
    examples = {data.adapter.name: [example_of(data.adapter, record) for record in data.records] for data in sets}
    torch.manual_seed(0)
    model = Sciformer(CONFIG, adapters)
    model.fit([example for part in examples.values() for example in part])
    molecule, curve = adapters["molecule"], adapters["lightcurve"]
    tasks = {
        "masked": Reconstruct(CONFIG, molecule.schema, "molecule", 0.2),
        "described": Describe(CONFIG, "molecule", ["size", "amount"]),
        "later": Forecast(CONFIG, curve, family="quantile"),
    }
    tasks["masked"].fit(examples["molecule"])
    tasks["later"].fit(examples["lightcurve"])
    numbers = [{"size": 1e9 * e.size, "amount": 0.1 * i} for i, e in enumerate(examples["molecule"])]
    described = zip(examples["molecule"], numbers, strict=True)
    tasks["described"].fit([dataclasses.replace(example, targets=known) for example, known in described])
    return Foundation(adapters, model, tasks).eval()


@pytest.fixture(scope="module")
def saved(made, tmp_path_factory):
    path = tmp_path_factory.mktemp("checkpoints") / "two"
    foundation.save(made, path, title="Two domains", card="# Two\n", trained=TRAINED)
    return path


@pytest.fixture
def honest(saved):
    return load_checkpoint(saved)


def forged(checkpoint, path, config=None, weights=None):
    """The checkpoint with fields exchanged (``a/b`` is b in a, None takes it out) and hashes that agree."""
    made = copy.deepcopy(checkpoint.config)
    for field, value in (config or {}).items():
        *outer, last = field.split("/")
        section = made
        for key in outer:
            section = section[int(key) if isinstance(section, list) else key]
        last = int(last) if isinstance(section, list) else last
        if value is None:
            del section[last]
        else:
            section[last] = value
    return save_checkpoint(path, config=made, weights=weights or checkpoint.weights, calibration={}, card="")


# --- there and back --------------------------------------------------------------------------------------


def test_vectors_after_loading_are_those_before(made, saved):
    curves = LightCurveData(rows=3).load().records
    for domain, records in (("molecule", Molecule().read(SMILES)), ("lightcurve", curves)):
        before, after = made.backbone(domain), sciformer.load(saved, domain=domain, device="cpu")
        assert isinstance(after, Backbone)
        assert after.adapter == before.adapter
        records = list(records)
        np.testing.assert_array_equal(after.vectors(records), before.vectors(records))
        assert np.isfinite(after.vectors(records)).all()
    embedded = sciformer.load(saved, domain="molecule", device="cpu").embed(SMILES)
    np.testing.assert_array_equal(embedded.to_numpy(), made.backbone("molecule").embed(SMILES).to_numpy())


def test_every_weight_and_objective_comes_back(made, saved):
    again = foundation.restore(load_checkpoint(saved))
    assert again.state_dict().keys() == made.state_dict().keys()
    assert all(torch.equal(again.state_dict()[name], x) for name, x in made.state_dict().items())
    assert {name: task.to_json() for name, task in again.objectives.items()} == {
        name: task.to_json() for name, task in made.objectives.items()
    }
    assert [type(task).__name__ for task in again.objectives_of("molecule")] == ["Reconstruct", "Describe"]
    assert not again.training
    assert not any(p.requires_grad for p in again.parameters())


def test_what_it_is_stands_in_its_config(honest):
    assert foundation.is_foundation(honest)
    assert honest.config["title"] == "Two domains"
    assert honest.config["trained"] == TRAINED
    assert honest.config["simulated"] is False
    assert [spec["name"] for spec in honest.config["adapters"]] == ["molecule", "lightcurve"]
    assert list(honest.config["objectives"]) == ["masked", "described", "later"]


def test_half_the_size_is_nearly_the_same(made, saved, tmp_path):
    foundation.save(made, tmp_path / "half", title="Two domains", card="# Two\n", trained=TRAINED, half=True)
    sizes = [(path / "model.safetensors").stat().st_size for path in (tmp_path / "half", saved)]
    assert sizes[0] < 0.6 * sizes[1]
    whole, half = (sciformer.load(path, domain="molecule", device="cpu") for path in (saved, tmp_path / "half"))
    before, after = (x.embed(SMILES).to_numpy() for x in (whole, half))
    assert 0 < np.abs(after - before).max() < 1e-2
    assert all(p.dtype == torch.float32 for p in half.members[0].parameters())
    scales = [x.foundation.objectives["described"].scale for x in (whole, half)]
    assert torch.equal(scales[0].mean, scales[1].mean)
    assert scales[1].mean[0] > 1e9


def test_loading_leaves_the_seed_of_the_caller_alone(saved):
    torch.manual_seed(3)
    before = torch.get_rng_state()
    sciformer.load(saved, domain="molecule", device="cpu")
    assert torch.equal(torch.get_rng_state(), before)


# --- one of several domains ------------------------------------------------------------------------------


def test_of_several_domains_one_must_be_named(saved):
    with pytest.raises(ValueError, match="reads several domains, lightcurve, molecule: say which, as in domain='light"):
        sciformer.load(saved)
    with pytest.raises(ValueError, match="does not read the domain 'protein'; it reads lightcurve, molecule"):
        sciformer.load(saved, domain="protein")


def test_the_only_domain_need_not_be_named(made, tmp_path):
    model = Sciformer(CONFIG, {"molecule": made.adapters["molecule"]})
    model.load_state_dict({n: x for n, x in made.model.state_dict().items() if "lightcurve" not in n})
    alone = Foundation({"molecule": made.adapters["molecule"]}, model, {"masked": made.objectives["masked"]}).eval()
    foundation.save(alone, tmp_path / "m", title="One", card="", trained={})
    vectors = sciformer.load(tmp_path / "m", device="cpu").embed(SMILES).to_numpy()
    np.testing.assert_array_equal(vectors, made.backbone("molecule").embed(SMILES).to_numpy())


# --- what is refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "ensemble"}, "config has unknown fields adapters, kind, objectives, trained"),
        ({"shell": "rm"}, "config has unknown fields shell"),
        ({"adapters": None}, r"config\.adapters is missing"),
        ({"adapters": []}, "adapters must be of one or more different domains, got none"),
        ({"adapters/1": {"name": "molecule"}}, "different domains, got molecule, molecule"),
        ({"adapters/0/name": "os"}, "no domain named 'os'; found: "),
        ({"adapters/0/max_hops": "10"}, r"adapters\[0\]\.max_hops must be of type int, got '10'"),
        ({"adapters/1/shell": "rm"}, r"adapters\[1\] has unknown fields shell"),
        ({"model/width": 20000}, r"model\.width must be a number in 1\.\.16384, got 20000"),
        ({"model/depth": 3}, "the weights do not fit the model that their config describes: missing: model.blocks.2"),
        ({"model/heads": 5}, "width must be a multiple of heads"),
        ({"model/width": 48}, r"of another shape: model\.blocks\.0\.attention\.out\.bias \(saved"),
        ({"objectives": []}, r"config\.objectives must be of type dict"),
        ({"objectives": {}}, "objectives must be of all adapters, got none of 'lightcurve'"),
        ({"objectives/later": None}, "objectives must be of all adapters, got none of 'lightcurve'"),
        ({"objectives/masked": None}, r"unexpected: objectives\.masked\.head"),
        ({"objectives/masked/name": "translate"}, r"objectives\.masked\.name must be one of reconstruct, describe, f"),
        ({"objectives/masked/name": None}, r"objectives\.masked\.name must be one of .*, got None"),
        ({"objectives/masked/modality": "protein"}, r"objectives\.masked\.modality is 'protein', but the adapters are"),
        ({"objectives/masked/modality": "lightcurve"}, "of another shape: objectives.masked.head.out"),
        ({"objectives/masked/share": "much"}, r"objectives\.masked\.share must be of type float, got 'much'"),
        ({"objectives/masked/share": 1.5}, r"share of hidden tokens must lie in \(0, 1\), got 1\.5"),
        ({"objectives/described/names": []}, r"objectives\.described\.names must have a length in 1\.\.10000, got 0"),
        ({"objectives/described/names": [1]}, r"objectives\.described\.names must be of type list\[str\]"),
        ({"objectives/described/names": ["size"] * 20_000}, r"names must have a length in 1\.\.10000, got 20000"),
        ({"objectives/described/names": ["size"]}, r"of another shape: objectives\.described\.readout"),
        ({"objectives/described/extensive": None}, r"objectives\.described\.extensive is missing"),
        ({"objectives/later/family": "poisson"}, r"objectives\.later\.family must be of type"),
        ({"objectives/later/cut": [0.9, 0.1]}, r"must rise within 0\.\.1, got \[0\.9, 0\.1\]"),
        (
            {"objectives/later/modality": "molecule", "objectives/masked/modality": "lightcurve"},
            "records of the domain 'molecule' have no forecasts",
        ),
        ({"objectives/a.b": {}}, r"a stream cannot be called 'a\.b': take a word of letters"),
        ({"objectives/train": {}}, "a stream cannot be called 'train'"),
        ({"simulated": "no"}, r"config\.simulated must be of type bool, got 'no'"),
    ],
)
def test_a_config_that_was_not_saved_so_is_refused_by_file_and_field(honest, change, message, tmp_path):
    path = forged(honest, tmp_path / "m", change)
    with pytest.raises(IntegrityError, match=message) as error:
        sciformer.load(path, domain="molecule")
    assert str(error.value).startswith(f"{path / 'config.json'}: ")
    assert "\n" not in str(error.value)


def test_there_is_no_end_to_objectives_but_a_limit(honest, monkeypatch, tmp_path):
    monkeypatch.setattr(foundation, "MOST", 2)
    with pytest.raises(IntegrityError, match="objectives must be at most 2, got 3"):
        sciformer.load(forged(honest, tmp_path / "m"), domain="molecule")


@pytest.mark.parametrize("part", ["model.embedders.molecule", "model.blocks.1", "objectives.later", "model.norm"])
def test_weights_that_lack_one_tensor_are_not_loaded_in_part(honest, part, tmp_path):
    gone = next(name for name in honest.weights if name.startswith(part))
    weights = {name: x for name, x in honest.weights.items() if name != gone}
    with pytest.raises(IntegrityError, match=f"do not fit the model that their config describes: missing: {gone};"):
        sciformer.load(forged(honest, tmp_path / "m", weights=weights), domain="molecule")


@pytest.mark.parametrize("name", ["model.blocks.2.bias", "objectives.other.head", "extra"])
def test_weights_that_nobody_asked_for_are_refused(honest, name, tmp_path):
    weights = {**honest.weights, name: torch.ones(2)}
    with pytest.raises(IntegrityError, match=f"unexpected: {name};"):
        sciformer.load(forged(honest, tmp_path / "m", weights=weights), domain="molecule")


def test_memory_is_taken_only_for_a_model_that_the_weights_fit(honest, monkeypatch, tmp_path):
    devices = []

    class Watched(foundation.Sciformer):
        def __init__(self, config, adapters):
            super().__init__(config, adapters)
            devices.append({x.device.type for x in self.parameters()})

    monkeypatch.setattr(foundation, "Sciformer", Watched)
    with pytest.raises(IntegrityError, match="do not fit the model"):
        sciformer.load(forged(honest, tmp_path / "m", {"model/width": 48}), domain="molecule")
    assert devices == [{"meta"}]
    sciformer.load(honest.path, domain="molecule", device="cpu")
    assert devices[1:] == [{"meta"}, {"cpu"}]
