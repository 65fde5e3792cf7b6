"""The analysis-code interface: a checkpoint becomes an object that answers tables with tables.

Nothing global is touched: no seed, no logging, no thread count.
"""

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import torch

from sciformer.adapter import Record
from sciformer.answers import Known, PropertyEnsemble, spread
from sciformer.distributions import Distribution, join, take
from sciformer.ensemble import index_of, known_level, status
from sciformer.substitutions import SCANNED, at_sites
from sciformer.tasks.property import Property
from sciformer.tokens import Example, Target

NEVER_VARIED = "never varied in training: nothing was learned of this site"


@dataclass(frozen=True)
class Predictor(PropertyEnsemble[Property]):
    """A trained ensemble of property models: records in, a table with a row per record out."""

    def predict(self, source: Any, *, level: float | int | None = None, **columns: Any) -> pd.DataFrame:
        """Predict every row of ``source``, in its order.

        The index is that of a table, 0, 1, ... for a list, and the keys of the records for a file.

        Args:
            source: Whatever the domain reads: a path, a DataFrame, a list of records in native types.
            level: Share of truths that intervals and sets shall hold; by default that of training.
            columns: Options of the domain's reader, such as ``smiles="SMILES"``.

        Returns:
            For a regression target its name, ``_lower`` and ``_upper``; for classes the likeliest class,
            ``_p_<class>`` for each class and ``_set`` (classes joined by ``|``); last ``status``: ``ok`` or
            the reason why a row has no answer. ``attrs["notes"]`` is a list of what else must be known.

        Raises ``ValueError`` where the source as a whole cannot be read or ``level`` is not calibrated.
        """
        level = known_level(self.level if level is None else level)
        records = self.read(source, **columns)
        found = self.answer([record for record in records if record.ok])
        readable = np.array([record.ok for record in records], dtype=bool)
        table: dict[str, np.ndarray] = {}
        for target in self.targets:
            table |= {
                name: spread(values, readable)
                for name, values in self.columns(target, found[target.name], level).items()
            }
        table["status"] = np.array([status(record) for record in records], dtype=object)
        answers = pd.DataFrame(table, index=index_of(self.adapter, source, records))
        answers.attrs["notes"] = self.notes(records, level)
        return answers

    def scan(
        self,
        source: Any = None,
        *,
        sites: Collection[str] | None = None,
        level: float | int | None = None,
        **columns: Any,
    ) -> pd.DataFrame:
        """Predict all single substitutions of one record: of ``source``, by default of the wild type that was learned.

        ``sites`` (``["M1", "K5"]``) chooses some of them. Returns a row per substitution: ``variant``, ``site``,
        ``to``, the columns of ``predict``, and ``status``: ``ok``, or that the site never varied in training, so that
        nothing was learned of its substitutions. The first row is the record itself, called ``wt``. ``attrs["notes"]``
        is a list of what else must be known.

        Raises ``ValueError`` where the source is not one readable record, has no substitutions or not these sites, or
        where reading all of them would take hours.
        """
        return self.scanned(self.alone(source, **columns), known_level(self.level if level is None else level), sites)

    def scanned(self, record: Record, level: float, sites: Collection[str] | None = None) -> pd.DataFrame:
        """``scan`` of a readable record, of some of its sites where they are named."""
        table, changed = self.adapter.changed(record)
        table = at_sites(table, sites)
        rows, size = table.index.tolist(), self.example(record).size
        if len(rows) * size > SCANNED:
            raise ValueError(
                f"{len(rows)} substitutions of {size} tokens each would take hours: choose some sites "
                "(--sites M1,K5 or sites=[...])"
            )
        found = self.answer(itertools.chain([record], map(changed, rows)))
        table = pd.concat([pd.DataFrame({"variant": ["wt"], "site": "", "to": ""}), table], ignore_index=True)
        for target in self.targets:
            table = table.assign(**self.columns(target, found[target.name], level))
        every = list(dict.fromkeys(table["site"].iloc[1:]))
        known = {"", *(self.adapter.varied(record) or every)}
        table["status"] = ["ok" if site in known else NEVER_VARIED for site in table["site"]]
        table.attrs["notes"] = self.notes([record], level)
        if strange := len(set(every) - known):
            never = f"{strange} of {len(every)} sites never varied in training"
            table.attrs["notes"].append(f"{never}: nothing was learned of their substitutions")
        return table

    def mutate(self, source: Any = None, *, target: str | None = None, **columns: Any) -> pd.DataFrame:
        """What each single substitution changes: a matrix of sites (``M1``) by amino acids. Numbers are the answer to
        the variant minus that to the record itself; of classes they are the change of the probability of the last.

        ``target`` names one of several targets; ``attrs`` has its name, ``unit``, the answer to the record itself
        (``wild_type``) and ``notes``. What stands at a site already changes nothing (0). ``scan`` has the intervals.
        """
        by_name = {t.name: t for t in self.targets}
        if target is not None and target not in by_name:
            raise ValueError(f"no target named {target!r}; targets: {', '.join(by_name)}")
        return matrix_of(self.scan(source, **columns), by_name[target] if target else self.targets[0])

    def forecast(self, *args: Any, **options: Any) -> NoReturn:
        raise TypeError("this checkpoint predicts properties and forecasts nothing: use .predict(...)")

    def residues(self, *args: Any, **options: Any) -> NoReturn:
        raise TypeError("this checkpoint predicts properties of whole records: use .predict(...)")

    def answer(self, records: Iterable[Record | Example]) -> dict[str, Distribution]:
        """Distributions by target for readable records, in their order and in physical units."""
        parts: list[dict[str, Distribution]] = []
        order: list[int] = []
        for rows, batch in self.batches(x if isinstance(x, Example) else self.example(x) for x in records):
            each = [member.task.predict(member.model, batch) for member in self.members]
            parts.append({t.name: type(each[0][t.name]).mixture([x[t.name] for x in each]) for t in self.targets})
            order += rows
        if not parts:
            return {target.name: self.task.empty(target) for target in self.targets}
        back = np.argsort(np.array(order, dtype=np.int64))
        return {t.name: take(join([part[t.name] for part in parts]), back) for t in self.targets}

    def attention(self, source: Any, **columns: Any) -> pd.DataFrame:
        """How much each property reads from each token: a long table of record, target, token and weight.

        ``record`` is the label that the record has in the index of ``predict``. An unreadable record has one
        row, with the reason as its ``status`` and nothing else. Weights of a record and target sum to 1 (mean
        over heads and models). They show where the model looked, which is not an explanation of its answer.
        """
        records = self.read(source, **columns)
        found = iter(self.weights([record for record in records if record.ok]))
        rows: list[tuple[Any, ...]] = []
        for label, record in zip(index_of(self.adapter, source, records), records, strict=True):
            if not record.ok:
                rows.append((label, None, None, None, np.nan, record.problem))
                continue
            names = self.adapter.token_names(record)
            for target, weights in zip(self.targets, next(found), strict=True):
                rows += [
                    (label, target.name, i, name, float(weight), "ok")
                    for i, (name, weight) in enumerate(zip(names, weights, strict=True))
                ]
        table = pd.DataFrame(rows, columns=["record", "target", "token", "name", "weight", "status"])
        return table.astype({"token": "Int64", "weight": float})  # integers that can be missing

    def known(self, records: Sequence[Record | Example], target: Target) -> Known:
        rows = [i for i, record in enumerate(records) if target.name in record.targets]
        truth = np.array([records[i].targets[target.name] for i in rows], dtype=np.float64)
        return Known(np.array(rows, dtype=np.int64), truth, [records[i].key for i in rows])

    def weights(self, records: Sequence[Record]) -> list[np.ndarray]:
        """Attention of each target to each token, ``[targets, tokens]`` per readable record."""
        out: list[np.ndarray] = [np.zeros(0)] * len(records)
        for rows, batch in self.batches([self.example(record) for record in records]):
            mean = torch.stack([m.task.attention(m.model, batch) for m in self.members]).mean(0).cpu().numpy()
            sizes = sum(tokens.exists.sum(-1) for tokens in batch.tokens.values())
            for row, weights, size in zip(rows, mean, sizes.tolist(), strict=True):  # pyright: ignore[reportAttributeAccessIssue]
                out[row] = weights[:, :size]
        return out


def effects_of(scan: pd.DataFrame, target: Target) -> pd.Series:
    """Of each row of ``Predictor.scan`` the answer minus that to the record itself, which is the first row."""
    answers = _told(scan, target)
    return answers - answers.iloc[0]


def matrix_of(scan: pd.DataFrame, target: Target) -> pd.DataFrame:
    """The effects of a scan as sites by what stands there; see ``Predictor.mutate``."""
    rows = scan.assign(effect=effects_of(scan, target)).iloc[1:]
    matrix = rows.pivot(index="site", columns="to", values="effect").fillna(0.0)
    matrix = matrix.loc[rows["site"].unique()].rename_axis(columns=None)
    matrix.attrs = {
        "target": target.name,
        "unit": target.unit,
        "wild_type": float(_told(scan, target).iloc[0]),
        "notes": scan.attrs["notes"],
    }
    return matrix


def _told(scan: pd.DataFrame, target: Target) -> pd.Series:
    """Numbers, or the probability of the last class."""
    return scan[f"{target.name}_p_{target.classes[-1]}" if target.classes else target.name]
