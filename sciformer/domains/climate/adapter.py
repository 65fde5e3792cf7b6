"""The climate domain as the rest of the package sees it."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from jaxtyping import Float

from sciformer.adapter import DomainAdapter, Forecasting, Record, SeriesAdapter
from sciformer.domains.climate import alike, expectation, fitting, gaps, paths, questions, tokenizer
from sciformer.domains.climate.memory import Memory
from sciformer.domains.climate.normals import Cycles, elsewhere, known_mean
from sciformer.domains.climate.series import YEAR, Series
from sciformer.domains.climate.tokenizer import Layout, Stretch
from sciformer.domains.climate.windows import last_windows
from sciformer.tokens import AXES, Schema, Target, Tokens


@dataclass(frozen=True)
class Climate(SeriesAdapter):
    """Climate series: ``Record.data`` is a ``Series``, of a station or a grid; ``Record.group`` names the place.

    The fields from ``stations`` on are learned from the training part (``fitted``): what is normal at each place, how
    far things stray from it, and for how long.
    """

    name: ClassVar[str] = "climate"
    symmetries: ClassVar[tuple[str, ...]] = ("permutation", "time_shift")
    long: ClassVar[bool] = True
    places: ClassVar[tuple[str, ...]] = ("time", "variable", "lat", "lon")
    kind: ClassVar[str] = "variable"

    variables: tuple[str, ...] = ("value",)
    units: tuple[str, ...] = ("",)
    vocabulary: tuple[str, ...] = ()
    """Variables that the backbone tells apart, where there are more."""
    step: float = 1.0
    """Days from one step to the next."""
    context: int = 96
    """Steps that are read."""
    horizon: int = 24
    """Steps that can be asked about after them."""
    patch: int = 1
    """Consecutive steps in a token."""
    block: int = 1
    """Cells of a grid along the side of a token."""
    reach: int = 0
    """Attention tells periods apart up to twice as many steps; 0 takes those of a stretch."""
    calendar: str = "standard"
    reading: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Options of the reader that hold for every source."""
    known: tuple[str, ...] = ()
    """Variables that are known beforehand: never asked, and read as far as they go on."""
    known_units: tuple[str, ...] = ()
    lower: tuple[float | None, ...] = ()
    upper: tuple[float | None, ...] = ()
    """Of each variable what it cannot be below and above, if there is such a limit."""
    rows: int = 1
    columns: int = 1
    """Cells of the grid; a station has one."""
    stations: tuple[str, ...] = ()
    """Names of the stations (or of the grid) of the training part."""
    lat: tuple[float | None, ...] = ()
    lon: tuple[float | None, ...] = ()
    """[places, rows] and [places, columns]: degrees, None where nobody said; of older checkpoints nothing is known."""
    annual: int = 0
    diurnal: int = 0
    """Harmonics of the year and of the day in what is normal."""
    normals: tuple[float, ...] = ()
    """[places, y, x, variables (known ones last), terms] of ``normals.Cycles``."""
    spreads: tuple[float, ...] = ()
    """[places, y, x, variables (known ones last)]: standard deviation of the anomalies; 0 where nothing is measured."""
    memory: tuple[float, ...] = ()
    """[variables, 2 + lags]: nugget and reach, then the covariance of the anomalies at each lag in steps."""

    def __post_init__(self):
        if len(self.variables) != len(self.units):
            raise ValueError(f"every variable has a unit, got {len(self.variables)} and {len(self.units)}")
        for name in ("context", "horizon", "patch", "block", "rows", "columns"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if not self.step > 0:
            raise ValueError(f"step must be a positive number of days, got {self.step}")

    @functools.cached_property
    def layout(self) -> Layout:
        return Layout(self.patch, self.block, len(self.known))

    @property
    def every(self) -> tuple[str, ...]:
        """Variables that are read."""
        return (*self.variables, *self.known)

    @property
    def gridded(self) -> bool:
        return self.rows * self.columns > 1

    @property
    def span(self) -> int:
        """Steps of the longest stretch that is read at once."""
        return self.context + self.horizon

    @functools.cached_property
    def schema(self) -> Schema:
        shape = {"gridded": self.gridded, "span": self.reach or self.span}
        return tokenizer.schema(self.layout, self.kinds, self.known, **shape)

    @property
    def kinds(self) -> tuple[str, ...]:
        """What the ids of tokens stand for, from 1 on."""
        return self.vocabulary or self.variables

    @property
    def _ids(self) -> list[int]:
        return [self.kinds.index(name) + 1 for name in self.variables]

    @property
    def asked(self) -> tuple[int, ...]:
        return tuple(range(self.layout.size))

    @property
    def quantities(self) -> tuple[Target, ...]:
        none = (None,) * len(self.variables)
        each = zip(self.variables, self.units, self.lower or none, self.upper or none, strict=True)
        return tuple(Target(name, unit=unit, lower=low, upper=high) for name, unit, low, high in each)

    def continuing(self, saved: DomainAdapter) -> "Climate":
        """Steps are those of the data, whatever their length; normals and memory are learned anew."""
        return dataclasses.replace(self, reach=alike.reach(self, saved))

    def alongside(self, every: Sequence[DomainAdapter]) -> "Climate":
        """Variables are counted together, and steps are steps, whatever their length."""
        return alike.alongside(self, every)

    # What was learned of the training part.

    def fitted(self, records: Sequence[Record]) -> "Climate":
        """The same adapter, knowing what is normal in these records."""
        found = fitting.fit((record.data.take(self.every) for record in records), self.context, self.horizon)
        return dataclasses.replace(
            self,
            stations=found.names,
            lat=found.lat,
            lon=found.lon,
            annual=found.cycles.annual,
            diurnal=found.cycles.diurnal,
            normals=fitting.plain(found.normals),
            spreads=fitting.plain(found.spreads),
            memory=fitting.plain(found.tables[: len(self.variables)]),
        )

    @functools.cached_property
    def cycles(self) -> Cycles:
        return Cycles(self.annual, self.diurnal, YEAR.get(self.calendar, YEAR["standard"]))

    @functools.cached_property
    def memories(self) -> tuple[Memory, ...]:
        tables = np.array(self.memory, dtype=float).reshape(len(self.variables), -1)
        return tuple(Memory(table[2:], float(table[0]), float(table[1])) for table in tables)

    @functools.cached_property
    def _normals(self) -> tuple[Float[np.ndarray, "places y x v terms"], Float[np.ndarray, "places y x v"]]:
        shape = (len(self.stations), self.rows, self.columns, len(self.every))
        normals = np.array(self.normals, dtype=float).reshape(*shape, self.cycles.terms)
        spreads = np.array(self.spreads, dtype=float).reshape(shape)
        never = spreads == 0
        return np.where(never[..., None], np.nan, normals), np.where(never, np.nan, spreads)

    def normal(self, series: Series) -> tuple[Float[np.ndarray, "y x v terms"], Float[np.ndarray, "y x v"]]:
        """Coefficients of what is normal at the place of a series, and the spread around it; NaN where nothing is ever
        measured. At a station that was not among those of training, the seasons of the others around its own mean. The
        series has all ``variables``, or all that are ``known``."""
        if not self.stations:
            raise ValueError("nothing is known of what is normal: fit the adapter to training records first")
        normals, spread = self._normals[0][..., self._places(series), :], self._spread(series)
        if series.place in self.stations:
            return normals[self.stations.index(series.place)], spread
        return elsewhere(self.cycles, normals, spread, series)

    def _spread(self, series: Series) -> Float[np.ndarray, "y x v"]:
        """The spread of ``normal``, for which no value is looked at."""
        spreads, at = self._normals[1][..., self._places(series)], series.place
        return spreads[self.stations.index(at)] if at in self.stations else known_mean(spreads, 0)

    def _places(self, series: Series) -> list[int]:
        return [self.every.index(variable.name) for variable in series.variables]

    def anomaly(self, series: Series) -> Float[np.ndarray, "n y x v"]:
        """How far each value is from normal, in spreads."""
        coefficients, spread = self.normal(series)
        return (np.asarray(series.values) - self.cycles.usual(series.time, coefficients)) / spread

    # From records to tokens.

    def read(self, source: Any, targets: Sequence[Target] = (), **columns: Any) -> Iterator[Record]:
        """Records of a dataset, table or file; see ``reader.read`` for the options. Series are not labelled: there are
        no ``targets``."""
        from sciformer.domains.climate import reader

        return iter(alike.recognised(self, list(reader.read(source, **{**self.reading, **columns}))))

    def unlike(self, record: Record) -> str:
        return alike.unlike(self, record.data)

    def remarks(self, records: Sequence[Record]) -> list[str]:
        return alike.remarks(self, records)

    def tokenize(self, record: Record) -> Tokens:
        """The last ``context + horizon`` steps. Nothing is derived yet: a task that hides something derives anyway."""
        return self._laid(record, self.recent(record, self.span).loaded(), None)

    def whole(self, record: Record) -> Tokens:
        return self.derive(self.tokenize(record))

    def ask(self, record: Record, questions: Series | None) -> Tokens:
        return self.derive(self._laid(record, self.recent(record, self.context).loaded(), questions))

    def seen(self, series: Series) -> Series:
        """The variables that are asked about; as far as any was observed where known ones go on."""
        series = series.take(self.variables)
        if not self.known:
            return series
        observed = np.flatnonzero(np.asarray(np.isfinite(series.values).any(axis=(1, 2, 3))))
        return series.between(0, int(observed[-1]) + 1) if len(observed) else series

    def told(self, record: Record, start: float) -> Series:
        """What is known beforehand, from a moment on."""
        series = record.data.take(self.known)
        return series.between(int(np.searchsorted(series.time, start - self.step / 2)), len(series)).loaded()

    def recent(self, record: Record, steps: int) -> Series:
        """The last steps, where they are."""
        if not record.ok:
            raise ValueError(f"record {record.key!r} cannot be tokenised: {record.problem}")
        series = self.seen(record.data)
        start = np.searchsorted(series.time, series.time[-1] - (steps - 0.5) * self.step)
        return series.between(int(start), len(series))

    def _read(self, record: Record) -> Record:
        """No more of a record than ``ask`` looks at."""
        data, start = record.data, self.recent(record, self.context).time[0]
        return dataclasses.replace(record, data=data.between(int(np.searchsorted(data.time, start)), len(data)))

    def _laid(self, record: Record, series: Series, asked: Series | None) -> Tokens:
        """Tokens of what was observed, and behind them of what is asked."""
        told = self.told(record, series.time[0])
        seen = self._parts(series, series, told)
        if asked is None:
            return tokenizer.tokens(self.name, self.layout, **seen)
        later = self._parts(asked, series, told)
        later["values"] = np.full_like(later["values"], np.nan)
        both = {name: np.concatenate([seen[name], later[name]]) for name in seen}
        return tokenizer.tokens(self.name, self.layout, **both)

    def _stretch(self, series: Series) -> Stretch:
        """Patches end with the last step of what was seen, so that questions begin a patch of their own."""
        steps = round((series.time[-1] - series.time[0]) / self.step) + 1
        whole = -(-max(steps, self.context) // self.patch) * self.patch
        return Stretch(series.time[-1] - (whole - 1) * self.step, self.step)

    def _parts(self, series: Series, base: Series, told: Series) -> dict[str, np.ndarray]:
        """The pieces of ``tokenizer.tokens`` for every token that holds a number of ``series``, after ``base`` was seen
        and with what is ``told`` beforehand."""
        stretch, layout = self._stretch(base), self.layout
        places = stretch.place(series.time)
        first, last = places.min() // layout.patch, places.max() // layout.patch
        count = int(last - first + 1)
        laid = tokenizer.blocks(np.asarray(series.values), places, int(first), count, layout)
        coefficients, spread = self.normal(base)
        steps = np.arange(first * layout.patch, (last + 1) * layout.patch)
        moments = stretch.time(steps)
        if layout.patch == 1:  # uneven steps keep their own times
            moments[places - first] = series.time
        normals = tokenizer.blocks(self.cycles.usual(moments, coefficients), steps, int(first), count, layout)
        laid = np.where(np.isfinite(normals), laid, np.nan)
        t, by, bx, v = np.nonzero(np.isfinite(laid).any(-1))
        start = moments[t * layout.patch]
        centre = tokenizer.centres(series, layout.block)
        given = tokenizer.phases(start + (layout.patch - 1) / 2 * self.step, self.cycles)
        squares = tokenizer.blocks(spread[None] ** 2, np.zeros(1, int), 0, 1, Layout(1, self.block))
        strays = np.sqrt(known_mean(squares, -1))
        along = tokenizer.blocks(self.anomaly(told), stretch.place(told.time), int(first), count, layout)
        return {
            "told": along[t, by, bx].reshape(len(t), along.shape[-2] * along.shape[-1]),
            "values": laid[t, by, bx, v],
            "normals": normals[t, by, bx, v],
            "spread": strays[0, by, bx, v],
            "given": np.column_stack([given, centre[by, bx, 2]]),
            "variable": np.array(self._ids)[v],
            "time": (start - base.time[0]) / self.step,
            "where": centre[by, bx] * self.gridded,
        }

    def derive(self, tokens: Tokens) -> Tokens:
        return expectation.derive(tokens, self.layout, dict(zip(self._ids, self.memories, strict=True)))

    def augment(self, tokens: Tokens, rng: np.random.Generator) -> Tokens:
        return gaps.augment(tokens, self.layout, rng)

    def token_names(self, record: Record) -> list[str]:
        tokens, series = self.tokenize(record), self.recent(record, self.span)
        time = series.time[0] + self.step * tokens.coords[:, AXES.index("time")].double().numpy()
        names = [self.kinds[kind - 1] for kind in tokens.ids[:, 0].tolist()]
        return [f"{name} {questions.date(day, series)}" for name, day in zip(names, time, strict=True)]

    def questions(
        self, record: Record, horizon: Any = None, times: Any = None, variables: str | Sequence[str] | None = None
    ) -> Series:
        """What comes in the next ``horizon`` steps, or is at ``times``; see ``questions.py``."""
        series = self.recent(record, self.context)
        usual, reach = np.isfinite(self._spread(series)), {"context": self.context, "longest": self.horizon}
        asked = questions.questions(series, usual, **reach, horizon=horizon, times=times, variables=variables)
        if self.known:
            told = self.told(record, series.time[0])
            questions.require(told, np.isfinite(self._spread(told)), asked.time[asked.time > series.time[-1]])
        return asked

    def answered(self, record: Record, questions: Series) -> np.ndarray:
        series = self.recent(record, self.context)
        chosen = np.isfinite(np.asarray(questions.values)) & np.isfinite(self._spread(series))
        return tokenizer.answered(chosen, self._stretch(series).place(questions.time), self.layout)

    def ahead(self, record: Record, time: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Whole steps after the last, observed or not, where ``divide`` cut a window: months of any length are one."""
        last = record.span[2] - self.horizon * record.data.pace if record.span else self.seen(record.data).time[-1]
        return np.round((time - last) / self.step) * self.step

    def groupings(self, records: Sequence[Record]) -> Mapping[str, Callable[[Record], str]]:
        return {"station": lambda record: record.data.place, "region": lambda record: record.data.region}

    def observations(self, data: Series) -> pd.DataFrame:
        return questions.table(data.take(self.variables))

    def present(
        self,
        source: Any,
        records: Sequence[Record],
        cases: Sequence[tuple[Record, Series]],
        answer: Callable[[Sequence[tuple[Record, Any]]], pd.DataFrame],
    ) -> Any:
        from sciformer.domains.climate import answers as told

        return told.present(source, records, [(self._read(record), asked) for record, asked in cases], answer)

    def places_as_told(self, record: Record, places: pd.DataFrame) -> pd.DataFrame:
        from sciformer.domains.climate import answers as told

        return places.assign(time=told.dates(places["time"].to_numpy(float), record.data.calendar))

    def divide(self, record: Record, share: float) -> tuple[Record, Series] | None:
        """At the start of the last ``horizon`` steps, whatever the share: windows are cut to measure."""
        series = record.data.take(self.variables)
        cut = int(np.searchsorted(series.time, series.time[-1] - (self.horizon - 0.5) * self.step))
        before, after, told = series.between(0, cut).loaded(), series.between(cut, len(series)).loaded(), record.data
        told = paths.hidden(told.take(self.every).loaded(), cut, len(self.variables)) if self.known else before
        known = np.isfinite(self.normal(before)[1]) if cut >= questions.FEWEST else np.zeros(0)
        later = after.replaced(values=np.where(known, after.values, np.nan)) if known.any() else after
        if not known.any() or not np.isfinite(later.values).any() or not np.isfinite(before.values).any():
            return None
        return dataclasses.replace(record, data=told), later

    def shares(self, record: Record, questions: Series, samples: int, rng: np.random.Generator) -> np.ndarray:
        return paths.shares(self, record.data, questions, samples, rng)

    def continued(self, record: Record, questions: Series, values: np.ndarray) -> Record:
        last = self.recent(record, self.context)
        told = self.told(record, last.time[0])
        return dataclasses.replace(record, data=paths.continued(last, told, questions, values))

    def origins(self, records: Sequence[Record], most: int, every: int | None) -> list[Record]:
        return last_windows(records, self.variables, self.context, self.horizon, every or self.horizon, most)

    def ages(self, record: Record) -> np.ndarray:
        return record.data.time - record.data.time[0]

    def until(self, record: Record, age: float | int) -> Record | None:
        known = int((self.ages(record) <= age).sum())
        return dataclasses.replace(record, data=record.data.between(0, known)) if known else None

    def thin(self, record: Record, keep: float, rng: np.random.Generator) -> Record:
        return dataclasses.replace(record, data=gaps.thinned(record.data, keep, self.known, rng))

    def forecasts(self, train: Sequence[Record]) -> Mapping[str, Forecasting]:
        from sciformer.domains.climate import baseline

        return baseline.forecasts(self, train)

    def depict(self, record: Record, weights: Sequence[float] | None = None) -> str | None:
        from sciformer.domains.climate import depict as drawn

        return drawn.depict(self, record, weights)

    def depict_forecast(self, record: Record, *told: Any, **shaded: Any) -> str:
        from sciformer.domains.climate import depict

        return depict.depict_forecast(self, record, *told, **shaded)
