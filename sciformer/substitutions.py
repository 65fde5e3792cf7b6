"""What a backbone that learned to fill in hidden tokens says of substitutions, without a single measured effect.

Masked marginals (Meier et al. 2021, NeurIPS 34, doi:10.1101/2021.07.09.450648): a variant is worth the sum over its
sites of ln p(what it has there) - ln p(what the record has there), both read where all of these sites are hidden.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from sciformer.adapter import Record
from sciformer.distributions import Categorical
from sciformer.ensemble import Ensemble
from sciformer.tasks.reconstruct import Reconstruct
from sciformer.tokens import Example

SCANNED = 2**25
"""Tokens of changed records that are read for one scan: an hour on two CPU cores."""


@dataclass(frozen=True)
class Site:
    """Where a site of a record is among its tokens."""

    token: int
    here: str
    """What stands there."""
    comparable: bool
    """Whether any substitution leads to what stands there: what is none (an unknown residue) is no answer."""


@dataclass(frozen=True)
class Scene:
    """A record, its single substitutions, and where they are."""

    record: Record
    table: pd.DataFrame
    sites: dict[str, Site]
    column: int
    """The place among the categories that are answered of the one that substitutions change."""
    ids: dict[str, int]
    """What can stand at a site, by its label."""

    @classmethod
    def of(cls, backbone: Ensemble[Any], task: Reconstruct, record: Record) -> "Scene":
        """Raises ``ValueError`` in a domain without substitutions, or where one changes more than one token."""
        table, changed = backbone.adapter.changed(record)
        before = backbone.example(record).tokens[task.modality].ids
        sites: dict[str, Site] = {}
        columns: set[int] = set()
        known: dict[str, bool] = {}
        for row in table.index[~table["site"].duplicated()]:
            other = changed(int(row))
            after = backbone.example(other).tokens[task.modality].ids
            places = (before != after).nonzero().tolist() if before.shape == after.shape else []
            if len(places) != 1:
                raise ValueError(
                    f"the substitution {table['variant'][row]} changes {len(places)} entries of the tokens: how likely "
                    "it is can only be told where it changes one"
                )
            token, column = places[0]
            columns.add(column)
            here = task.schema.ids[column].labels[int(before[token, column]) - 1]
            if here not in known:  # a substitution that can be taken back leads to what stands here
                back = backbone.adapter.changed(other)[0]
                known[here] = here in set(back["to"])
            sites[str(table["site"][row])] = Site(token, here, known[here])
        if len(columns) != 1:
            raise ValueError(f"record {record.key!r} has no substitutions of one kind, got {len(columns)} kinds")
        column = task.schema.ids[columns.pop()]
        ids = {label: i for i, label in enumerate(column.labels, start=1)}
        return cls(record, table, sites, task.categories.index(column), ids)

    def why_not(self, sites: Sequence[str]) -> str:
        """Why a substitution at these sites has no effect; "ok" where it has one."""
        odd = [site for site in sites if not self.sites[site].comparable]
        return f"nothing to compare with: {self.sites[odd[0]].here} at {odd[0]} is not told apart" if odd else "ok"


def at_sites(table: pd.DataFrame, sites: Collection[str] | None) -> pd.DataFrame:
    """The substitutions at some sites, or all of them.

    Raises ``ValueError`` for a site that there is not.
    """
    if sites is None:
        return table
    if odd := sorted(set(sites) - set(table["site"])):
        raise ValueError(f"no site {odd[0]!r}; sites are called {', '.join(table['site'].unique()[:3])}, ...")
    return table[table["site"].isin(list(sites))]


def scan(
    backbone: Ensemble[Any], task: Reconstruct, record: Record, sites: Collection[str] | None = None
) -> pd.DataFrame:
    """See ``Backbone.scan``: every site is hidden once, and answers for all its substitutions."""
    scene = Scene.of(backbone, task, record)
    table = at_sites(scene.table, sites).reset_index(drop=True)
    hidden = list(dict.fromkeys(table["site"]))
    _affordable(backbone, record, len(hidden))
    logs = dict(zip(hidden, _log_probabilities(backbone, task, scene, [[site] for site in hidden]), strict=True))
    effects, status = [], []
    for site, to in zip(table["site"], table["to"], strict=True):
        why = scene.why_not([site])
        effects.append(_gain(scene, logs[site][0], site, to) if why == "ok" else np.nan)
        status.append(why)
    return table.assign(effect=effects, status=status)


def variants(backbone: Ensemble[Any], task: Reconstruct, record: Record, names: Sequence[str]) -> pd.DataFrame:
    """See ``Backbone.variants``."""
    scene = Scene.of(backbone, task, record)
    rows = scene.table.set_index("variant")
    parts = [[part.strip() for part in name.split(",") if part.strip()] for name in names]
    for name, some in zip(names, parts, strict=True):
        if odd := [part for part in some if part not in rows.index]:
            called = ", ".join(map(str, rows.index[:3]))
            raise ValueError(
                f"variant {name!r} has {odd[0]!r}, which is no substitution of record {record.key!r}; they are called "
                f"{called}, ..., several joined by commas"
            )
        if not some or len(set(rows.loc[some, "site"])) < len(some):
            raise ValueError(f"variant {name!r} must have one substitution or more, each at another site")
    sites = [[str(site) for site in rows.loc[some, "site"]] for some in parts]
    _affordable(backbone, record, len(names))
    effects, status = [], []
    for some, where, logs in zip(parts, sites, _log_probabilities(backbone, task, scene, sites), strict=True):
        why, letters = scene.why_not(where), rows.loc[some, "to"]
        gains = [_gain(scene, *each) for each in zip(logs, where, letters, strict=True)]
        effects.append(sum(gains) if why == "ok" else np.nan)
        status.append(why)
    return pd.DataFrame({"variant": list(names), "effect": np.array(effects, dtype=np.float64), "status": status})


def matrix(scan: pd.DataFrame) -> pd.DataFrame:
    """The effects of a scan as sites by what stands there."""
    known = scan["status"] == "ok"
    rows = scan.assign(effect=scan["effect"].where(known, np.inf))  # so that it is not taken for what stands there
    table = rows.pivot(index="site", columns="to", values="effect").fillna(0.0).replace(np.inf, np.nan)
    table = table.loc[rows["site"].unique()].rename_axis(columns=None)
    table.attrs = {"target": "log odds", "unit": "nat", "wild_type": 0.0, "notes": []}
    return table


def _affordable(backbone: Ensemble[Any], record: Record, times: int) -> None:
    size = backbone.example(record).size
    if times * size > SCANNED:
        raise ValueError(
            f"reading a record of {size} tokens {times} times would take hours: choose some sites (--sites M1,K5 or "
            "sites=[...])"
        )


def _gain(scene: Scene, log: np.ndarray, site: str, to: str) -> float:
    return float(log[scene.ids[to]] - log[scene.ids[scene.sites[site].here]])


def _log_probabilities(
    backbone: Ensemble[Any], task: Reconstruct, scene: Scene, hidden: Sequence[Sequence[str]]
) -> list[list[np.ndarray]]:
    """For each set of sites that are hidden together, ln p of what can stand at each of them."""
    places = [[scene.sites[site].token for site in some] for some in hidden]
    model, name = backbone.members[0].model, task.categories[scene.column].name
    out: list[list[np.ndarray]] = [[] for _ in hidden]
    for rows, batch in backbone.batches(_copies(backbone, scene.record, len(hidden))):
        tokens = batch.tokens[task.modality]
        where = torch.zeros_like(tokens.exists)
        for i, row in enumerate(rows):
            where[i, places[row]] = True
        with torch.inference_mode():
            answer = task(model, task.hiding(batch, where))[name]
        assert isinstance(answer, Categorical)
        logs = answer.log_probs.unflatten(0, (len(rows), tokens.size)).double().cpu().numpy()
        for i, row in enumerate(rows):
            out[row] = list(logs[i, places[row]])
    return out


def _copies(backbone: Ensemble[Any], record: Record, times: int) -> Iterator[Example]:
    example = backbone.example(record)
    return (example for _ in range(times))
