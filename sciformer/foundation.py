"""A pretrained backbone on disk and back: what a model for an own question starts from.

Its checkpoint holds one backbone, an adapter for each domain that it reads, and the objectives it was trained on. It
answers nothing; ``Backbone`` is what one of its domains can be asked all the same: vectors, attention, what is hidden.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn

import pandas as pd
import torch
from torch import Tensor, nn

from sciformer import discovery, substitutions
from sciformer.adapter import DomainAdapter, SeriesAdapter
from sciformer.checkpoint import (
    MODEL_LIMITS,
    SCHEMA_VERSION,
    Checkpoint,
    check_fields,
    load_strict,
    refused,
    require_fit,
    save_checkpoint,
)
from sciformer.ensemble import Ensemble, Member
from sciformer.model import Sciformer, SciformerConfig
from sciformer.tasks.base import Task
from sciformer.tasks.describe import Describe
from sciformer.tasks.forecast import Forecast
from sciformer.tasks.reconstruct import Reconstruct

ANSWERS_NOTHING = "this is a pretrained backbone, which answers nothing before it is fine-tuned:"

MOST = 10_000
"""Descriptors, or objectives, that a checkpoint may ask for."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """What ``config.json`` of a pretrained backbone holds."""

    schema_version: int = SCHEMA_VERSION
    kind: Literal["foundation"] = "foundation"
    sciformer: str
    title: str
    adapters: list[dict[str, Any]]
    model: dict[str, Any]
    objectives: dict[str, dict[str, Any]]
    """What each stream of its training learned, by the name of the stream."""
    simulated: bool
    trained: dict[str, Any]
    """How: data, steps, seconds, losses."""


@dataclass(frozen=True)
class _Masked:
    """An objective, as ``Reconstruct.to_json`` writes it."""

    name: Literal["reconstruct"]
    modality: str
    share: float


@dataclass(frozen=True)
class _Described:
    """An objective, as ``Describe.to_json`` writes it."""

    name: Literal["describe"]
    modality: str
    names: list[str]
    extensive: bool


@dataclass(frozen=True)
class _Forecast:
    """An objective, as ``Forecast.to_json`` writes it."""

    name: Literal["forecast"]
    modality: str
    future: float
    cut: list[float]
    family: Literal["gaussian", "quantile"]
    apart: bool


_SPECS: Mapping[str, type] = {"reconstruct": _Masked, "describe": _Described, "forecast": _Forecast}


def check_names(streams: Iterable[str]) -> None:
    """Raise ``ValueError`` for the name of a stream that cannot be an option, a metric and a part of a module."""
    known = nn.ModuleDict()
    if bad := [name for name in streams if not name.isidentifier() or hasattr(known, name)]:
        raise ValueError(
            f"a stream cannot be called {bad[0]!r}: take a word of letters, digits and _, such as 'masked'"
        )


class Foundation(nn.Module):
    """One backbone, its adapters by domain, and its objectives by stream."""

    def __init__(self, adapters: Mapping[str, DomainAdapter], model: Sciformer, objectives: Mapping[str, Task]):
        super().__init__()
        self.adapters, self.model, self.objectives = dict(adapters), model, nn.ModuleDict(objectives)

    def objectives_of(self, domain: str) -> list[Task]:
        """Those that are about records of a domain; one that names none is about whatever is read."""
        tasks = [task for task in self.objectives.values() if isinstance(task, Task)]
        return [task for task in tasks if getattr(task, "modality", domain) == domain]

    def backbone(self, domain: str = "") -> "Backbone":
        """It as one domain reads it; ``domain`` may be left out where there is one.

        Raises ``ValueError`` where it reads several and none is named, or not the one that is.
        """
        known = ", ".join(sorted(self.adapters))
        if not domain and len(self.adapters) > 1:
            raise ValueError(
                f"this backbone reads several domains, {known}: say which, as in domain={min(self.adapters)!r} "
                f"(--domain {min(self.adapters)})"
            )
        domain = domain or known
        if domain not in self.adapters:
            raise ValueError(f"this backbone does not read the domain {domain!r}; it reads {known}")
        tasks = self.objectives_of(domain)
        return Backbone(self.adapters[domain], [Member(self.model, task) for task in tasks[:1]], {}, foundation=self)


@dataclass(frozen=True)
class Backbone(Ensemble[Task]):
    """A pretrained backbone as the records of one domain meet it."""

    foundation: Foundation | None = None

    def scan(self, source: Any, *, sites: Collection[str] | None = None, **columns: Any) -> pd.DataFrame:
        """How much less likely each single substitution of one record is than what stands there, as the backbone sees
        it without ever having met a measured effect: ``substitutions.scan``, which has the formula and the source.

        ``sites`` (``["M1", "K5"]``) chooses some of them. Returns a row per substitution: ``variant``, ``site``,
        ``to``, ``effect`` (log odds in nats, below 0 where the backbone holds the substitution for less likely), and
        ``status``: ``ok``, or why there is no effect.

        Raises ``ValueError`` where the source is not one readable record, has no substitutions or not these sites, and
        for a backbone that did not learn to fill in what is hidden.
        """
        return substitutions.scan(self, self._masked(), self.alone(source, **columns), sites)

    def mutate(self, source: Any, **columns: Any) -> pd.DataFrame:
        """The effects of ``scan`` as a matrix of sites (``M1``) by amino acids; what stands at a site already changes
        nothing (0)."""
        return substitutions.matrix(self.scan(source, **columns))

    def variants(self, source: Any, names: Sequence[str], **columns: Any) -> pd.DataFrame:
        """The effect of each of several variants of one record, ``["M1A", "M1A,K5L"]``: all sites of a variant are
        hidden at once, and what ``scan`` says of each is added up. Returns ``variant``, ``effect`` and ``status``.

        Raises ``ValueError`` as ``scan`` does, and for a name that is none of its substitutions.
        """
        return substitutions.variants(self, self._masked(), self.alone(source, **columns), names)

    def predict(self, *args: Any, **options: Any) -> NoReturn:
        raise TypeError(f"{ANSWERS_NOTHING} .embed(...) has vectors of the records")

    forecast = residues = predict

    def _masked(self) -> Reconstruct:
        """The objective of filling in what is hidden.

        Raises ``ValueError`` where it was not learned.
        """
        learned = [] if self.foundation is None else self.foundation.objectives_of(self.adapter.name)
        for task in learned:
            if isinstance(task, Reconstruct):
                return task
        told = ", ".join(str(task.to_json()["name"]) for task in learned) or "nothing"
        raise ValueError(
            f"this backbone did not learn to fill in what is hidden of records of the domain {self.adapter.name!r} "
            f"(it learned {told}), so it cannot tell how likely a substitution is: pretrain one with the objective "
            "'masked'"
        )


def save(
    foundation: Foundation,
    path: Path,
    *,
    title: str,
    card: str,
    trained: Mapping[str, Any],
    simulated: bool = False,
    half: bool = False,
) -> None:
    """Write a checkpoint directory; ``half`` keeps weights as float16, at half the size and about three digits.

    Scales keep theirs: descriptors reach numbers that a half cannot hold.
    """
    from sciformer import __version__

    config = Config(
        sciformer=__version__,
        title=title,
        adapters=[discovery.to_json(adapter) for adapter in foundation.adapters.values()],
        model=asdict(foundation.model.config),
        objectives={name: task.to_json() for name, task in foundation.objectives.items()},  # type: ignore[operator]
        simulated=simulated,
        trained=dict(trained),
    )
    weights = foundation.state_dict()
    weights = halved(weights, {name for name, _ in foundation.named_buffers()}) if half else weights
    save_checkpoint(path, config=asdict(config), weights=weights, calibration={}, card=card)


def halved(weights: Mapping[str, Tensor], exact: Collection[str]) -> dict[str, Tensor]:
    """The same in half precision, but for the names in ``exact``: scales reach numbers that a half cannot hold."""
    return {name: x if name in exact or not x.is_floating_point() else x.half() for name, x in weights.items()}


def is_foundation(checkpoint: Checkpoint) -> bool:
    """Whether a checkpoint is that of a pretrained backbone, rather than of a model that answers."""
    return checkpoint.config.get("kind") == "foundation"


def restore(checkpoint: Checkpoint, device: str | torch.device = "cpu") -> Foundation:
    """The backbone of a checkpoint whose files are verified; believed only where it describes the weights beside it.

    Raises ``IntegrityError`` naming file and field.
    """
    with refused(checkpoint.path / "config.json"):
        config = _checked(checkpoint)
        with torch.device("meta"):
            require_fit(_build(config), checkpoint.weights)
    with torch.random.fork_rng(devices=[]):
        foundation = _build(config)
    load_strict(foundation, checkpoint.weights)
    return foundation.eval().requires_grad_(False).to(device)


def _build(config: Config) -> Foundation:
    adapters = {spec["name"]: discovery.from_json(spec) for spec in config.adapters}
    shape = SciformerConfig(**config.model)
    objectives = {name: _objective(shape, adapters, spec) for name, spec in config.objectives.items()}
    return Foundation(adapters, Sciformer(shape, adapters), objectives)


def _objective(shape: SciformerConfig, adapters: Mapping[str, DomainAdapter], spec: Mapping[str, Any]) -> Task:
    adapter = adapters[spec["modality"]]
    if spec["name"] == "describe":
        return Describe(shape, adapter.name, spec["names"], extensive=spec["extensive"])
    if spec["name"] == "forecast":
        if not isinstance(adapter, SeriesAdapter):
            raise ValueError(f"records of the domain {adapter.name!r} have no forecasts")
        return Forecast.from_json(shape, spec, adapter)
    return Reconstruct(shape, adapter.schema, adapter.name, spec["share"])


def _checked(checkpoint: Checkpoint) -> Config:
    """The config of a checkpoint; ``ValueError`` naming a field that cannot have been saved so."""
    config = Config(**check_fields(checkpoint.config, Config, "config"))
    names = []
    for i, spec in enumerate(config.adapters):
        kind = discovery.adapter_class(str(spec.get("name")))
        check_fields({name: x for name, x in spec.items() if name != "name"}, kind, f"adapters[{i}]")
        names.append(kind.name)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"adapters must be of one or more different domains, got {', '.join(names) or 'none'}")
    check_fields(config.model, SciformerConfig, "model", MODEL_LIMITS)
    if len(config.objectives) > MOST:
        raise ValueError(f"objectives must be at most {MOST}, got {len(config.objectives)}")
    check_names(config.objectives)
    for stream, spec in config.objectives.items():
        where = f"objectives.{stream}"
        if spec.get("name") not in _SPECS:
            raise ValueError(f"{where}.name must be one of {', '.join(_SPECS)}, got {spec.get('name')!r}")
        limits = {"names": (1, MOST)} if spec["name"] == "describe" else None
        check_fields(spec, _SPECS[spec["name"]], where, limits)
        if spec["modality"] not in names:
            raise ValueError(f"{where}.modality is {spec['modality']!r}, but the adapters are of {', '.join(names)}")
    if lost := set(names) - {spec["modality"] for spec in config.objectives.values()}:
        raise ValueError(f"objectives must be of all adapters, got none of {min(lost)!r}")
    return config
