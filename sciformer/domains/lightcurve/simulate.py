"""Simulated light curves in four bands, for demonstrations, tests and pretraining without a download.

Nothing here was measured. Every class is a published formula with parameters in the usual range; a survey with
seasons, bad weather, moonlight and a 5-sigma depth looks at it. Rates are not realistic: the classes are equally
frequent.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from scipy.special import ndtri

from sciformer.tokens import Target

BANDS = ("g", "r", "i", "z")
ZERO_POINT = 23.9
"""Magnitude of a flux of 1: fluxes are in microjansky (AB)."""
START, YEARS = 60_000, 3
"""First night (MJD) and length of the survey."""
DEPTH = np.array([24.8, 24.4, 23.9, 23.3])
"""Typical 5-sigma depth per band; single nights differ."""
FLOOR = 0.005
"""Relative error of the calibration, the smallest error there is."""
REDSHIFT_KNOWN = 0.7
"""Share of the supernovae and active galaxies whose (host) redshift is in the table."""

BLOCK = 2000  # objects made at a time: bounds the memory
VISITS = 256  # nights considered per object
DRAWS = 15  # uniform numbers per object: 0 to 6 for the class, 7 and 8 for a star, 9 to 14 for the survey
NIGHTS = int(YEARS * 365.25)

Objects = Float[np.ndarray, " k"]
Observed = Float[np.ndarray, " m"]


@dataclass(frozen=True)
class Sight:
    """What of a survey looks at the ``k`` objects of one class: ``m`` observations, object by object, by time."""

    u: Float[np.ndarray, "k draws"]
    """Uniform random numbers, from which the class takes its parameters."""
    season: Objects
    """A day in the middle of an observing season."""
    nights: Float[np.ndarray, "k visits"]
    normal: Float[np.ndarray, "k visits"]
    """A normal random number per night considered."""
    who: Int[np.ndarray, " m"]
    visit: Int[np.ndarray, " m"]
    t: Observed
    """Days since the start of the survey."""
    band: Int[np.ndarray, " m"]

    def phase(self, period: Objects) -> Observed:
        """Cycles since a random moment (draw 0)."""
        return self.t / period[self.who] + self.u[self.who, 0]


@dataclass(frozen=True)
class Light:
    """What the objects of one class emit: ``relative`` flux (1 is the magnitude ``mag``), and the truth."""

    relative: Observed
    mag: Float[np.ndarray, "k bands"]
    period: Objects | None = None
    redshift: Objects | None = None


def simulate(count: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The observations and the objects of ``count`` simulated light curves.

    Observations, by object and time: ``object_id``, ``time`` (MJD), ``band``, ``flux`` and ``flux_err``
    (microjansky; faint objects have negative fluxes too). Objects: ``object_id``, ``class``, ``log10_period``
    (NaN where nothing repeats) and ``redshift`` (NaN for stars and where it was not measured).

    The same seed gives the same tables, and a smaller ``count`` gives their first objects.
    Raises ``ValueError`` for a ``count`` below 1.
    """
    if count < 1:
        raise ValueError(f"the number of simulated light curves must be at least 1, got {count}")
    sky = Sky.of(seed)
    blocks = [_block(min(BLOCK, count - start), start, seed, sky) for start in range(0, count, BLOCK)]
    observations, objects = (pd.concat(parts, ignore_index=True) for parts in zip(*blocks, strict=True))
    return observations, objects


# --- the survey -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sky:
    """The nights of the survey, the same for all objects."""

    clear: np.ndarray
    depth: Float[np.ndarray, "nights bands"]

    @classmethod
    def of(cls, seed: int) -> "Sky":
        """Weather that lasts for days (three nights in four are clear); depth by seeing, clouds and the moon,
        which is brightest for the blue bands."""
        rng = np.random.default_rng([seed, 0])
        weather = np.convolve(rng.standard_normal(NIGHTS + 4), np.ones(5) / np.sqrt(5), "valid")
        moon = np.cos(np.pi * (np.arange(NIGHTS) / 29.53 % 1)) ** 2
        seeing = 0.25 * rng.standard_normal((NIGHTS, 1))
        return cls(weather > -0.67, DEPTH + seeing - moon[:, None] * np.array([1.0, 0.6, 0.3, 0.1]))


def flux_error(flux: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """One-sigma error of a flux: sky and photon noise as in Ivezic et al. (2019, ApJ 873, 111, eq. 5; gamma
    0.039), and ``FLOOR``. A source at the 5-sigma ``depth`` (a magnitude) has a fifth of its flux."""
    faintest = 10 ** (-0.4 * (depth - ZERO_POINT))
    bright = np.maximum(flux, 0.0)
    return np.sqrt(0.001 * faintest * bright + 0.039 * faintest**2 + (FLOOR * bright) ** 2)


def _block(count: int, start: int, seed: int, sky: Sky) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Objects ``start`` onwards. Every stream is drawn object by object: fewer objects are the first of more."""
    objects, cadence, bands, drive, noise = np.random.default_rng([seed, 1, start]).spawn(5)
    # 1. who is there, and when it is looked at
    u = objects.random((count, DRAWS))
    kind = (u[:, -1] * len(CLASSES)).astype(int)
    nights, season, kept = _cadence(cadence.random((count, VISITS)), u, sky)
    chosen = kept[:, :, None] & (bands.random((count, VISITS, len(BANDS))) < 0.7)
    who, visit, band = np.nonzero(chosen)
    t = nights[who, visit] + 0.0005 * band
    # 2. what it emits
    normal = drive.standard_normal((count, VISITS))
    flux, redshift, period = np.empty(len(who)), np.full(count, np.nan), np.full(count, np.nan)
    place, of_object = np.empty(count, int), kind[who]
    for k, model in enumerate(CLASSES.values()):
        members, rows = np.flatnonzero(kind == k), np.flatnonzero(of_object == k)
        place[members] = np.arange(len(members))
        sight = Sight(
            u[members],
            season[members],
            nights[members],
            normal[members],
            place[who[rows]],
            visit[rows],
            t[rows],
            band[rows],
        )
        light = model(sight)
        flux[rows] = 10 ** (-0.4 * (light.mag[sight.who, sight.band] - ZERO_POINT)) * light.relative
        period[members] = np.nan if light.period is None else light.period
        redshift[members] = np.nan if light.redshift is None else light.redshift
    # 3. what is measured: the error is estimated from the measured flux, as pipelines do, so it betrays nothing
    depth = sky.depth[nights[who, visit].astype(int), band]
    measured = flux + flux_error(flux, depth) * noise.standard_normal(len(who))
    redshift[u[:, -2] > REDSHIFT_KNOWN] = np.nan
    ids = np.arange(start, start + count)
    observations = {
        "object_id": ids[who],
        "time": START + t,
        "band": pd.array(np.array(BANDS, object)[band], dtype="str"),
        "flux": measured,
        "flux_err": flux_error(measured, depth),
    }
    truth = {"object_id": ids, "class": np.array(list(CLASSES), object)[kind], "log10_period": np.log10(period)}
    return pd.DataFrame(observations), pd.DataFrame({**truth, "redshift": redshift}).astype({"class": "str"})


def _cadence(v: np.ndarray, u: np.ndarray, sky: Sky) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Moments of the visits [k, visits] in days since the start, the middle of a season [k], which visits happen.

    Nights follow each other by 1 + an exponential gap whose mean is the object's own; an object is up for five
    to eight months of the year, and is looked at within a few hours of its culmination.
    """
    mean = _log_uniform(u[:, -3], 1.5, 6.0)[:, None]
    nights = np.cumsum(1 + np.floor(-mean * np.log1p(-v)), axis=1) - 1
    up = _uniform(u[:, -4], 150.0, 240.0)
    middle = 365.25 * u[:, -5]
    in_season = np.abs((nights - middle[:, None] + 182.6) % 365.25 - 182.6) < up[:, None] / 2
    kept = in_season & (nights < NIGHTS - 1)
    kept &= sky.clear[np.minimum(nights, NIGHTS - 1).astype(int)]
    hour = 0.25 * (v * 997.0 % 1.0)  # the digits of v that the gap did not use
    return nights + 0.3 + hour, middle + 365.25 * np.floor(YEARS * u[:, -6]), kept


# --- the classes ------------------------------------------------------------------------------------------


def constant(s: Sight) -> Light:
    return Light(np.ones(len(s.t)), _star(s))


def rr_lyrae_ab(s: Sight) -> Light:
    """Fundamental mode: 0.45 to 0.75 days, a steep rise, and the longer the weaker, as Bailey's diagram has it."""
    period = np.clip(_normal(s.u[:, 1], 0.58, 0.07), 0.44, 0.85)
    amplitude = np.clip(1.0 - 3.0 * (period - 0.58) + _normal(s.u[:, 2], 0.0, 0.12), 0.35, 1.5)
    return _pulsation(s, period, amplitude, _uniform(s.u[:, 3], 0.8, 0.95), colour=0.25)


def rr_lyrae_c(s: Sight) -> Light:
    """First overtone: 0.25 to 0.42 days, nearly a sine."""
    period = np.clip(_normal(s.u[:, 1], 0.33, 0.04), 0.24, 0.44)
    return _pulsation(s, period, _uniform(s.u[:, 2], 0.3, 0.6), _uniform(s.u[:, 3], 0.15, 0.45), colour=0.15)


def cepheid(s: Sight) -> Light:
    """Classical Cepheid: 2 to 50 days; least asymmetric near 10 days (Hertzsprung's progression)."""
    log_period = np.clip(_normal(s.u[:, 1], 0.8, 0.3), 0.3, 1.7)
    skew = 0.85 - 0.45 * np.exp(-(((log_period - 1.0) / 0.12) ** 2)) + _normal(s.u[:, 3], 0.0, 0.03)
    return _pulsation(s, 10**log_period, _uniform(s.u[:, 2], 0.4, 1.2), skew, colour=0.6)


def delta_scuti(s: Sight) -> Light:
    """Delta Scuti: 0.04 to 0.2 days, 0.03 to 0.5 mag."""
    amplitude = _log_uniform(s.u[:, 2], 0.03, 0.5)
    return _pulsation(s, _log_uniform(s.u[:, 1], 0.04, 0.2), amplitude, _uniform(s.u[:, 3], 0.1, 0.7), colour=0.2)


def eclipsing_detached(s: Sight) -> Light:
    """Two Gaussian dips (Mowlavi et al. 2017, A&A 606, A92); the second is shallower, and away from phase one
    half where the orbit is eccentric. 0.8 to 20 days."""
    period = _log_uniform(s.u[:, 1], 0.8, 20.0)
    depth = _uniform(s.u[:, 2], 0.1, 0.8)
    width = _log_uniform(s.u[:, 3], 0.02, 0.04) * (period / 0.8) ** (-2 / 3)  # Kepler's third law
    second = np.where(period > 3, 0.5 + 0.2 * s.u[:, 4] ** 3, 0.5)
    phase, dip = s.phase(period), np.zeros(len(s.t))
    for centre, share in ((np.zeros(len(period)), 1.0), (second, _uniform(s.u[:, 5], 0.1, 1.0))):
        away = _nearest(phase - centre[s.who])
        dip += (depth * share)[s.who] * np.exp(-0.5 * (away / width[s.who]) ** 2)
    return Light(10 ** (-0.4 * dip), _star(s), period)


def eclipsing_contact(s: Sight) -> Light:
    """W Ursae Majoris stars as the cosine series a1, a2, a4 of Rucinski (1993, PASP 105, 1433). 0.22 to 0.8 days."""
    period = 0.22 + 0.58 * s.u[:, 1] ** 2
    a2 = -_uniform(s.u[:, 2], 0.06, 0.27)
    a1, a4 = -0.1 * s.u[:, 3] * np.abs(a2), a2 * (0.125 - a2)  # deeper eclipses have sharper minima
    angle = 2 * np.pi * s.phase(period)
    series = a1[s.who] * np.cos(angle) + a2[s.who] * np.cos(2 * angle) + a4[s.who] * np.cos(4 * angle)
    # minima where the cosines are 1: a negative coefficient dims
    return Light(1.0 + series, _star(s), period)


def rotation(s: Sight) -> Light:
    """Two small dark spots, each seen while its side faces us (Budding 1977, Ap&SS 48, 207), which decay and
    appear anew within a year or two. 0.4 to 40 days."""
    period = _log_uniform(s.u[:, 1], 0.4, 40.0)
    size, life = _log_uniform(s.u[:, 2], 0.02, 0.15), _log_uniform(s.u[:, 3], 200.0, 800.0)
    inclination, phase, dark = np.arccos(s.u[:, 4]), s.phase(period), np.zeros(len(s.t))
    for latitude, longitude, share in ((s.u[:, 5], 0.0, 1.0), (s.u[:, 6], 0.3, 0.6)):
        b = np.arcsin(latitude)
        level, swing = np.cos(inclination) * np.sin(b), np.sin(inclination) * np.cos(b)
        facing = level[s.who] + swing[s.who] * np.cos(2 * np.pi * (phase - longitude - latitude[s.who]))
        alive = 0.6 + 0.4 * np.cos(2 * np.pi * (s.t / life[s.who] + latitude[s.who]))
        dark += share * size[s.who] * alive * np.maximum(facing, 0.0)
    contrast = np.array([1.0, 0.85, 0.7, 0.6])[s.band]
    return Light(1.0 - contrast * dark, _star(s), period)


def transit(s: Sight) -> Light:
    """A dark planet before a disc with quadratic limb darkening, in the small-planet form of Mandel & Agol (2002,
    ApJ 580, L171, section 5) with a straight ingress. 0.8 to 10 days; Kepler's third law sets the duration."""
    period, k = _log_uniform(s.u[:, 1], 0.8, 10.0), _uniform(s.u[:, 2], 0.08, 0.2)
    a = 4.2 * (period * _uniform(s.u[:, 3], 0.8, 2.0) ** 0.5) ** (2 / 3)  # 4.2 solar radii: the orbit of one day
    b, angle = 0.8 * s.u[:, 4], 2 * np.pi * _nearest(s.phase(period))
    z = np.hypot(a[s.who] * np.sin(angle), b[s.who] * np.cos(angle))
    z = np.where(np.cos(angle) > 0, z, np.inf)  # behind the star: no transit
    k = k[s.who]
    mu = np.sqrt(np.maximum(1 - z**2, 0.02))
    u1, u2 = np.array([0.55, 0.4, 0.3, 0.25])[s.band], 0.25
    surface = (1 - u1 * (1 - mu) - u2 * (1 - mu) ** 2) / (1 - u1 / 3 - u2 / 6)
    return Light(1.0 - k**2 * surface * np.clip((1 + k - z) / (2 * k), 0.0, 1.0), _star(s), period)


def supernova_ia(s: Sight) -> Light:
    """Narrow, bright and alike: -19.3 mag, up in days and down in weeks; redder bands fall later."""
    width = np.exp(_normal(s.u[:, 2], 0.0, 0.1))
    return _explosion(s, -19.3, 0.2, (0.1, 0.7), rise=3.5 * width, fall=15.0 * width, redden=0.25)


def supernova_ii(s: Sight) -> Light:
    """Broad, faint and varied: -17.2 mag, a plateau of months."""
    fall = _log_uniform(s.u[:, 2], 40.0, 120.0)
    return _explosion(s, -17.2, 0.8, (0.02, 0.3), rise=_uniform(s.u[:, 6], 1.5, 6.0), fall=fall, redden=0.4)


def microlensing(s: Sight) -> Light:
    """A point lens before a point source (Paczynski 1986, ApJ 304, 1), the same in all bands but for blended
    light. Einstein times of days to months."""
    einstein, u0 = np.clip(np.exp(_normal(s.u[:, 2], 3.2, 0.6)), 4.0, 150.0), 0.02 + 0.7 * s.u[:, 3]
    peak = s.season + _uniform(s.u[:, 4], -70.0, 70.0)
    u = np.hypot(u0[s.who], (s.t - peak[s.who]) / einstein[s.who])
    share = _uniform(s.u[:, 5], 0.4, 1.0)[s.who]
    return Light(1 + share * ((u**2 + 2) / (u * np.sqrt(u**2 + 4)) - 1), _star(s))


def agn(s: Sight) -> Light:
    """Damped random walk in magnitudes (Kelly et al. 2009, ApJ 698, 895), stepped exactly from night to night,
    with time-scale and size as MacLeod et al. (2010, ApJ 721, 1014) found them; bluer bands vary more."""
    redshift = _uniform(s.u[:, 1], 0.3, 2.5)
    size = np.exp(_normal(s.u[:, 2], np.log(0.16), 0.3))
    time_scale = np.exp(_normal(s.u[:, 3], np.log(200.0), 0.6)) * (1 + redshift)
    walk = random_walk(s.nights, s.normal, time_scale)
    dim = size[s.who] * walk[s.who, s.visit] * np.array([1.0, 0.87, 0.78, 0.72])[s.band]
    mag = _uniform(s.u[:, 4], 18.5, 21.5)[:, None] + _normal(s.u[:, 5], 0.2, 0.1)[:, None] * np.array([1, 0, -0.7, -1])
    return Light(10 ** (-0.4 * dim), mag, redshift=redshift)


CLASSES: Mapping[str, Callable[[Sight], Light]] = {
    model.__name__: model
    for model in (
        *(constant, rr_lyrae_ab, rr_lyrae_c, cepheid, delta_scuti, eclipsing_detached, eclipsing_contact),
        *(rotation, transit, supernova_ia, supernova_ii, microlensing, agn),
    )
}

TARGETS = (
    Target("class", kind="multiclass", classes=tuple(CLASSES)),
    Target("log10_period", unit="log10(d)"),
)
"""The target columns of the objects that ``simulate`` makes."""


def random_walk(
    t: Float[np.ndarray, "k visits"], normal: Float[np.ndarray, "k visits"], time_scale: Objects
) -> Float[np.ndarray, "k visits"]:
    """Ornstein-Uhlenbeck processes of variance 1 at uneven, rising times: the exact update, not an Euler step."""
    out = np.empty(t.shape)
    out[:, 0] = normal[:, 0]
    decay = np.exp(-np.diff(t) / time_scale[:, None])
    kick = np.sqrt(1 - decay**2) * normal[:, 1:]
    for i in range(t.shape[1] - 1):
        out[:, i + 1] = decay[:, i] * out[:, i] + kick[:, i]
    return out


def sawtooth(phase: np.ndarray, skew: np.ndarray) -> np.ndarray:
    """Magnitudes of a pulsating star, peak to peak 1: the Fourier series sum_k skew^(k-1)/k sin(2 pi k phase) of a
    saw-tooth, summed to infinity. ``skew`` is twice the amplitude ratio R21 of Simon & Lee (1981, ApJ 248, 291)."""
    angle = 2 * np.pi * phase
    return -np.arctan2(skew * np.sin(angle), 1 - skew * np.cos(angle)) / (2 * np.arcsin(skew))


def _pulsation(s: Sight, period: Objects, amplitude: Objects, skew: Objects, colour: float) -> Light:
    """The same curve in all bands, weaker in the red (Sesar et al. 2010, ApJ 708, 717, for RR Lyrae)."""
    strength = amplitude[s.who] * np.array([1.0, 0.72, 0.58, 0.53])[s.band]
    return Light(10 ** (-0.4 * strength * sawtooth(s.phase(period), skew[s.who])), _star(s, colour, 0.08), period)


def _explosion(
    s: Sight, peak: float, scatter: float, redshifts: tuple[float, float], rise: Objects, fall: Objects, redden: float
) -> Light:
    """Bazin et al. (2009, A&A 499, 653, eq. 1): exp(-t/fall) / (1 + exp(-t/rise)), stretched by 1 + redshift and
    scaled to a peak of 1. Before it and long after it there is no light. Distances for H0 = 70, q0 = -0.55."""
    redshift = redshifts[0] + (redshifts[1] - redshifts[0]) * np.sqrt(s.u[:, 1])
    distance = 299_792.458 / 70 * redshift * (1 + 0.775 * redshift)  # Mpc; from the peak magnitude in r on
    r = peak + 5 * np.log10(distance) + 25 + _normal(s.u[:, 3], 0.0, scatter)
    blue = 0.1 + 1.2 * redshift + _normal(s.u[:, 5], 0.0, 0.1)  # g - r: the ultraviolet is dark
    mag = r[:, None] + blue[:, None] * np.array([1.0, 0.0, -0.3, -0.35])
    when = s.season + _uniform(s.u[:, 4], -80.0, 80.0)
    stretch = 1 + redshift[s.who]
    t = np.clip((s.t - when[s.who]) / stretch, -400.0, None)
    rise, fall = rise[s.who], fall[s.who] * (1 + redden * s.band)
    shape = np.exp(-t / fall) / (1 + np.exp(np.minimum(-t / rise, 700.0)))
    at = rise * np.log(fall / rise - 1)  # the moment of the peak
    return Light(shape * np.exp(at / fall) * (1 + np.exp(-at / rise)), mag, redshift=redshift)


def _star(s: Sight, colour: float | None = None, spread: float = 0.0) -> Float[np.ndarray, "k bands"]:
    """Magnitudes of stars of 16 to 20.5 mag in r; ``colour`` is g - r, and any of a star's where not given."""
    g_r = _uniform(s.u[:, 7], -0.2, 1.4) if colour is None else _normal(s.u[:, 7], colour, spread)
    r = _uniform(s.u[:, 8], 16.0, 20.5)
    return r[:, None] + g_r[:, None] * np.array([1.0, 0.0, -0.45, -0.7])


def _nearest(phase: np.ndarray) -> np.ndarray:
    """Cycles to the nearest whole cycle, -0.5 to 0.5."""
    return phase - np.round(phase)


def _uniform(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return low + (high - low) * u


def _log_uniform(u: np.ndarray, low: float, high: float) -> np.ndarray:
    return low * (high / low) ** u


def _normal(u: np.ndarray, mean: float, sd: float) -> np.ndarray:
    return mean + sd * ndtri(np.clip(u, 1e-9, 1 - 1e-9))
