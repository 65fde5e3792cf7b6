"""The same object under two ids: one place on the sky, one name, or the same observations.

Records of one object share ``Record.group``, so that no split tears them apart and the audit counts them.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from sciformer.adapter import Record
from sciformer.domains.lightcurve.clean import Found, Unreadable
from sciformer.domains.lightcurve.curve import Curve

RADIUS = 1.5
"""Arc seconds within which two positions are one object: catalogues from the ground agree to about one."""

SHARED = 0.5
"""Share of the shorter curve's observations from which two curves are the same measurements. Chance makes a few rows
equal where a survey visits many stars at once (five of some hundred in OGLE), never half of them."""

VALUES = 3
"""Different values that the common observations need: a row of zeros, or of one upper limit, is no evidence."""

COMMON = 10
"""Of the references that have one observation, only so many are compared: what more of them have tells nothing."""

COARSE = 0.05
"""Degrees; a position whose coordinates are both multiples of this may be where the telescope pointed."""

MOST_NAMES = 4
"""A position with more objects than this is where the telescope pointed, or a placeholder."""


def groups(found: Sequence[Found]) -> list[str]:
    """One group per object: its place to an arc second, else the name by which its source knows it, else its key.

    Where several of these are one object, all have the least of them.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    codes, labels = pd.factorize(np.array([_place(item) or item.identity or item.key for item in found], dtype=object))
    pairs = codes[np.concatenate([_namesakes(found), _neighbours(found), _repeats(found)])]
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(labels), len(labels)))
    _, component = connected_components(links, directed=False)
    least = pd.Series(labels).groupby(component).min()
    return least.loc[component[codes]].tolist() if len(found) else []


def without_pointings(found: list[Found]) -> list[Found]:
    """Without the positions that many objects share: they are those of a field, or placeholders."""
    names: dict[str, set[str]] = {}
    for item in found:
        if place := _place(item):
            names.setdefault(place, set()).add(item.identity or item.key)
    return [_without_pointing(item, len(names.get(_place(item), ()))) for item in found]


def nearest(
    queries: Sequence[Record], references: Sequence[Record]
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """For each query the largest share of its observations that one reference has too, and that reference's index.

    Observations are the same if time, band and value are. Without one in common the share is 0 and the index -1.
    """
    share, index = np.zeros(len(queries)), np.full(len(queries), -1)
    rows, known = (_observations([record.data for record in records]) for records in (queries, references))
    known = known[known.groupby("hash").cumcount() < COMMON]
    pairs = rows.merge(known, on="hash", suffixes=("", "_known")).groupby(["owner", "owner_known"]).size()
    best = pairs.sort_values(ascending=False, kind="stable").reset_index(name="common").drop_duplicates("owner")
    index[best["owner"]] = best["owner_known"]
    share[best["owner"]] = best["common"] / np.bincount(rows["owner"], minlength=len(queries))[best["owner"]]
    return share, index


# --- positions -------------------------------------------------------------------------------------------


def _without_pointing(item: Found, sharing: int) -> Found:
    if isinstance(item.data, Unreadable) or item.data.position is None:
        return item
    steps = np.array(item.data.position) / COARSE
    coarse = sharing > 1 and np.allclose(steps, np.round(steps), rtol=0, atol=1e-6)
    if not coarse and sharing <= MOST_NAMES:
        return item
    note = f"its position is that of {sharing} objects, so of a field or a placeholder: left out"
    return dataclasses.replace(item, data=dataclasses.replace(item.data, position=None, notes=(*item.data.notes, note)))


def _place(item: Found) -> str:
    """The position to an arc second, "" where it is not known."""
    if isinstance(item.data, Unreadable) or item.data.position is None:
        return ""
    ra, dec = item.data.position
    step = max(np.cos(np.radians(dec)), 1e-4)  # a degree of right ascension is shorter near a pole
    return f"{round(ra * step * 3600) % round(360 * step * 3600)} {round(dec * 3600)}"


def _namesakes(found: Sequence[Found]) -> Int[np.ndarray, "p 2"]:
    """Each object of a name with the next one of that name, wherever their positions lie."""
    named = pd.Series([item.identity for item in found], dtype="str").replace("", None)
    rows = [indices for indices in named.groupby(named).indices.values() if len(indices) > 1]
    return np.concatenate([np.zeros((0, 2), dtype=np.int64), *(np.stack([r[:-1], r[1:]], axis=1) for r in rows)])


def _neighbours(found: Sequence[Found]) -> Int[np.ndarray, "p 2"]:
    """Pairs of objects within ``RADIUS``."""
    placed = [i for i, item in enumerate(found) if isinstance(item.data, Curve) and item.data.position is not None]
    if len(placed) < 2:
        return np.zeros((0, 2), dtype=np.int64)
    from astropy import units
    from astropy.coordinates import SkyCoord

    sky = SkyCoord([found[i].data.position for i in placed], unit="deg")  # type: ignore[union-attr]
    first, second, *_ = sky.search_around_sky(sky, RADIUS * units.arcsec)  # pyright: ignore[reportAttributeAccessIssue]
    return np.array(placed)[np.stack([first, second], axis=1)[first < second]]


# --- observations ----------------------------------------------------------------------------------------


def _observations(curves: Sequence[Curve | None]) -> pd.DataFrame:
    """The different observations of many curves: index ``owner`` of the curve, ``hash`` of time, band and value, and
    the value, to the precision of float32, in which many files hold it."""
    known = [(i, curve) for i, curve in enumerate(curves) if curve is not None]
    columns = {
        name: np.concatenate([np.zeros(0, dtype=kind), *(getattr(curve, name) for _, curve in known)])
        for name, kind in (("time", float), ("band", str), ("value", float))
    }
    columns["value"] = columns["value"].astype(np.float32)
    owner = np.repeat(np.array([i for i, _ in known], dtype=np.int64), [len(curve) for _, curve in known])
    hashes = pd.util.hash_pandas_object(pd.DataFrame(columns), index=False).to_numpy()
    frame = pd.DataFrame({"owner": owner, "hash": hashes, "value": columns["value"]})
    return frame.drop_duplicates(["owner", "hash"])


def _repeats(found: Sequence[Found]) -> Int[np.ndarray, "p 2"]:
    """Pairs of objects of which one has at least ``SHARED`` of its observations from the other.

    Of several objects that have an observation, neighbours in order are paired: so many copies cost no more than few.
    """
    rows = _observations([item.data if isinstance(item.data, Curve) else None for item in found])
    total = np.bincount(rows["owner"], minlength=len(found))
    rows = rows.sort_values(["hash", "owner"])
    first, second = rows[:-1], rows[1:]
    same = first["hash"].to_numpy() == second["hash"].to_numpy()
    both = second[same].assign(before=first["owner"].to_numpy()[same])
    pairs = both.groupby(["before", "owner"])["value"].agg(["size", "nunique"]).reset_index()
    shorter = np.minimum(total[pairs["before"]], total[pairs["owner"]])
    pairs = pairs[(pairs["size"] >= SHARED * shorter) & (pairs["nunique"] >= VALUES)]
    return pairs[["before", "owner"]].to_numpy(dtype=np.int64)
