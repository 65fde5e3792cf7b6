"""From residues to tokens: one per residue, or one per substitution of a variant.

Both begin with ``<start>``, which carries what is known of the whole, and a chain ends with ``<end>``.
"""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from scipy.spatial.transform import Rotation

from sciformer.domains.protein.alphabet import END, LABELS, LETTERS, START, encode
from sciformer.domains.protein.chains import Chains, changes
from sciformer.domains.protein.descriptors import describe
from sciformer.tokens import AXES, Axis, Category, Schema, Target, Tokens, Value

_START, _END = LABELS.index(START) + 1, LABELS.index(END) + 1
_ORDER, _X = AXES.index("order"), AXES.index("x")


@dataclass(frozen=True)
class Layout:
    """Which columns the tokens have."""

    wild_type: str = ""
    substitutions: bool = False
    """Whether the tokens are those of the substitutions alone."""
    coordinates: bool = False
    features: tuple[str, ...] = ()
    descriptors: tuple[str, ...] = ()
    labels: tuple[Target, ...] = ()
    periods: tuple[float, ...] = ()

    @property
    def classes(self) -> tuple[Target, ...]:
        return tuple(target for target in self.labels if target.classes)

    @property
    def numbers(self) -> tuple[Target, ...]:
        return tuple(target for target in self.labels if not target.classes)

    @functools.cached_property
    def schema(self) -> Schema:
        ids = [Category("residue", len(LABELS) + 1, LABELS)]
        if self.wild_type:
            ids.append(Category("wild type", len(LETTERS) + 1, tuple(LETTERS)))
            ids.append(Category("site", len(self.wild_type) + 1))
            # What is special to one substitution, on top of what its site and both residues say.
            ids.append(Category("substitution", len(self.wild_type) * len(LETTERS) + 1, silent=True))
        ids += [Category(t.name, len(t.classes) + 1, t.classes, embedded=False) for t in self.classes]
        values = [Value(name) for name in (*self.features, *self.descriptors)]
        values += [Value(t.name, t.unit, given=True, embedded=False) for t in self.numbers]
        # Published rotary models (ESM-2) turn by 1 / 10000^(2 i / k): periods from 2 pi to nearly 2 pi 10000. Their
        # weights bring them along as they were stored.
        axes = [Axis("order", "residue", 2 * np.pi, 2 * np.pi * 10000, self.periods)]
        if self.coordinates:
            axes += [Axis(name, "Å", 2.0, 100.0) for name in ("x", "y", "z")]
        return Schema(ids=tuple(ids), values=tuple(values), axes=tuple(axes))

    def places(self, chains: Chains) -> list[int]:
        """The residues that have a token."""
        if self.wild_type and self.substitutions:
            return changes(chains.residues, self.wild_type)
        return list(range(len(chains)))


def tokenize(chains: Chains, layout: Layout, modality: str) -> Tokens:
    """Unbatched tokens: ``<start>``, one per place, and ``<end>`` behind the residues of a whole sequence."""
    places = np.array(layout.places(chains), dtype=np.int64)
    closed = not (layout.wild_type and layout.substitutions)
    n = len(places) + 1 + closed
    inner = slice(1, 1 + len(places))
    ids = np.zeros((n, len(layout.schema.ids)), dtype=np.int64)
    ids[0, 0], ids[inner, 0] = _START, encode(chains.residues)[places]
    if closed:
        ids[-1, 0] = _END
    if layout.wild_type:
        here, there = ids[inner, 0], encode(layout.wild_type)[places].astype(np.int64)
        substitution = np.where(here != there, places * len(LETTERS) + here, 0)
        ids[inner, 1:4] = np.stack([there, places + 1, substitution], axis=-1)
    for j, target in enumerate(layout.classes, start=ids.shape[1] - len(layout.classes)):
        ids[inner, j] = _classes(chains.labels, target.name, places)
    values = np.full((n, len(layout.schema.values)), np.nan)
    for j, name in enumerate(layout.features):
        values[inner, j] = chains.features[name][places]
    if layout.descriptors:
        values[0, len(layout.features) : len(layout.features) + len(layout.descriptors)] = describe(
            chains.residues, layout.descriptors
        )
    for j, target in enumerate(layout.numbers, start=values.shape[1] - len(layout.numbers)):
        values[inner, j] = _column(chains.labels, target.name, places)
    return Tokens.of(
        modality,
        ids=torch.from_numpy(ids),
        values=torch.from_numpy(np.nan_to_num(values)).float(),
        observed=torch.from_numpy(~np.isnan(values)),
        coords=torch.from_numpy(_coords(chains, layout, places, closed)),
    )


def _coords(chains: Chains, layout: Layout, places: np.ndarray, closed: bool) -> np.ndarray:
    """``<start>`` and ``<end>`` stand one step before the first and behind the last residue."""
    coords = np.zeros((len(places) + 1 + closed, len(AXES)), dtype=np.float32)
    order = chains.order
    inner = slice(1, 1 + len(places))
    coords[inner, _ORDER] = order[places]
    coords[0, _ORDER] = (order[0] if len(order) else 0) - 1
    if closed:
        coords[-1, _ORDER] = (order[-1] if len(order) else 0) + 1
    if layout.coordinates and chains.xyz is not None:
        known = np.isfinite(chains.xyz).all(-1)
        centred = chains.xyz - chains.xyz[known].mean(0) if known.any() else chains.xyz
        coords[inner, _X : _X + 3] = np.nan_to_num(centred[places])
    return coords


def _classes(labels: Mapping[str, np.ndarray], name: str, places: np.ndarray) -> np.ndarray:
    """Ids of the classes, 0 where unknown."""
    return np.nan_to_num(_column(labels, name, places) + 1).astype(np.int64)


def _column(labels: Mapping[str, np.ndarray], name: str, places: np.ndarray) -> np.ndarray:
    return labels[name][places] if name in labels else np.full(len(places), np.nan)


def names(chains: Chains, layout: Layout) -> list[str]:
    """Of the tokens: ``A23`` of residues, ``G23A`` of substitutions."""
    numbers = chains.called
    places: Sequence[int] = layout.places(chains)
    if layout.wild_type and layout.substitutions:
        return [START, *(f"{layout.wild_type[i]}{numbers[i]}{chains.residues[i]}" for i in places)]
    return [START, *(f"{chains.residues[i]}{numbers[i]}" for i in places), END]


def residues(chains: Chains, layout: Layout) -> pd.DataFrame:
    """The residues that have a token: its place, the chain, and what the residue is called there."""
    places = layout.places(chains)
    numbers = chains.called
    chain = np.searchsorted(chains.starts, places, side="right") - 1
    return pd.DataFrame(
        {
            "token": np.arange(1, len(places) + 1),
            "chain": [chains.names[i] for i in chain],
            "position": [numbers[i] for i in places],
            "residue": [chains.residues[i] for i in places],
        }
    )


def turned(tokens: Tokens, rng: np.random.Generator) -> Tokens:
    """The same tokens, turned at random in space."""
    coords = tokens.coords.clone()
    turn = torch.from_numpy(Rotation.random(rng=rng).as_matrix()).float()
    coords[..., _X : _X + 3] = coords[..., _X : _X + 3] @ turn
    return tokens.replace(coords=coords)
