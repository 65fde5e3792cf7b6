"""What a transient would look like at a larger redshift: fainter, slower, and seen in bluer light of its own.

A band of wavelength w sees an object at redshift z' in the light that was at w (1 + z) / (1 + z') when it stood at z.
What no band saw there is interpolated by a Gaussian process in time and wavelength, as Boone (2019, arXiv:1907.04690)
does, whose length-scales these are.
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

DAYS, ANGSTROMS = 20.0, 6000.0
"""Length-scales of the light, in time and wavelength."""
WAVELENGTHS = {"u": 3600.0, "g": 4800.0, "r": 6400.0, "i": 7800.0, "z": 9200.0, "y": 10000.0}
"""Effective wavelengths of the SDSS, DES and LSST bands in Angstrom, by their lower-case names."""
NEAREST = 0.01
"""Below this redshift it says nothing of the distance: own motions and its errors are as large."""
DETECTED = 5.0
"""Signal to noise that at least one observation of an object has, or no survey would have listed it."""
SKY = (0.5, 1.0)
"""Errors in another field of the survey, in those of the field where the object was seen. Objects with spectra are
bright ones of shallow fields, and a bright object adds photon noise of its own."""

Points = Float[np.ndarray, " n"]


def wavelengths(bands: Sequence[str]) -> tuple[float, ...]:
    """Angstrom by band.

    Raises ``ValueError`` naming the bands that are not known.
    """
    if unknown := [band for band in bands if band.lower() not in WAVELENGTHS]:
        raise ValueError(
            f"the wavelength of band {', '.join(map(repr, unknown))} is not known, so nothing can be moved to another "
            f"redshift; known are {', '.join(WAVELENGTHS)}; switch `recede` off"
        )
    return tuple(WAVELENGTHS[band.lower()] for band in bands)


def dimming(redshift: float, factor: float) -> float:
    """Ratio of flux densities per frequency (as AB magnitudes measure) when 1 + ``redshift`` grows by ``factor``, for
    the same light emitted: the squared ratio of luminosity distances, times the narrowing of the band."""
    at = [redshift, (1 + redshift) * factor - 1]
    near, far = _cosmology().luminosity_distance(at).value
    return float(factor * (near / far) ** 2)


@functools.cache
def _cosmology() -> Any:
    """Made once: making it takes ten times as long as all the rest."""
    from astropy import cosmology

    flat: Any = cosmology.FlatLambdaCDM  # its type is that of a dataclass without fields
    return flat(H0=70, Om0=0.3)


def interpolated(time: Points, wavelength: Points, flux: Points, error: Points, factor: float) -> tuple[Points, Points]:
    """Mean and standard deviation of the light at the same times and at ``wavelength / factor``.

    Matern 3/2 around zero, which is what a transient is before and after; its size is half the flux that is measured
    best, as in Boone (2019).
    """
    from scipy.linalg import cho_factor, cho_solve

    size = 0.5 * abs(flux[np.argmax(flux / error)])
    seen = np.column_stack([time / DAYS, wavelength / ANGSTROMS])
    asked = np.column_stack([time / DAYS, wavelength / factor / ANGSTROMS])
    noise = np.maximum(error, 1e-4 * size)  # two perfect measurements at one place have no inverse
    factored = cho_factor(size**2 * _matern(seen, seen) + np.diag(noise**2), lower=True)
    across = size**2 * _matern(asked, seen)
    mean = across @ cho_solve(factored, flux)
    variance = size**2 - (across * cho_solve(factored, across.T).T).sum(1)
    return mean, np.sqrt(np.maximum(variance, 0.0))


def _matern(a: Float[np.ndarray, "n 2"], b: Float[np.ndarray, "m 2"]) -> Float[np.ndarray, "n m"]:
    from scipy.spatial.distance import cdist

    distance = np.sqrt(3) * cdist(a, b)
    return (1 + distance) * np.exp(-distance)
