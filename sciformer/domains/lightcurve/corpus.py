"""Light curves without answers, for pretraining: several surveys and a simulated sky, read as one."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from sciformer.adapter import Record
from sciformer.data import cards
from sciformer.data.dataset import DataConfig, Dataset
from sciformer.data.targets import column_names
from sciformer.domains.lightcurve.adapter import LightCurve
from sciformer.domains.lightcurve.augment import Augmentation
from sciformer.domains.lightcurve.curve import RELATIVE, Curve
from sciformer.domains.lightcurve.data import SIMULATED, LightCurveData, bands, known_of, unit_of
from sciformer.domains.lightcurve.photometry import convert
from sciformer.domains.lightcurve.simulate import ZERO_POINT

DETECTED = 3.0
"""A flux of fewer errors has no magnitude."""
FEWEST = 30
"""Magnitudes that an object needs in one band to stand for itself."""


@dataclass(frozen=True)
class LightCurveCorpus(DataConfig):
    """Where the light curves come from.

    Attributes:
        sources: Files, folders or data cards, separated by commas (see ``sciformer data list``). Their labels are not
            read. Fluxes and magnitudes may stand side by side, for every curve is read in spreads of its own.
        simulated: So many objects are simulated besides.
        unnamed: Share of the simulated objects that are seen in one band alone, in magnitudes, and nobody says in
            which, as in many old catalogues.
        fold: Give the model the period that it finds, and every observation its phase.
        level: Give the model the mean of the values too.
        augmentation: Variants of the curves.
        rows: At most so many objects are taken of each source, the first ones; 0 takes all.
    """

    sources: str = "snpcc,stripe82_rrlyrae"
    simulated: int = 4000
    unnamed: float = 0.4
    fold: bool = True
    level: bool = False
    augmentation: Augmentation = field(default_factory=lambda: Augmentation(keep=(0.3, 1.0)))
    rows: int = 0

    def __post_init__(self):
        if self.simulated < 0 or self.rows < 0 or not 0 <= self.unnamed <= 1:
            raise ValueError(
                "data.simulated and data.rows must not be negative and data.unnamed lie in 0..1, got "
                f"{self.simulated}, {self.rows} and {self.unnamed}"
            )
        if not self.simulated and not column_names(self.sources):
            raise ValueError("a corpus needs data.sources or data.simulated objects")

    def load(self, split_column: str | None = None) -> Dataset:
        if split_column:
            raise ValueError("light curves of a corpus are split at random, not by a column")
        records, notes = [], []
        for name, dataset in self._sources():
            some = dataset.records[: self.rows or None]
            records += [dataclasses.replace(record, key=f"{name}:{record.key}") for record in some]
            told = card.traps if (card := cards.meant(name, LightCurve.name, "light curves")) else ()
            notes += [f"{name}: {note}" for note in dataset.notes if note not in told]
        curves = [record.data for record in records if record.ok]
        units = {unit_of([curve]) for curve in curves}
        adapter = LightCurve(
            bands=bands(curves),
            unit=units.pop() if len(units) == 1 else RELATIVE,
            fold=self.fold,
            level=self.level,
            meta=known_of(curves),
        )
        return Dataset(
            adapter=adapter,
            records=records,
            targets=(),
            source=", ".join(self._names),
            simulated=not column_names(self.sources),
            notes=tuple(notes),
            augment=self.augmentation.in_bands(adapter.bands),
        )

    @property
    def _names(self) -> list[str]:
        return [*column_names(self.sources), *([SIMULATED] if self.simulated else [])]

    def _sources(self) -> Iterator[tuple[str, Dataset]]:
        for name in column_names(self.sources):
            yield name, LightCurveData(source=name).load().unlabelled()
        if self.simulated:
            sky = LightCurveData(rows=self.simulated).load().unlabelled()
            yield SIMULATED, dataclasses.replace(sky, records=unnamed(sky.records, self.unnamed))


def unnamed(records: Sequence[Record], share: float, seed: int = 0) -> list[Record]:
    """Simulated objects, of which about so many are seen in one band alone, in magnitudes, and nothing else is known of
    them; those too faint for that stay as they are."""
    rng = np.random.default_rng(seed)
    draws = rng.random((len(records), 2))
    return [
        dataclasses.replace(r, data=_in_one_band(r.data, chosen)) if r.ok and draw < share else r
        for r, (draw, chosen) in zip(records, draws.tolist(), strict=True)
    ]


def _in_one_band(curve: Curve, chosen: float) -> Curve:
    """The magnitudes of one of the bands in which there are enough of them."""
    detected = curve.value > DETECTED * curve.error
    names, counts = np.unique(curve.band[detected].astype(str), return_counts=True)
    possible = names[counts >= FEWEST]
    if not len(possible):
        return curve
    seen = curve.take(detected & (curve.band == possible[int(chosen * len(possible))]))
    return dataclasses.replace(
        convert(seen, "mag", ZERO_POINT),
        band=np.full(len(seen), "", dtype=object),
        zero_point=None,
        meta={},
    )
