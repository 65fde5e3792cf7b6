"""What a frozen backbone knows of a question that it was never asked: simple models on its vectors.

Nearest neighbours and a linear model read one vector per record (``Ensemble.vectors``). Beside them stand the same two
on a backbone of the same shape that learned nothing, which tells pretraining from architecture, and the classical
models of the domain. All learn from the same records and are tested on the same others.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int

from sciformer import evaluation
from sciformer.adapter import Record
from sciformer.baselines import Prepared, among_all
from sciformer.data.dataset import Dataset
from sciformer.data.folds import by_answer
from sciformer.data.splits import PARTS, SplitConfig, make_splits
from sciformer.ensemble import Ensemble, Member
from sciformer.evaluation import ALSO, HEADLINE, MODEL, Answers
from sciformer.model import Sciformer
from sciformer.preparation import usable
from sciformer.tokens import Target

if TYPE_CHECKING:
    from sciformer.recipe import Recipe, Say

NEIGHBOURS = (1, 2, 3, 5, 10, 20, 50)
PENALTIES = tuple(10.0**k for k in range(-3, 6))
"""On the squared weights, of features in their spreads."""
INNER = 5
"""Folds of the training part in which the number of neighbours and the penalty are chosen."""
FEWEST = 10
"""Training records below which nothing is chosen or learned: the mean, or the frequencies of the classes."""
OWN = "backbone, linear"
"""What the others are compared with."""


@dataclass(frozen=True)
class ProbeOptions:
    """How a backbone is probed.

    Attributes:
        output: CSV file to write all scores to.
        domain: Of a backbone that reads several domains, that of the recipe; found by itself where it is left out.
        folds: Where the split of the recipe is random, so many folds are tested in turn, so that every record is
            tested once; 1 tests only the test part of the split. Other kinds of split are taken as they are.
        baselines: Fit the classical models of the domain too.
    """

    output: str = ""
    domain: str = ""
    folds: int = 5
    baselines: bool = True

    def __post_init__(self):
        if self.folds < 1:
            raise ValueError(f"folds must be 1 or more, got {self.folds}")


def probe_recipe(checkpoint: str, recipe: "Recipe", options: ProbeOptions, say: "Say" = print) -> pd.DataFrame:
    """Probe a checkpoint with the data and the split of a recipe, and print the main scores.

    Raises ``ValueError`` or ``OSError`` with one clear line for unusable input.
    """
    from sciformer import foundation, models
    from sciformer.checkpoint import load_checkpoint
    from sciformer.output import check_output, write_table
    from sciformer.pretrained import restore

    if options.output:
        check_output(options.output, "")
    if recipe.forecast is not None:
        raise ValueError("this recipe forecasts, and a probe reads one vector per record: name a recipe with targets")
    dataset = recipe.data.load(recipe.split.column)
    files = load_checkpoint(models.find(checkpoint))
    domain = options.domain or (dataset.adapter.name if foundation.is_foundation(files) else "")
    backbone = restore(files, domain=domain)
    table = probe(
        backbone, dataset, recipe.split, folds=options.folds, seed=recipe.seed, baselines=options.baselines, say=say
    )
    for line in lines(table, dataset.targets):
        say(line)
    if options.output:
        write_table(table, options.output)
        say(f"All scores: {options.output}")
    return table


def probe(
    backbone: Ensemble[Any],
    dataset: Dataset,
    split: SplitConfig | None = None,
    *,
    folds: int = 5,
    seed: int = 0,
    baselines: bool = True,
    say: Callable[[str], None] = lambda line: None,
) -> pd.DataFrame:
    """Scores of simple models on the vectors of a backbone, of the same on an untrained one, and of classical models.

    What is chosen (neighbours, penalty) is chosen in folds of the training part, which is all that is not tested.

    Args:
        backbone: A pretrained backbone or any trained model, of whose first member the backbone is read.
        dataset: Labelled records of its domain, as ``DataConfig.load`` reads them.
        split: Which records are tested; by default ``folds`` random folds, as of any split of kind "random".

    Returns:
        A row per target, metric and model: ``value`` with its 95 % bootstrap interval over records (``lower``,
        ``upper``), ``n`` tested records and, of the main metrics, how much better the linear model on the backbone is:
        ``difference`` (its value minus this one), ``difference_lower``, ``difference_upper`` and ``verdict``.

    Raises ``ValueError`` where the records are of another domain, have no targets of their own, or none can be scored.
    """
    records = _asked(backbone, dataset, say)
    parts = _parts(dataset, records, split or SplitConfig(), folds)
    say(f"{sum(len(test) for _, test in parts)} of {len(records)} records tested in {len(parts)} part(s)")
    by_model: dict[str, list[Answers]] = {}
    for name, vectors in {
        "backbone": backbone.vectors(records),
        "untrained": untrained(backbone, seed).vectors(records),
    }.items():
        for what in ("linear", "nearest neighbours"):
            fitted = _Probe(what, vectors, seed)
            by_model[f"{name}, {what}"] = _answers(records, dataset.targets, parts, fitted)
    for baseline in dataset.adapter.baselines() if baselines else ():
        say(f"Fitting {baseline.name}")
        fitted = _Classical(Prepared(baseline, (), baseline.features(records), None), seed)
        by_model[baseline.name] = _answers(records, dataset.targets, parts, fitted)
    return _scored(by_model, seed)


def untrained(backbone: Ensemble[Any], seed: int) -> Ensemble[Any]:
    """A backbone of the same shape and the same scales of what is read, whose weights are as before any training."""
    model = backbone.members[0].model
    with torch.random.fork_rng(devices=[]):  # the caller's seed is not ours to spend
        torch.manual_seed(seed)
        fresh = Sciformer(model.config, {backbone.adapter.name: backbone.adapter})
    scales, own = dict(model.named_buffers()), fresh.state_dict()
    fresh.load_state_dict({name: scales[name] for name in own if name in scales}, strict=False)
    member = Member(fresh.eval().requires_grad_(False).to(backbone.device), backbone.task)
    return replace(backbone, members=[member])


def _asked(backbone: Ensemble[Any], dataset: Dataset, say: Callable[[str], None]) -> list[Record]:
    """The records that can be probed."""
    if dataset.adapter.name != backbone.adapter.name:
        raise ValueError(
            f"the records are of the domain {dataset.adapter.name!r}, and the backbone reads {backbone.adapter.name!r}"
        )
    if dataset.by_token:
        raise ValueError(
            f"{dataset.source} has labels of every {dataset.adapter.part_noun}, and a probe reads one vector per record"
        )
    if not dataset.targets:
        raise ValueError("nothing to probe: name columns with --data.targets")
    records = usable(dataset)
    strange = {record.key: why for record in records if (why := backbone.adapter.unlike(record))}
    if strange:
        key, why = next(iter(strange.items()))
        told = f"{len(strange)} of {len(records)} records cannot be read by this backbone, first {key}: {why}"
        if len(strange) == len(records):
            raise ValueError(told)
        say(told)
    return [record for record in records if record.key not in strange]


Parts = list[tuple[Int[np.ndarray, " _"], Int[np.ndarray, " _"]]]
"""Places of the records that are learned from and tested, part by part."""


def _parts(dataset: Dataset, records: Sequence[Record], split: SplitConfig, folds: int) -> Parts:
    adapter = dataset.adapter
    turns = [split]
    if split.kind == "random" and folds > 1:
        turns = [replace(split, kind="kfold", test=f"{i + 1}/{folds}") for i in range(folds)]
    place = {record.key: i for i, record in enumerate(records)}
    orders = {**by_answer(dataset.targets), **adapter.orders()}
    parts = []
    for turn in turns:
        splits = make_splits(dataset.records, turn, adapter.groupings(records), dataset.labels, orders)
        test = [place[key] for key in splits.parts["test"] if key in place]
        train = [place[key] for name in PARTS[:3] for key in splits.parts[name] if key in place]
        if not test:
            raise ValueError(f"the {turn.kind} split tests no record: give it a test part (--split.fractions)")
        parts.append((np.array(sorted(train), dtype=np.int64), np.array(test, dtype=np.int64)))
    return parts


def _answers(
    records: Sequence[Record], targets: Sequence[Target], parts: Parts, model: "_Probe | _Classical"
) -> list[Answers]:
    """What a model answers about the tested records of all parts, target by target."""
    out = []
    for target in targets:
        truths, points = [], []
        for train, test in parts:
            known = np.array([i for i in test if target.name in records[i].targets], dtype=np.int64)
            learned = np.array([i for i in train if target.name in records[i].targets], dtype=np.int64)
            if len(known) and len(learned):
                truths.append(_truth(target, records, known))
                points.append(model.answer(target, records, learned, known))
        shape = (0, len(target.classes)) if target.classes else (0,)
        out.append(
            Answers(
                target,
                np.concatenate(truths) if truths else _truth(target, records, np.zeros(0, dtype=np.int64)),
                np.concatenate([np.zeros(shape), *points]),
            )
        )
    return out


def _truth(target: Target, records: Sequence[Record], places: Int[np.ndarray, " n"]) -> np.ndarray:
    values = np.array([records[i].targets[target.name] for i in places], dtype=np.float64)
    return values.astype(np.int64) if target.classes else values


@dataclass(frozen=True)
class _Classical:
    """A classical model on the features of all records."""

    features: Prepared
    seed: int

    def answer(self, target: Target, records: Sequence[Record], train: np.ndarray, test: np.ndarray) -> np.ndarray:
        known, x = [records[i] for i in train], self.features.train_features
        return Prepared(self.features.baseline, known, x[train], x[test]).fit_predict(target, self.seed)


@dataclass(frozen=True)
class _Probe:
    """A simple model on the vectors of all records."""

    what: str
    vectors: Float[np.ndarray, "n d"]
    seed: int

    def answer(self, target: Target, records: Sequence[Record], train: np.ndarray, test: np.ndarray) -> np.ndarray:
        """Values ``[n]`` of a number, probabilities ``[n, classes]`` of classes; one that was not met has 0."""
        from sklearn.exceptions import ConvergenceWarning

        truth = _truth(target, records, train)
        # Records of one group are the same thing measured again: they stay together in the inner folds too.
        groups = np.array([f"group {records[i].group}" if records[i].group else records[i].key for i in train])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # what has not converged is scored as it is
            warnings.filterwarnings("ignore", "The least populated class", UserWarning)
            model = self._chosen(target, truth, groups)
            model.fit(self.vectors[train], truth, **({"groups": groups} if hasattr(model, "cv") else {}))
        if not target.classes:
            return model.predict(self.vectors[test])
        return among_all(model.classes_, model.predict_proba(self.vectors[test]), len(target.classes))

    def _chosen(self, target: Target, truth: np.ndarray, groups: np.ndarray) -> Any:
        """A model that chooses its one setting in folds of the training part."""
        from sklearn.dummy import DummyClassifier, DummyRegressor
        from sklearn.model_selection import GridSearchCV, GroupKFold, StratifiedGroupKFold
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        folds = min(INNER, len(np.unique(groups)))
        commonest = np.bincount(truth).max() if target.classes else len(truth)
        second = np.sort(np.bincount(truth, minlength=2))[-2] if target.classes else len(truth)
        if len(truth) < FEWEST or np.ptp(truth) == 0 or min(folds, second) < 2:
            return DummyClassifier(strategy="prior") if target.classes else DummyRegressor()
        kind = StratifiedGroupKFold if target.classes else GroupKFold
        inner = kind(min(folds, commonest), shuffle=True, random_state=self.seed)
        estimator, grid = self._estimator(target, len(truth) * (folds - 1) // folds)
        scoring = _likelihood if target.classes else "neg_root_mean_squared_error"
        return GridSearchCV(make_pipeline(StandardScaler(), estimator), grid, cv=inner, scoring=scoring)

    def _estimator(self, target: Target, room: int) -> tuple[Any, Mapping[str, Sequence[float | int]]]:
        """The estimator, and what is chosen among; ``room`` records are in the smallest training fold."""
        from sklearn import linear_model, neighbors

        if self.what == "linear":
            if target.classes:
                strengths = [1 / penalty for penalty in PENALTIES]
                return linear_model.LogisticRegression(max_iter=500), {"logisticregression__C": strengths}
            return linear_model.Ridge(), {"ridge__alpha": PENALTIES}
        few = [k for k in NEIGHBOURS if k <= max(1, room // 2)]
        if target.classes:
            return neighbors.KNeighborsClassifier(), {"kneighborsclassifier__n_neighbors": few}
        return neighbors.KNeighborsRegressor(), {"kneighborsregressor__n_neighbors": few}


def _likelihood(model: Any, x: np.ndarray, truth: np.ndarray) -> float:
    """The mean log-probability of the truth; one that was held for impossible counts as a thousandth."""
    probabilities = among_all(model.classes_, model.predict_proba(x), int(max(truth.max(), model.classes_.max())) + 1)
    return float(np.log(np.maximum(probabilities[np.arange(len(truth)), truth], 1e-3)).mean())


def _scored(by_model: Mapping[str, list[Answers]], seed: int) -> pd.DataFrame:
    """All scores, and how the linear model on the backbone compares with the others on the same draws of records."""
    named = {MODEL if name == OWN else name: answers for name, answers in by_model.items()}
    scores, comparison = evaluation.score("test", named, seed)
    if scores.empty:
        raise ValueError("no target can be scored: the tested records must be two or more, of both answers")
    spans = {"lower": "difference_lower", "upper": "difference_upper"}
    against = comparison.rename(columns={"baseline": "model", **spans})
    table = scores.drop(columns="part").merge(against, how="left", on=["target", "metric", "model"])
    table["model"] = table["model"].replace(MODEL, OWN)
    order = ["target", "metric", "model"]
    ranks = {name: {value: i for i, value in enumerate(table[name].unique())} for name in order[:2]}
    table = table.sort_values(order[:2], kind="stable", key=lambda x: x.map(ranks[str(x.name)]), ignore_index=True)
    return table[[*order, *(name for name in table if name not in order)]]


def lines(table: pd.DataFrame, targets: Sequence[Target]) -> list[str]:
    """The main metrics in plain lines, each model with what the linear model on the backbone is beside it."""
    out = []
    for target in targets:
        for metric in (HEADLINE[target.kind], *ALSO.get(target.kind, ())):
            rows = table[(table["target"] == target.name) & (table["metric"] == metric)]
            if rows.empty:
                continue
            unit = f" [{target.unit}]" if target.unit and metric in evaluation.IN_UNITS else ""
            out.append(f"{target.name}, {metric}{unit}, {int(rows['n'].iloc[0])} records")
            width = max(map(len, rows["model"]))
            for row in rows.itertuples():
                verdict = f"  {OWN} is {row.verdict}" if isinstance(row.verdict, str) else ""
                verdict = verdict.replace("is no clear", "shows no clear")
                out.append(f"  {row.model:{width}}  {row.value:.3f} (95 % {row.lower:.3f} to {row.upper:.3f}){verdict}")
    return out
