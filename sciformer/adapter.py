"""The contract of a domain: how raw scientific records become tokens, and what is known about them.

A domain is a package ``sciformer.domains.<name>`` (or an installed entry point in the group
``sciformer.domains``) whose module attribute ``adapter`` is a subclass of ``DomainAdapter``.
It is found by discovery, so adding one edits no existing module.
"""

import abc
import dataclasses
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from jaxtyping import Float
from torch import nn

from sciformer.nn.embed import ColumnEmbedder
from sciformer.tokens import Axis, Schema, Target, Tokens


@dataclass(frozen=True, kw_only=True)
class Record:
    """One raw record in its native type. A record that cannot be read keeps its place:
    ``data`` is None and ``problem`` says why in one line."""

    key: str
    data: Any = None
    group: str = ""
    """The unit of leakage: records with the same group are the same thing measured again."""
    targets: Mapping[str, float] = field(default_factory=dict)
    """Known answers only, in physical units (class index for classes)."""
    span: tuple[float, float, float] | None = None
    """Of a window of a longer series, the moments of its first step, of the first that is asked about, and of its last:
    parts of a split that are divided in time are told by it."""
    problem: str = ""

    @property
    def ok(self) -> bool:
        return not self.problem


@dataclass(frozen=True)
class Baseline:
    """A classical model to stand beside the transformer: features of the records and an estimator."""

    name: str
    features: Callable[[Sequence[Record]], np.ndarray]
    estimator: Literal["gradient_boosting", "random_forest"]


class DomainAdapter(abc.ABC):
    """What a domain must say. Implementations are frozen dataclasses whose fields are plain JSON values,
    because they are written to the checkpoint and rebuilt from it."""

    name: ClassVar[str]
    symmetries: ClassVar[tuple[str, ...]] = ()
    """Declared invariances, each proved by the contract tests: ``permutation``, ``translation``, ``time_shift``."""

    extensive: ClassVar[bool] = False
    """Whether a record is the sum of its tokens (a molecule of its atoms): answers may then grow with their number."""

    long: ClassVar[bool] = False
    """Whether a record spans several rows of a table (a light curve its observations)."""

    @property
    @abc.abstractmethod
    def schema(self) -> Schema: ...

    @abc.abstractmethod
    def read(self, source: Any, **columns: Any) -> Iterator[Record]:
        """Yield one record per row of ``source`` (path, table or native objects), bad rows included.

        Raises ``ValueError`` or ``OSError`` with one clear line where the whole source is unusable.
        """

    def unlike(self, record: Record) -> str:
        """Why a readable record is not of the kind that this adapter was made for (another unit); "" where it is."""
        return ""

    def remarks(self, records: Sequence[Record]) -> list[str]:
        """In words, what must be known of answers to these records: what the reader did, what is missing."""
        return []

    def table(self, source: Any, **columns: Any) -> Any:
        """The table (``pandas.DataFrame``) behind a source, row by row as ``read`` reads it with the same
        options, to stand beside the answers; None where there is none."""
        return None

    @abc.abstractmethod
    def tokenize(self, record: Record) -> Tokens:
        """Unbatched tokens of a readable record."""

    def fitted(self, records: Sequence[Record]) -> "DomainAdapter":
        """The same adapter with what it has to learn from the training records (a climatology); by default nothing."""
        return self

    def derive(self, tokens: Tokens) -> Tokens:
        """Fill the ``derived`` value columns of tokens, batched or not, from what is visible in them and nothing else.
        A task that hides something calls it afterwards; by default there is nothing to derive."""
        return tokens

    def augment(self, tokens: Tokens, rng: np.random.Generator) -> Tokens:
        """A physically equivalent variant for training; by default the same tokens."""
        return tokens

    def embedder(self, width: int) -> nn.Module:
        """Tokens to vectors; the default follows the schema and is enough for most domains."""
        return ColumnEmbedder(self.schema, width)

    def token_names(self, record: Record) -> list[str]:
        """Readable names of the tokens, for attention tables."""
        return [str(i) for i in range(self.tokenize(record).size)]

    def groupings(self) -> Mapping[str, Callable[[Record], str]]:
        """Named ways to group records for a split (``scaffold`` for molecules)."""
        return {}

    def nearest(self, queries: Sequence[Record], references: Sequence[Record]) -> tuple[np.ndarray, np.ndarray] | None:
        """For each query the similarity (0..1) to its nearest reference and that reference's index;
        None where the domain has no measure of similarity."""
        return None

    def baselines(self) -> Sequence[Baseline]:
        return ()

    @classmethod
    def build(
        cls, name: str, folder: Path, track: Callable[[Sequence[Path]], Iterable[Path]]
    ) -> Mapping[str, Any] | None:
        """Tables (``pandas.DataFrame``) by part of a data card of prepared files, from a clone of its repository;
        ``track`` goes through files and may show how far. None where the domain knows no way.

        Raises ``ValueError`` or ``OSError`` naming what is missing in ``folder`` or damaged.
        """
        return None

    def depict(self, record: Record, weights: Sequence[float] | None = None) -> str | None:
        """An SVG drawing of the record, tokens shaded by ``weights``; None where there is none."""
        return None


class SeriesAdapter(DomainAdapter):
    """A domain whose records go on in time: what would be measured at other places of a record can be asked.

    Questions, and observations that are held out, are data of the domain's native type.
    """

    places: ClassVar[tuple[str, ...]]
    """The columns of ``observations`` that say where: time first."""
    kind: ClassVar[str] = ""
    """The one of them that says which of ``quantities`` is meant, where there are several."""

    @property
    def asked(self) -> tuple[int, ...]:
        """Places of the value columns that a question is about: a token may hold several steps."""
        return (0,)

    @property
    def quantities(self) -> tuple[Target, ...]:
        """What is answered, with units."""
        column = self.schema.values[0]
        return (Target(column.name, unit=column.unit),)

    def answered(self, record: Record, questions: Any) -> np.ndarray:
        """For each row of ``observations(questions)`` the place of its answer among those of all columns ``asked`` of
        all tokens that ``ask`` adds, token by token."""
        return np.arange(len(self.observations(questions)))

    @property
    def clock(self) -> Axis:
        """The axis along which records go on; tables of observations have a column of its name."""
        return next(axis for axis in self.schema.axes if axis.name in ("time", "order"))

    def ahead(self, record: Record, time: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """How far ahead of what is seen of a record these times lie, as leads are told apart; by default since its last
        observation."""
        return time - self.observations(record.data)[self.clock.name].max()

    @abc.abstractmethod
    def ask(self, record: Record, questions: Any) -> Tokens:
        """The record's tokens, and behind them one for each question, whose value is not looked at."""

    @abc.abstractmethod
    def questions(self, record: Record) -> Any:
        """Questions about a readable record; implementations add the options that say where (times, bands).

        Raises ``ValueError`` for a place that cannot be asked about.
        """

    def may_ask(self, options: Collection[str]) -> None:
        """Raise ``ValueError`` for an option of ``questions`` that this domain does not have."""
        import inspect

        known = list(inspect.signature(self.questions).parameters)[1:]
        if odd := [name for name in options if name not in known]:
            raise ValueError(
                f"records of the domain {self.name!r} are not asked by {odd[0]}, but by {', '.join(known)}"
            )

    @abc.abstractmethod
    def observations(self, data: Any) -> Any:
        """A ``pandas.DataFrame`` with a row per observation or question: its place, ``value`` and ``error``
        (one sigma; NaN where unknown) in physical units."""

    @abc.abstractmethod
    def divide(self, record: Record, share: float) -> tuple[Record, Any] | None:
        """The record without the last ``share`` of its observations, and those; None where too little is left."""

    def origins(self, records: Sequence[Record], most: int, every: int | None) -> list[Record]:
        """Windows of long series, for ``divide``: the last ``most`` of each that lie ``every`` steps apart, by default
        as far as can be forecast; one ends with the last observation of any.

        Raises ``ValueError`` where records of the domain are no such series.
        """
        raise ValueError(
            f"records of the domain {self.name!r} are forecast once each and not from origin to origin: hold out their "
            "ends instead (sciformer evaluate without --backtest)"
        )

    def shares(self, record: Record, questions: Any, samples: int, rng: np.random.Generator) -> np.ndarray:
        """Numbers within 0..1, ``[samples, rows]`` of ``observations(questions)``: how high among what is possible each
        of several draws is. A column is even, and the columns hang together as what is observed of the record does.

        Raises ``ValueError`` in a domain whose records are asked about any time at once: nothing is rolled on.
        """
        raise ValueError(f"records of the domain {self.name!r} need no rollout: forecast them at the `times` you want")

    def continued(self, record: Record, questions: Any, values: np.ndarray) -> Record:
        """The record as if the rows of ``observations(questions)`` had been observed with these values. Domains that
        have ``shares`` have it too; of the others nobody asks for it."""
        raise NotImplementedError

    @abc.abstractmethod
    def ages(self, record: Record) -> np.ndarray:
        """The time (in the unit of ``clock``) of each observation since the record was first detected, rising."""

    @abc.abstractmethod
    def until(self, record: Record, age: float | int) -> Record | None:
        """The record as it was known at that age; None where nothing was observed yet."""

    @abc.abstractmethod
    def thin(self, record: Record, keep: float, rng: np.random.Generator) -> Record:
        """The record as if only a random share of its observations had been made."""

    def present(
        self,
        source: Any,
        records: Sequence[Record],
        cases: Sequence[tuple[Record, Any]],
        answer: Callable[[Sequence[tuple[Record, Any]]], Any],
    ) -> Any:
        """The answers to all questions of ``cases`` in the form of ``source``; None where that is a table of
        observations, as by default. ``answer`` turns any of the cases into a ``pandas.DataFrame``, case by case."""
        return None

    def places_as_told(self, record: Record, places: Any) -> Any:
        """The columns ``places`` of a table of answers as users know them; by default as they are."""
        return places

    def depict_forecast(
        self,
        record: Record,
        later: Any,
        ask: "Callable[[tuple[Record, Any]], Any]",
        weights: Sequence[float] | None = None,
    ) -> str | None:
        """An SVG drawing of what was seen, what came later, and what ``ask`` (a record with questions to a table of
        ``mean``, ``lower`` and ``upper`` by place) says of it, what was seen shaded by ``weights`` (one per token that
        ``ask`` of the adapter makes of it); None where there is none."""
        return None

    def forecasts(self, train: Sequence[Record]) -> "Mapping[str, Forecasting]":
        """Classical forecasts to stand beside the transformer, by name, fitted to the training part where need be."""
        return {}


Forecasting = Callable[[Any, Any], tuple[np.ndarray, np.ndarray]]
"""From a record's data and questions about it to mean and standard deviation of each answer."""


def to_json(adapter: DomainAdapter) -> dict[str, Any]:
    """Plain description from which ``from_json`` rebuilds the adapter."""
    return {"name": adapter.name, **dataclasses.asdict(adapter)}  # type: ignore[call-overload]


def from_json(spec: Mapping[str, Any]) -> DomainAdapter:
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in spec.items() if key != "name"}
    return adapter_class(spec["name"])(**plain)


def adapter_names() -> tuple[str, ...]:
    """Names of all domains that can be found, without importing them."""
    import sciformer.domains

    inside = {module.name for module in pkgutil.iter_modules(sciformer.domains.__path__)}
    outside = {point.name for point in importlib.metadata.entry_points(group="sciformer.domains")}
    return tuple(sorted(inside | outside))


def adapter_class(name: str) -> type[DomainAdapter]:
    """The adapter class of a domain.

    Raises ``ValueError`` when no such domain is installed.
    """
    if name not in adapter_names():
        raise ValueError(f"no domain named {name!r}; found: {', '.join(adapter_names())}")
    for point in importlib.metadata.entry_points(group="sciformer.domains", name=name):
        return point.load()
    return importlib.import_module(f"sciformer.domains.{name}").adapter
