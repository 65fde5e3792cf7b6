"""The light-curve domain as the rest of the package sees it."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from sciformer.adapter import Baseline, DomainAdapter, Forecasting, Record, SeriesAdapter
from sciformer.domains.lightcurve import folding, notes, period, questions, tokenizer
from sciformer.domains.lightcurve.columns import quantity_of_unit
from sciformer.domains.lightcurve.curve import META, RELATIVE, Curve
from sciformer.domains.lightcurve.period import Fold, Periodograms
from sciformer.tokens import Schema, Tokens, Value

DRAWN = 60
"""Times at which a drawing asks for a forecast."""


@dataclass(frozen=True)
class LightCurve(SeriesAdapter):
    """Light curves: ``Record.data`` is a ``Curve``, observations are tokens.

    Raises ``ValueError`` when a field is out of range.
    """

    name: ClassVar[str] = "lightcurve"
    symmetries: ClassVar[tuple[str, ...]] = ("permutation", "time_shift")
    long: ClassVar[bool] = True
    places: ClassVar[tuple[str, ...]] = ("time", "band")

    bands: tuple[str, ...] = ("u", "g", "r", "i", "z", "y")
    """Bands that the model tells apart; others are read as one unknown band."""
    unit: str = ""
    """Unit of the values; ``RELATIVE`` where records come in several."""
    shortest: float = 0.05
    """Days; variations faster than this are not resolved by the clock of the model."""
    longest: float = 5000.0
    max_observations: int = 2000
    """Longer curves are thinned at random, evenly over time, and say so."""
    fold: bool = False
    """Whether the model is also given the period and the phases; see ``folding``. For stars that repeat themselves."""
    fourier: bool = False
    """The same, and what a Fourier series at that period says, from which forecasts start."""
    level: bool = False
    """Whether the model is also given the mean of the values. It betrays the instrument where instruments see objects
    of unlike brightness, and tells the kinds of star apart where all are equally far away."""
    meta: dict[str, float] = field(default_factory=lambda: dict.fromkeys(META, 0.0))
    """What was known of the training objects beside their light, and of which share of them; no other is read."""
    withheld: tuple[str, ...] = ()
    """Columns of the objects table that are answers, so never metadata."""

    def __post_init__(self):
        if not 0 < self.shortest < self.longest:
            raise ValueError(f"shortest must be positive and below longest, got {self.shortest} and {self.longest}")
        if self.max_observations < 2:
            raise ValueError(f"max_observations must be at least 2, got {self.max_observations}")

    @functools.cached_property
    def schema(self) -> Schema:
        return tokenizer.schema(self.bands, self.unit, self.shortest, self.longest, self._derived)

    @property
    def quantity(self) -> Literal["flux", "mag"]:
        """What the values are, by their unit."""
        return quantity_of_unit(self.unit) or "flux"

    @property
    def _folded(self) -> bool:
        return self.fold or self.fourier

    @functools.cached_property
    def _derived(self) -> tuple[Value, ...]:
        folded = folding.columns(self.unit, fourier=self.fourier) if self._folded else ()
        return (*([Value("level", self.unit, derived=True, wavy=True)] if self.level else []), *folded)

    @functools.cached_property
    def _tools(self) -> Periodograms:
        return Periodograms()

    def read(self, source: Any, **columns: Any) -> Iterator[Record]:
        """Records of a table, file, folder or curves; see ``reader.read`` for the options."""
        from sciformer.domains.lightcurve import reader

        return reader.read(source, **{"withheld": self.withheld, **columns})

    def unlike(self, record: Record) -> str:
        """Magnitudes where fluxes were learned would be answered upside down, another unit wrong by a factor, light of
        bands that are all strange by guessing."""
        strange = sorted({str(band) for band in record.data.band} - set(self.bands))
        if len(strange) == len(set(record.data.band)):
            named, learned = (", ".join(map(repr, names)) for names in (strange, self.bands))
            if strange == [""]:
                return f"does not say its bands, the model learned {learned}: name the column as {notes.option('band')}"
            return f"was observed in band {named} alone, the model learned {learned}: rename the bands or leave it out"
        if self.unit == RELATIVE:
            return ""
        given, learned = record.data.unit or record.data.quantity, self.unit or "flux"
        if record.data.quantity == self.quantity and (given == learned or not (record.data.unit and self.unit)):
            return ""
        return f"is in {given}, the model learned {learned}: convert it"

    def remarks(self, records: Sequence[Record]) -> list[str]:
        curves = [record.data for record in records if record.ok]
        return [*notes.lacking(curves, self.meta), *notes.reading(curves)]

    def continuing(self, saved: DomainAdapter) -> "LightCurve":
        assert isinstance(saved, LightCurve)
        if self.quantity != saved.quantity and saved.unit != RELATIVE:  # upside down
            here, there = _in_words(self.quantity), _in_words(saved.quantity)
            raise ValueError(f"these are {here} and the checkpoint learned {there}: convert them")
        return dataclasses.replace(self, shortest=saved.shortest, longest=saved.longest)

    def described(self, records: Sequence[Record]) -> pd.DataFrame:
        """Classical features of the curve as it is read: in spreads of its own."""
        from sciformer.domains.lightcurve import baseline

        return baseline.described(records)

    def tokenize(self, record: Record) -> Tokens:
        return self.ask(record, None)

    def ask(self, record: Record, questions: Curve | None) -> Tokens:
        if not record.ok:
            raise ValueError(f"record {record.key!r} cannot be tokenised: {record.problem}")
        curve = thinned(record.data, self.max_observations)
        return self.derive(tokenizer.tokenize(curve, self.name, self.bands, questions, len(self._derived), self.meta))

    def derive(self, tokens: Tokens) -> Tokens:
        """The level of every record, its period, phases and Fourier series, where they are asked for."""
        first = tokenizer.MEASURED
        if self.level:
            tokens = tokenizer.with_level(tokens, first)
        if self._folded:
            tokens = folding.derive(tokens, first + self.level, len(self.bands) + 1, self._tools)
        return tokens

    def questions(self, record: Record, times: Any = None, bands: Any = None) -> Curve:
        """What would be measured in every one of ``bands`` at every one of ``times``; see ``questions.py``."""
        return questions.questions(record, times, bands, self.bands, self.longest)

    def observations(self, data: Curve) -> pd.DataFrame:
        return pd.DataFrame({name: getattr(data, name) for name in ("time", "band", "value", "error")})

    def divide(self, record: Record, share: float) -> tuple[Record, Curve] | None:
        return questions.divide(record, share)

    def ages(self, record: Record) -> np.ndarray:
        return questions.ages(record)

    def until(self, record: Record, age: float | int) -> Record | None:
        return questions.until(record, age)

    def thin(self, record: Record, keep: float, rng: np.random.Generator) -> Record:
        return questions.thin(record, keep, rng)

    def forecasts(self, train: Sequence[Record]) -> Mapping[str, Forecasting]:
        from sciformer.domains.lightcurve import gp

        models = {"Gaussian process": gp.gaussian_process, "constant": gp.constant}
        models |= {"Fourier series": gp.fourier} if self._folded else {}
        return {name: _about(model) for name, model in models.items()}

    def token_names(self, record: Record) -> list[str]:
        curve = thinned(record.data, self.max_observations)
        names = [f"{band} {time:.3f}" for band, time in zip(curve.band, curve.time, strict=True)]
        return [*([tokenizer.OBJECT] if self.tokenize(record).size > len(names) else []), *names]

    def nearest(self, queries: Sequence[Record], references: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
        """By the share of a query's observations that the reference has too."""
        from sciformer.domains.lightcurve import copies

        return copies.nearest(queries, references)

    def baselines(self) -> Sequence[Baseline]:
        from sciformer.domains.lightcurve import baseline

        return baseline.baselines()

    @classmethod
    def build(
        cls, name: str, folder: Path, track: Callable[[Sequence[Path]], Iterable[Path]]
    ) -> Mapping[str, Any] | None:
        from sciformer.domains.lightcurve import build

        return build.tables(name, folder, track)

    def depict(self, record: Record, weights: Sequence[float] | None = None) -> str | None:
        from sciformer.domains.lightcurve import depict

        if record.data is None:
            return None
        thin = dataclasses.replace(record, data=thinned(record.data, self.max_observations))
        return depict.depict(thin, weights, self._found(thin.data))

    def depict_forecast(
        self,
        record: Record,
        later: Curve,
        ask: Callable[[tuple[Record, Any]], Any],
        weights: Sequence[float] | None = None,
    ) -> str:
        from sciformer.domains.lightcurve import depict

        found, last = self._found(record.data), record.data.time[-1]
        times = np.linspace(last, later.time[-1], DRAWN)
        if found:  # the cycle in the middle of what came later: between cycles, more than the phase may change
            times = max(np.median(later.time) - found.period / 2, last) + found.period * np.linspace(0, 1, DRAWN)
        grid = questions.questions(record, times, np.unique(later.band), self.bands, self.longest)
        whole = len(record.data) <= self.max_observations  # else some have no weight
        return depict.depict_forecast(record, later, ask((record, grid)), found, weights if whole else None)

    def _found(self, curve: Curve) -> Fold | None:
        """The period that the model is given with these observations, if any."""
        if not self._folded or len(curve) == 0:
            return None
        return period.fold(curve.time, curve.band, curve.value, curve.error, self._tools)


def _about(model: Callable[..., tuple[np.ndarray, np.ndarray]]) -> Forecasting:
    return lambda curve, asked: model(curve, asked.time, asked.band)


def _in_words(quantity: str) -> str:
    return "magnitudes" if quantity == "mag" else "fluxes"


def thinned(curve: Curve, most: int) -> Curve:
    """At most so many observations, evenly spread over their order."""
    if len(curve) <= most:
        return curve
    note = f"{len(curve) - most} of {len(curve)} observations left out (max_observations {most})"
    rows = np.linspace(0, len(curve) - 1, most).round().astype(int)
    return dataclasses.replace(curve.take(rows), notes=(*curve.notes, note))
