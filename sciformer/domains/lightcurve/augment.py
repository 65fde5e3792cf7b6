"""Physical variants of a light curve for training: what the same object might have looked like.

Every function takes the tokens of one record (unbatched) and a seeded generator and returns new tokens. A token whose
value is not observed is no observation: it is never looked at, and metadata is left alone. Questions (nothing measured)
are neither dropped nor answered, but keep their place among the observations where the times change. Values are fluxes
or magnitudes with their error beside them; only ``dim`` and ``recede`` ask for fluxes.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sciformer.domains.lightcurve import redshift
from sciformer.domains.lightcurve.curve import META
from sciformer.domains.lightcurve.tokenizer import MEASURED
from sciformer.tokens import AXES, Tokens

TIME = AXES.index("time")
VALUE, ERROR, PERIOD = 0, 1, MEASURED
"""The value columns of an observation, and the first of ``folding``, a logarithm."""
REDSHIFT, REDSHIFT_ERROR = (2 + META.index(name) for name in ("redshift", "redshift_err"))
"""The value columns of what is known of the object."""
FEWEST = 2
"""No augmentation leaves fewer observations, unless there were fewer."""
TRIES = 5
"""How often a redshift is drawn for an object before it is left at its own."""

Augment = Callable[[Tokens, np.random.Generator], Tokens]
Range = Sequence[float]
"""Lowest and highest; drawn uniformly."""


@dataclass(frozen=True)
class Augmentation:
    """Which variants to make of a record, and how strong. By default: fewer points and another draw of the noise.

    Attributes:
        probability: Of each of the steps that are switched on.
        recede: Factor on 1 + redshift, with all that comes of it; (1, 1) is off. Fluxes of transients in bands of known
            wavelength only; an object without a redshift stays where it is.
        dim: Factor on a transient's flux ("as if farther away"); (1, 1) is off. Fluxes only.
        stretch: Factor on the time axis, as a change of 1 + redshift makes; (1, 1) is off.
        until: Share of the time span after which nothing is known yet; (1, 1) is off.
        keep: Share of the observations that were made; (1, 1) is off.
        noise: Up to this many times the errors are added as noise; 0 is off.
        shift: Up to this many days are added to or taken from all times; 0 is off.
    """

    probability: float = 0.5
    recede: Range = (1.0, 1.0)
    dim: Range = (1.0, 1.0)
    stretch: Range = (1.0, 1.0)
    until: Range = (1.0, 1.0)
    keep: Range = (0.5, 1.0)
    noise: float = 0.5
    shift: float = 0.0

    def __post_init__(self):
        if not 0 <= self.probability <= 1:
            raise ValueError(f"`probability` of an augmentation must lie in 0..1, got {self.probability}")
        for name, most in (("recede", np.inf), ("dim", 1.0), ("stretch", np.inf), ("until", 1.0), ("keep", 1.0)):
            given = tuple(getattr(self, name))
            if len(given) != 2 or not 0 < given[0] <= given[1] <= most:
                raise ValueError(f"`{name}` must be a rising range of two numbers in 0..{most:g}, got {given}")
        for name in ("noise", "shift"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"`{name}` must be 0 (off) or a positive number, got {getattr(self, name)}")

        if self.recede[0] < 1:
            raise ValueError(f"`recede` must not bring an object nearer: factors of 1 or more, got {self.recede}")

    @property
    def truncates(self) -> bool:
        """Whether some variants end early."""
        return self.probability > 0 and min(self.until) < 1

    def in_bands(self, bands: Sequence[str]) -> Augment:
        """The variants of records with these bands.

        Raises ``ValueError`` where ``recede`` asks for a wavelength that is not known.
        """
        off = tuple(self.recede) == (1.0, 1.0)
        return functools.partial(self, wavelengths=() if off else redshift.wavelengths(bands))

    def __call__(self, tokens: Tokens, rng: np.random.Generator, wavelengths: Sequence[float] = ()) -> Tokens:
        """The steps in the order of nature: the object, its light, when it was seen, how well.

        ``wavelengths`` are those of the bands 1, 2, ...; only ``recede`` asks for them.
        """
        steps = (
            (functools.partial(recede, wavelengths=wavelengths), self.recede, (1.0, 1.0)),
            (dim, self.dim, (1.0, 1.0)),
            (stretch, self.stretch, (1.0, 1.0)),
            (truncate, self.until, (1.0, 1.0)),
            (subsample, self.keep, (1.0, 1.0)),
            (redraw_noise, (0.0, self.noise), (0.0, 0.0)),
            (shift, (-self.shift, self.shift), (0.0, 0.0)),
        )
        for step, strength, off in steps:
            if tuple(strength) != off and rng.random() < self.probability:
                tokens = step(tokens, rng, strength)
        return tokens


def observations(tokens: Tokens) -> Bool[Tensor, " n"]:
    """Which tokens of a record are observations."""
    if tokens.sample.ndim != 1:
        raise ValueError(
            f"augmentation takes the tokens of one record, got a batch of shape {tuple(tokens.sample.shape)}"
        )
    return tokens.observed[:, VALUE] & tokens.exists


def subsample(tokens: Tokens, rng: np.random.Generator, keep: Range = (0.5, 1.0)) -> Tokens:
    """As if only a random share of the observations had been made; times count from the first that is left."""
    where = observations(tokens)
    n = int(where.sum())
    left = max(round(n * _draw(rng, keep)), min(n, FEWEST))
    chosen = rng.permutation(n)[:left]
    kept = ~where
    kept[where.nonzero()[:, 0][torch.from_numpy(chosen)]] = True
    return _from_first(_select(tokens, kept))


def truncate(tokens: Tokens, rng: np.random.Generator, until: Range = (0.1, 1.0)) -> Tokens:
    """As if the record ended after a random share of its time span: the future is removed, not hidden."""
    where, share = observations(tokens), _draw(rng, until)
    if int(where.sum()) <= FEWEST:
        return tokens
    time = tokens.coords[:, TIME]
    rising = time[where].sort().values
    limit = torch.maximum(rising[0] + share * (rising[-1] - rising[0]), rising[FEWEST - 1])
    return _select(tokens, ~where | (time <= limit))


def redraw_noise(tokens: Tokens, rng: np.random.Generator, share: Range = (0.0, 0.5)) -> Tokens:
    """As if measured less well: noise of ``share`` times the error is added, and the error says so."""
    where = observations(tokens) & tokens.observed[:, ERROR]
    size = _draw(rng, share)
    error = tokens.values[:, ERROR]
    value = tokens.values[:, VALUE] + size * error * _normal(tokens, rng)
    return _put(tokens, where, value, error * (1 + size**2) ** 0.5)


def stretch(tokens: Tokens, rng: np.random.Generator, factor: Range = (0.8, 1.25)) -> Tokens:
    """As if farther away or nearer: everything happens slower or faster by one factor.

    A redshift in the record's metadata is not changed with it; withhold it where the stretch is large. A period
    changes by the same factor, phases stay.
    """
    by = _draw(rng, factor)
    values = tokens.values.clone()
    values[:, PERIOD:][:, :1] += np.log10(by) * tokens.observed[:, PERIOD:][:, :1]
    return _at(tokens.replace(values=values), tokens.coords[:, TIME] * by)


def shift(tokens: Tokens, rng: np.random.Generator, days: Range = (-100.0, 100.0)) -> Tokens:
    """As if seen earlier or later. A model that declares time-shift symmetry cannot tell."""
    return _at(tokens, tokens.coords[:, TIME] + _draw(rng, days))


def dim(tokens: Tokens, rng: np.random.Generator, factor: Range = (0.3, 1.0)) -> Tokens:
    """As if a transient were fainter by ``factor`` under the same sky: fluxes and their noise shrink by it, and noise
    is added until the errors are what they were. The signal-to-noise ratio falls by ``factor``.

    For fluxes above a background that does not belong to the object (difference or forced photometry). Sources
    brighter than the sky would lose less than this says. Observations without an error stay as they are, and so do
    answers kept outside the tokens: not for forecasts.
    """
    where = observations(tokens) & tokens.observed[:, ERROR]
    by, error = _draw(rng, factor), tokens.values[:, ERROR]
    value = by * tokens.values[:, VALUE] + (1 - by**2) ** 0.5 * error * _normal(tokens, rng)
    return _put(tokens, where, value, error)


def recede(
    tokens: Tokens, rng: np.random.Generator, factor: Range = (1.0, 1.5), wavelengths: Sequence[float] = ()
) -> Tokens:
    """As if the same object stood at a larger redshift, 1 + redshift being ``factor`` times as large: its light is
    dimmed by distance, stretched in time and seen in bluer light of its own (Boone 2019, arXiv:1907.04690). The
    errors are those of a field that is as deep or deeper, and of what had to be interpolated; the redshift in the
    metadata follows.

    A factor with which the survey would have missed the object is drawn anew below that one, a few times; then the
    object stays where it is, as one without a redshift or without errors does.
    """
    if not _placed_in_space(tokens, len(wavelengths)):
        return tokens
    low, high = factor
    for _ in range(TRIES):
        high = _draw(rng, (low, high))
        far = _at_redshift(tokens, rng, high, wavelengths)
        value, error = far.values[observations(far), :2].T
        if bool((value > redshift.DETECTED * error).any()):
            return far
    return tokens


def _placed_in_space(tokens: Tokens, bands: int) -> bool:
    """Whether the record can be moved: observed with errors in bands of known wavelength, at a known redshift."""
    where, known = observations(tokens), _knows(tokens, REDSHIFT)
    band = tokens.ids[where, 0]
    complete = bool(tokens.observed[where, ERROR].all() and (band > 0).all() and (band <= bands).all())
    return complete and bool(where.any() and (tokens.values[known, REDSHIFT] >= redshift.NEAREST).any())


def _at_redshift(tokens: Tokens, rng: np.random.Generator, factor: float, wavelengths: Sequence[float]) -> Tokens:
    where = observations(tokens)
    known, spread = _knows(tokens, REDSHIFT), _knows(tokens, REDSHIFT_ERROR)
    # 1. the light at the same moments, bluer by the factor, and dimmed
    by = redshift.dimming(float(tokens.values[known, REDSHIFT][0]), factor)
    time, flux, error = (
        x[where].double().numpy() for x in (tokens.coords[:, TIME], tokens.values[:, VALUE], tokens.values[:, ERROR])
    )
    seen = np.array(wavelengths)[tokens.ids[where, 0].numpy() - 1]
    mean, std = redshift.interpolated(time, seen, flux, error, factor)
    # 2. measured in another field
    error = error * _draw(rng, redshift.SKY)
    values = tokens.values.clone()
    values[where, VALUE] = torch.from_numpy(by * mean + error * rng.standard_normal(len(mean))).float()
    values[where, ERROR] = torch.from_numpy(np.hypot(error, by * std)).float()
    # 3. what is known of the redshift, and the pace
    values[known, REDSHIFT] = (1 + values[known, REDSHIFT]) * factor - 1
    values[spread, REDSHIFT_ERROR] *= factor
    return _at(tokens.replace(values=values), tokens.coords[:, TIME] * factor)


def _knows(tokens: Tokens, column: int) -> Bool[Tensor, " n"]:
    """The tokens that say the value of a column of the metadata; none where there is no such column."""
    if column >= tokens.observed.shape[-1]:
        return torch.zeros_like(tokens.exists)
    return tokens.observed[:, column] & tokens.exists


def _draw(rng: np.random.Generator, between: Range) -> float:
    low, high = between
    return float(rng.uniform(low, high))


def _normal(tokens: Tokens, rng: np.random.Generator) -> Float[Tensor, " n"]:
    return torch.from_numpy(rng.standard_normal(tokens.size)).float()


def _put(tokens: Tokens, where: Bool[Tensor, " n"], value: Float[Tensor, " n"], error: Float[Tensor, " n"]) -> Tokens:
    values = tokens.values.clone()
    values[:, VALUE] = torch.where(where, value, values[:, VALUE])
    values[:, ERROR] = torch.where(where, error, values[:, ERROR])
    return tokens.replace(values=values)


def _at(tokens: Tokens, time: Float[Tensor, " n"]) -> Tokens:
    """Observations and questions at other times; what is only metadata has none."""
    placed = observations(tokens) | (tokens.exists & ~tokens.observed[:, :MEASURED].any(dim=-1))
    coords = tokens.coords.clone()
    coords[:, TIME] = torch.where(placed, time, coords[:, TIME])
    return tokens.replace(coords=coords)


def _from_first(tokens: Tokens) -> Tokens:
    """Times count from the first observation."""
    where, time = observations(tokens), tokens.coords[:, TIME]
    return _at(tokens, time - time[where].min()) if where.any() else tokens


def _select(tokens: Tokens, kept: Bool[Tensor, " n"]) -> Tokens:
    pair = None if tokens.pair is None else tokens.pair[kept][:, kept]
    columns = ("ids", "values", "observed", "coords", "sample")
    return tokens.replace(pair=pair, **{name: getattr(tokens, name)[kept] for name in columns})
