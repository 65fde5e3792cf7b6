"""The contract of a domain: how raw scientific records become tokens, and what is known about them."""

import abc
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
    features: Callable[[Sequence[Record]], Any]
    """Missing ones are NaN; a ridge takes no NaN, but a scipy sparse matrix as well."""
    estimator: Literal["gradient_boosting", "random_forest", "ridge"]


@dataclass(frozen=True)
class Grouping:
    """A way to group records for a split that has to be explained: ``method`` says how, in words."""

    of: Callable[[Record], str]
    method: str

    def __call__(self, record: Record) -> str:
        return self.of(record)


TokenBaseline = Callable[[Sequence[Record], Sequence[Record], Target, int], np.ndarray]
"""From training and test records, what is answered of every token, and a seed, to the answers for all tokens of all
test records end to end: numbers [m], or probabilities [m, classes]."""


class DomainAdapter(abc.ABC):
    """What a domain must say. Implementations are frozen dataclasses whose fields are plain JSON values,
    because they are written to the checkpoint and rebuilt from it."""

    name: ClassVar[str]
    symmetries: ClassVar[tuple[str, ...]] = ()
    """Declared invariances, each proved by the contract tests: ``permutation``, ``translation``, ``time_shift``,
    ``shift`` (along the order of a sequence)."""

    extensive: ClassVar[bool] = False
    """Whether a record is the sum of its tokens (a molecule of its atoms): answers may then grow with their number."""

    part_noun: ClassVar[str] = "token"
    """What a part of a record is called, in one word, where every part is answered."""

    noun: ClassVar[str] = "record"
    """What a record is called, in one word."""

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

    def facts(self) -> list[str]:
        """In words, what the records that this adapter was made for have in common."""
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

    def continuing(self, saved: "DomainAdapter") -> "DomainAdapter":
        """The same adapter, reading records as a backbone has learned to that was trained with ``saved``, an adapter
        of the same domain: what is not in the data is taken from there.

        Raises ``ValueError`` for records that such a backbone would misread.
        """
        return self

    def alongside(self, every: Sequence["DomainAdapter"]) -> "DomainAdapter":
        """The same adapter, reading its records so that one backbone can learn from those of all these adapters of the
        domain, itself among them. Nothing is fitted yet.

        Raises ``ValueError`` where that cannot be.
        """
        if any(other != self for other in every):
            raise ValueError(
                f"streams of the domain {self.name!r} are read in different ways, so they cannot share a backbone: "
                "give them the same bands, units and options"
            )
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

    def described(self, records: Sequence[Record]) -> Any:
        """A ``pandas.DataFrame`` of numbers that follow from each of these records as a whole, NaN where one is
        undefined: a backbone can learn from them without labels. None in a domain that has none."""
        return None

    def whole(self, record: Record) -> Tokens:
        """The tokens of a record of which nothing is hidden, with all that follows from them."""
        return self.tokenize(record)

    def token_names(self, record: Record) -> list[str]:
        """Readable names of the tokens, for attention tables."""
        return [str(i) for i in range(self.tokenize(record).size)]

    @property
    def token_targets(self) -> tuple[Target, ...]:
        """What is answered of every token; their truths are columns of the tokens that are not embedded."""
        return ()

    def labelled(self, record: Record) -> bool:
        """Whether a readable record brings along any truth about its tokens."""
        return bool(self.token_targets)

    def parts(self, record: Record) -> Any:
        """A ``pandas.DataFrame`` of the parts of a record that a token each stands for: its place in the column
        ``token``, and what the domain calls it."""
        import pandas as pd

        names = self.token_names(record)
        return pd.DataFrame({"token": range(len(names)), "name": names})

    def origin(self) -> Record | None:
        """The record that all others are variants of, where the adapter knows one."""
        return None

    def changed(self, record: Record) -> tuple[Any, Callable[[int], Record]]:
        """All single changes of a record: a ``pandas.DataFrame`` with a row per change (``variant``, ``site`` and what
        stands there after it, ``to``), and what makes the changed record of a row.

        Raises ``ValueError`` in a domain whose records are not made of letters.
        """
        raise ValueError(f"records of the domain {self.name!r} have no substitutions to go through")

    def varied(self, record: Record) -> list[str]:
        """The sites of a record, as ``changed`` calls them, whose changes ``fitted`` met, those that varied most often
        first; none in a domain without such changes, and where nothing was fitted."""
        return []

    def groupings(self, records: Sequence[Record]) -> Mapping[str, Callable[[Record], str]]:
        """Named ways to group ``records`` for a split (``scaffold`` for molecules); what takes long is done when the
        group of a first record is asked for."""
        return {}

    def orders(self) -> Mapping[str, Callable[[Record], float]]:
        """Named quantities by which records can be ordered, for a split whose test part lies beyond the others
        (``mutations`` of the variants of a protein)."""
        return {}

    def nearest(self, queries: Sequence[Record], references: Sequence[Record]) -> tuple[np.ndarray, np.ndarray] | None:
        """For each query the similarity (0..1) to its nearest reference and that reference's index;
        None where the domain has no measure of similarity."""
        return None

    def baselines(self) -> Sequence[Baseline]:
        return ()

    def token_baselines(self) -> Mapping[str, TokenBaseline]:
        """Classical models of what is answered of every token, by name."""
        return {}

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

    def depict_changes(self, effects: Any) -> str | None:
        """An SVG drawing of the matrix of ``Predictor.mutate``; None where there is none."""
        return None

    def depict_parts(self, record: Record, target: Target, answers: Any) -> str | None:
        """An SVG drawing of what is answered of every part of a record: ``answers`` has a row each, with ``truth`` (a
        number or a class; NaN or None where unknown), ``prediction`` and, of numbers, ``lower`` and ``upper``."""
        return None

    def depict_contacts(self, record: Record, ask: "Callable[[Record], Any]") -> str | None:
        """An SVG drawing of the matrix of ``Ensemble.contacts``, for which ``ask`` must be called and which it may lack
        (None); None where there is nothing to see."""
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
