"""Checkpoints to trained models and back.

A checkpoint says what it is in ``config.json``; anyone can write one, so it is believed only where it describes
the weights beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sciformer import calibration, discovery, foundation, lowrank, models
from sciformer.adapter import DomainAdapter, SeriesAdapter
from sciformer.annotator import Annotator
from sciformer.checkpoint import (
    MODEL_LIMITS,
    SCHEMA_VERSION,
    Checkpoint,
    IntegrityError,
    check_fields,
    load_checkpoint,
    load_strict,
    refused,
    require_fit,
    save_checkpoint,
)
from sciformer.distributions import Family
from sciformer.ensemble import Ensemble, Member, known_level
from sciformer.forecaster import Forecaster
from sciformer.foundation import Backbone
from sciformer.model import Sciformer, SciformerConfig
from sciformer.predictor import Predictor
from sciformer.tasks.base import Task
from sciformer.tasks.forecast import Forecast
from sciformer.tasks.property import Property
from sciformer.tasks.token_property import TokenProperty
from sciformer.tokens import Target

MOST_ITEMS = 10_000
"""Targets, or classes of a target, that a checkpoint may ask for."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What ``config.json`` of a checkpoint holds."""

    schema_version: int = SCHEMA_VERSION
    sciformer: str
    title: str
    adapter: dict[str, Any]
    model: dict[str, Any]
    task: dict[str, Any]
    members: int
    level: float
    simulated: bool
    splits: dict[str, Any]
    start: dict[str, Any] = field(default_factory=dict)
    """Of a model that was fine-tuned: what it started from."""
    added: bool = False
    """Whether the weights are only what was added to that."""


@dataclass(frozen=True)
class _PropertySpec:
    """The ``task`` of a config, as ``Property.to_json`` writes it."""

    name: Literal["property"]
    family: Family
    targets: list[dict[str, Any]]
    extensive: bool = True


@dataclass(frozen=True)
class _ForecastSpec:
    """The ``task`` of a config, as ``Forecast.to_json`` writes it."""

    name: Literal["forecast"]
    modality: str
    future: float
    cut: list[float]
    apart: bool = False
    family: Family = "gaussian"


@dataclass(frozen=True)
class _TokenSpec:
    """The ``task`` of a config, as ``TokenProperty.to_json`` writes it."""

    name: Literal["token_property"]
    modality: str
    family: Family


@dataclass(frozen=True)
class _StartSpec:
    """The ``start`` of a config, as ``finetuning.Origin.to_json`` writes it."""

    checkpoint: str
    sha256: str
    mode: Literal["full", "head", "lora", "gradual", "scratch"]
    rate: float
    decay: float
    frozen: str
    rank: int
    alpha: float
    labels: dict[str, str]


Trained = Predictor | Annotator | Forecaster | Backbone
"""What a checkpoint becomes, by its task."""


def save(
    trained: Ensemble[Any],
    path: Path,
    *,
    title: str,
    card: str,
    simulated: bool = False,
    splits: Mapping[str, Any] | None = None,
    start: Mapping[str, Any] | None = None,
    added: Sequence[Mapping[str, Tensor]] = (),
) -> None:
    """Write a checkpoint directory: what ``load`` reads, a model card for people, and where it comes from.

    With ``added`` (``lowrank.learned`` of every member) it holds that alone, in half precision, and whoever loads it
    needs the checkpoint that ``start`` names.
    """
    from sciformer import __version__

    first = trained.members[0]
    config = Config(
        sciformer=__version__,
        title=title,
        adapter=discovery.to_json(trained.adapter),
        model=asdict(first.model.config),
        task=first.task.to_json(),
        members=len(trained.members),
        level=trained.level,
        simulated=simulated,
        splits=dict(splits or {"kind": "", "fingerprint": ""}),
        start=dict(start or {}),
        added=bool(added),
    )
    if added:
        exact = {name for name, _ in first.named_buffers()}
        halves = [foundation.halved(own, exact) for own in added]
        weights = {f"members.{i}.{name}": x for i, own in enumerate(halves) for name, x in own.items()}
    else:
        weights = nn.ModuleDict({"members": nn.ModuleList(trained.members)}).state_dict()
    calibrations = {name: known.to_json() for name, known in trained.calibrations.items()}
    save_checkpoint(path, config=asdict(config), weights=weights, calibration=calibrations, card=card)


def load(path: str | Path, *, device: str = "auto", domain: str = "") -> Any:
    """Load a checkpoint, from its directory, from the Hugging Face hub (``hf://owner/name``, ``hf://owner/name@revision``;
    see ``hub.fetch``) or, of those that come with the package, by its name (``models.names``).

    What comes back depends on what it was trained for: a ``Predictor`` of properties, an ``Annotator`` of tokens, a
    ``Forecaster``, or, where it was pretrained, a ``Backbone``, whose ``domain`` must be named if it reads several.

    The manifest of hashes is verified first, and nothing is ever unpickled. ``device`` is a torch device
    or ``auto``: the GPU if there is one.
    Raises ``IntegrityError`` (a ``ValueError``) for a damaged or foreign checkpoint, naming the file.
    """
    return restore(load_checkpoint(models.find(path)), device, domain)


def restore(checkpoint: Checkpoint, device: str = "auto", domain: str = "") -> Trained:
    """The trained model of a checkpoint whose files are verified, which it remembers the place of.

    Anyone can make hashes agree with a config, so it is believed only where it describes the weights beside
    it: types and sizes are checked, and the model is built without storage first.
    Raises ``IntegrityError`` naming file and field.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if foundation.is_foundation(checkpoint):
        trained = foundation.restore(checkpoint, device).backbone(domain)
    else:
        trained = _restored(checkpoint, device)
        if domain and domain != trained.adapter.name:
            raise ValueError(f"this model reads the domain {trained.adapter.name!r}, not {domain!r}")
    trained.remember(checkpoint.path)
    return trained


def _restored(checkpoint: Checkpoint, device: str) -> Predictor | Annotator | Forecaster:
    """The model of a checkpoint that answers something."""
    with refused(checkpoint.path / "config.json"):
        config = _checked(checkpoint)
    whole = _completed(config, checkpoint) if config.added else _whole(config, checkpoint)
    whole.eval().requires_grad_(False).to(device)
    members = _members(whole)
    adapter, calibrations = discovery.from_json(config.adapter), _calibrations(checkpoint, members[0].task.answers)
    if isinstance(adapter, SeriesAdapter) and config.task["name"] == "forecast":
        return Forecaster(adapter, members, calibrations, config.level)
    if config.task["name"] == "token_property":
        return Annotator(adapter, members, calibrations, config.level)
    return Predictor(adapter, members, calibrations, config.level)


def foundation_of(checkpoint: Checkpoint) -> foundation.Foundation:
    """What other models can start from: a pretrained backbone, or a trained model (of an ensemble its first)."""
    if foundation.is_foundation(checkpoint):
        return foundation.restore(checkpoint)
    trained = restore(checkpoint, "cpu")
    member = trained.members[0]
    return foundation.Foundation({trained.adapter.name: trained.adapter}, member.model, {"task": member.task})


def _whole(config: Config, checkpoint: Checkpoint) -> nn.ModuleDict:
    """The members of a checkpoint that holds all their weights."""
    with refused(checkpoint.path / "config.json"), torch.device("meta"):
        require_fit(_build(config), checkpoint.weights)
    with torch.random.fork_rng(devices=[]):  # the caller's seed is not ours to spend
        whole = _build(config)
    load_strict(whole, checkpoint.weights)
    return whole


def _completed(config: Config, checkpoint: Checkpoint) -> nn.ModuleDict:
    """The members of a checkpoint that holds only what was added to another, which must be the very same."""
    with refused(checkpoint.path / "config.json"):
        start = check_fields(config.start, _StartSpec, "start")
    base = load_checkpoint(models.find(start["checkpoint"]))
    if base.sha256 != start["sha256"]:
        raise IntegrityError(
            f"{checkpoint.path} was trained on another {start['checkpoint']} than the one at {base.path}: get the "
            "checkpoint that it was trained on, or use the run's own checkpoint, which holds all weights"
        )
    adapter, origin = discovery.from_json(config.adapter), foundation_of(base)
    added = [
        {name.split(".", 2)[2]: x for name, x in checkpoint.weights.items() if name.startswith(f"members.{i}.")}
        for i in range(config.members)
    ]
    with refused(checkpoint.path / "config.json"), torch.device("meta"):
        shape, known = SciformerConfig(**config.model), origin.model.config
        if replace(known, dropout=shape.dropout, context=shape.context) != shape:
            raise ValueError(f"model is not of the shape of {start['checkpoint']}, to which it was added")
        for member, own in zip(_members(_build(config)), added, strict=True):
            require_fit(member.task, lowrank.under("task.", own))
    with torch.random.fork_rng(devices=[]):
        whole = _build(config)
    with refused(checkpoint.path / "model.safetensors"):
        for member, own in zip(_members(whole), added, strict=True):
            lowrank.put_back(member, origin, adapter, start, own)
    return whole


def _members(whole: nn.ModuleDict) -> list[Any]:
    return list(whole["members"])  # pyright: ignore[reportArgumentType]


def _build(config: Config) -> nn.ModuleDict:
    adapter, shape = discovery.from_json(config.adapter), SciformerConfig(**config.model)
    members = [Member(Sciformer(shape, {adapter.name: adapter}), _task(config, adapter)) for _ in range(config.members)]
    return nn.ModuleDict({"members": nn.ModuleList(members)})


def _task(config: Config, adapter: Any) -> Task:
    shape = SciformerConfig(**config.model)
    if config.task["name"] == "forecast":
        return Forecast.from_json(shape, config.task, adapter)
    if config.task["name"] == "token_property":
        return TokenProperty.from_json(shape, config.task, adapter)
    return Property.from_json(shape, config.task)


def _checked(checkpoint: Checkpoint) -> Config:
    """The config of a checkpoint; ``ValueError`` naming a field that cannot have been saved so."""
    config = Config(**check_fields(checkpoint.config, Config, "config"))
    kind = discovery.adapter_class(str(config.adapter.get("name")))
    check_fields({name: x for name, x in config.adapter.items() if name != "name"}, kind, "adapter")
    check_fields(config.model, SciformerConfig, "model", MODEL_LIMITS)
    _check_task(config, kind)
    known_level(config.level)
    held = {name.split(".")[1] for name in checkpoint.weights if name.startswith("members.")}
    if config.members != len(held):
        raise ValueError(f"members is {config.members}, but model.safetensors holds {len(held)}")
    return config


def _check_task(config: Config, kind: type[DomainAdapter]) -> None:
    if config.task.get("name") == "forecast":
        check_fields(config.task, _ForecastSpec, "task")
        if not issubclass(kind, SeriesAdapter) or config.task["modality"] != kind.name:
            raise ValueError(f"task.modality {config.task['modality']!r} of domain {kind.name!r} has no forecasts")
        return
    if config.task.get("name") == "token_property":
        check_fields(config.task, _TokenSpec, "task")
        if config.task["modality"] != kind.name:
            raise ValueError(f"task.modality is {config.task['modality']!r}, but the adapter is of {kind.name!r}")
        return
    targets = check_fields(config.task, _PropertySpec, "task", {"targets": (1, MOST_ITEMS)})["targets"]
    for i, target in enumerate(targets):
        check_fields(target, Target, f"task.targets[{i}]", {"classes": (0, MOST_ITEMS)})


def _calibrations(checkpoint: Checkpoint, targets: Sequence[Target]) -> dict[str, calibration.Calibration]:
    by_name = {target.name: target for target in targets}
    known = {}
    for name, spec in checkpoint.calibration.items():
        with refused(f"{checkpoint.path / 'calibration.json'}: {name}"):
            if name not in by_name:
                raise ValueError(f"is no target; targets are {', '.join(by_name)}")
            known[name], target = calibration.from_json(spec), by_name[name]
            if not known[name].suits(target):
                raise ValueError(f"kind {spec['kind']!r} does not suit a {target.kind} target {target.classes or ''}")
    return known
