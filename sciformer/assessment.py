"""From a trained ensemble to honest numbers: calibrate on one part, score on another, baselines beside it."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from sciformer import evaluation
from sciformer.adapter import Record
from sciformer.annotator import Annotator
from sciformer.answers import Known, PropertyEnsemble
from sciformer.baselines import Prepared
from sciformer.calibration import ClassCalibration, calibrate, records_needed
from sciformer.data.datamodule import Augment, ExamplesDataset
from sciformer.distributions import Real, take
from sciformer.ensemble import Ensemble
from sciformer.evaluation import MODEL, Answers
from sciformer.predictor import Predictor
from sciformer.tokens import Example, Target

A = TypeVar("A", bound=PropertyEnsemble[Any])

WORST = 9
"""How many of the largest errors are drawn per run."""


def calibrated(predictor: A, records: Sequence[Any], unlabelled: Sequence[Any] = ()) -> A:
    """The same predictor with intervals and probabilities calibrated on ``records`` (those of one key are
    variants of one), and for the shares that the classes seem to have in ``unlabelled``."""
    answers, there = predictor.answer(records), predictor.answer(unlabelled)
    calibrations = {}
    for target in predictor.targets:
        known = predictor.known(records, target)
        if len(known.rows):
            answer, found = take(answers[target.name], known.rows), there[target.name] if unlabelled else None
            calibrations[target.name] = calibrate(answer, known.truth, known.records, found)
    return dataclasses.replace(predictor, calibrations=calibrations)


def variants(examples: Sequence[Example], augment: Augment | None, copies: int, seed: int) -> list[Example]:
    """``copies`` variants of each example, such as training makes; the examples themselves where none are wanted."""
    if not copies:
        return list(examples)
    dataset = ExamplesDataset(examples, seed=seed, augment=augment)
    return [dataset[epoch, i] for i in range(len(examples)) for epoch in range(copies)]


def adapted(predictor: PropertyEnsemble[Any]) -> list[str]:
    """In words, for what class shares the probabilities were made with records of the test part."""
    notes = []
    for target in predictor.targets:
        known = predictor.calibrations.get(target.name)
        if isinstance(known, ClassCalibration) and known.tilt:
            odds = ", ".join(f"{label} {math.exp(x):.2g}" for label, x in zip(target.classes, known.tilt, strict=True))
            notes.append(
                f"{target.name}: the test records, without their labels, were used to estimate how common the classes "
                f"are there, in shares of the calibration part: {odds}"
            )
    return notes


def uncalibrated(trained: Ensemble[Any]) -> list[str]:
    """In words, the targets whose intervals or sets the calibration part cannot vouch for."""
    notes = trained.uncalibrated(trained.level)
    for target in trained.answers:
        known = trained.calibrations.get(target.name)
        if isinstance(known, ClassCalibration) and known.promises(trained.level):
            notes += _rare(target, known, trained.level)
    return notes


def _rare(target: Target, known: ClassCalibration, level: float) -> list[str]:
    """In words, the classes whose records the calibrated sets need not cover at the level."""
    needed = records_needed(level)
    few = [f"{label} ({n})" for label, n in zip(target.classes, known.counts, strict=True) if n < needed]
    if not few:
        return []
    which = f"class {few[0]} has" if len(few) == 1 else f"classes {', '.join(few)} have"
    return [
        f"{target.name}: {which} fewer than {needed} calibration records, too few to promise {level:.0%} coverage "
        "of their own; their sets keep to the level of all classes together"
    ]


def calibration_sizes(trained: Ensemble[Any]) -> dict[str, dict[str, Any]]:
    """Per target, how many records its intervals or sets were calibrated on, in all and of each class."""
    sizes: dict[str, dict[str, Any]] = {}
    for target in trained.answers:
        known = trained.calibrations.get(target.name)
        sizes[target.name] = {"n": 0 if known is None else known.n}
        if isinstance(known, ClassCalibration):
            sizes[target.name]["classes"] = dict(zip(target.classes, known.counts, strict=True))
    return sizes


def predictions(predictor: PropertyEnsemble[Any], records: Sequence[Record], part: str) -> pd.DataFrame:
    """One line per record and known target: truth, calibrated answer, and what it is worth."""
    answers = predictor.answer(records)
    tables = []
    for target in predictor.targets:
        known = predictor.known(records, target)
        answer, truth = take(answers[target.name], known.rows), known.truth
        columns = predictor.columns(target, answer, predictor.level)
        called = predictor.called(records, known)
        table = {"key": known.keys, **called, "part": part, "target": target.name, "truth": truth}
        table["prediction"] = columns[target.name]
        if isinstance(answer, Real):
            table |= {side: columns[f"{target.name}_{side}"] for side in ("lower", "upper")}
            table["scale"] = answer.std.double().numpy()
        else:
            labels = np.array(target.classes, dtype=object)
            table["truth"] = labels[truth.astype(int)]
            table["set"] = columns[f"{target.name}_set"]
            table |= {f"p_{label}": columns[f"{target.name}_p_{label}"] for label in target.classes}
        tables.append(pd.DataFrame(table))
    first = ["key", *called, "part", "target", "truth", "prediction", "lower", "upper", "scale", "set"]
    joined = pd.concat([table.astype(object) for table in tables], ignore_index=True)
    return joined.reindex(columns=[*first, *(name for name in joined.columns if name not in first)])


def points(predictor: PropertyEnsemble[Any], table: pd.DataFrame, part: str) -> list[Answers]:
    """The model's point answers of a part, as the metrics read them."""
    out = []
    for target in predictor.targets:
        rows = _rows(table, target, part)
        if target.kind == "regression":
            truth, values = _numbers(rows, "truth", "prediction")
        else:
            truth = np.array([target.classes.index(label) for label in rows["truth"]], dtype=np.int64)
            values = rows[[f"p_{label}" for label in target.classes]].to_numpy(dtype=np.float64)
        out.append(Answers(target, truth, values, _groups(rows)))
    return out


def _rows(table: pd.DataFrame, target: Target, part: str) -> pd.DataFrame:
    return table[(table["target"] == target.name) & (table["part"] == part)]


def _numbers(rows: pd.DataFrame, *columns: str) -> Iterator[np.ndarray]:
    return (rows[name].to_numpy(dtype=np.float64) for name in columns)


def _groups(rows: pd.DataFrame) -> np.ndarray | None:
    """Whom each row of predictions is about; None where every row is another record."""
    return pd.factorize(rows["key"])[0] if rows["key"].duplicated().any() else None


def coverages(predictor: PropertyEnsemble[Any], table: pd.DataFrame, part: str) -> pd.DataFrame:
    """How often intervals and sets hold the truth, and how large they are."""
    out = []
    for target in predictor.targets:
        rows = _rows(table, target, part)
        if rows.empty:
            continue
        if target.kind == "regression":
            truth, lower, upper = _numbers(rows, "truth", "lower", "upper")
            inside, size, what = (lower <= truth) & (truth <= upper), upper - lower, "interval width"
        else:
            sets = [text.split("|") for text in rows["set"]]
            inside = np.array([label in some for label, some in zip(rows["truth"], sets, strict=True)])
            size, what = np.array([float(len(some)) for some in sets]), "set size"
        out.append(evaluation.coverage(part, target.name, inside, size, what, _groups(rows)))
        if target.classes:
            out.append(evaluation.class_coverage(part, target, rows["truth"].to_numpy(), inside, _groups(rows)))
    return pd.concat(out, ignore_index=True) if out else pd.DataFrame()


def token_baseline_answers(
    annotator: Annotator, train: Sequence[Record], test: Sequence[Record], seed: int
) -> dict[str, list[Answers]]:
    """Every baseline of the domain about tokens, fitted on the training part, on the test records."""
    out: dict[str, list[Answers]] = {}
    for name, fit_predict in annotator.adapter.token_baselines().items():
        out[name] = []
        for target in annotator.targets:
            known = annotator.known(test, target)
            values = fit_predict(train, test, target, seed)[known.rows]
            out[name].append(Answers(target, _truth(target, known), values, known.records))
    return out


def baseline_answers(
    predictor: Predictor, train: Sequence[Record], test: Sequence[Record], seed: int
) -> dict[str, list[Answers]]:
    """Every baseline of the domain, fitted on the training part, on the test records."""
    out: dict[str, list[Answers]] = {}
    for baseline in predictor.adapter.baselines():
        prepared = Prepared.of(baseline, train, test)
        out[baseline.name] = []
        for target in predictor.targets:
            known = predictor.known(test, target)
            values = prepared.fit_predict(target, seed)[known.rows]
            out[baseline.name].append(Answers(target, _truth(target, known), values))
    return out


def _truth(target: Target, known: Known) -> np.ndarray:
    """As the metrics read it."""
    return known.truth if target.kind == "regression" else known.truth.astype(int)


def scored(
    predictor: PropertyEnsemble[Any], table: pd.DataFrame, others: Mapping[str, Sequence[Answers]], seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores on the test part with coverage, and the comparison with the baselines."""
    scores, comparison = evaluation.score("test", {MODEL: points(predictor, table, "test"), **others}, seed)
    extra = coverages(predictor, table, "test")
    found = [x for x in (scores, extra) if len(x)]
    return (pd.concat(found, ignore_index=True) if found else scores), comparison


def unscored(predictor: PropertyEnsemble[Any], table: pd.DataFrame) -> list[str]:
    """In words, the targets that the test part cannot score."""
    notes = []
    for target, answers in zip(predictor.targets, points(predictor, table, "test"), strict=True):
        if not evaluation.defined(answers):
            held = f"{len(answers.truth)} known values"
            if answers.groups is not None and not answers.groups.any():
                held += ", all of one record"
            elif target.classes:
                classes = ", ".join(target.classes[i] for i in np.unique(answers.truth))
                held += f", of class {classes} alone" if classes else ""
            notes.append(f"{target.name} is not scored: the test part has {held}")
    return notes


def worst(predictor: Predictor, table: pd.DataFrame, records: Sequence[Record]) -> list[dict[str, Any]]:
    """The largest errors of the test part, of every target in turn, drawn with the model's attention."""
    by_key = {record.key: record for record in records}
    chosen = _worst_rows(predictor, table[table["part"] == "test"])
    names = [target.name for target in predictor.targets]
    out = []
    for row, weights in zip(chosen, predictor.weights([by_key[row["key"]] for row in chosen]), strict=True):
        record, shades = by_key[row["key"]], weights[names.index(row["target"])].tolist()
        item = {name: _plain(row[name]) for name in ("key", "target", "truth", "prediction", "lower", "upper")}
        if predictor.targets[names.index(row["target"])].classes:
            item |= {f"p_{side}": _plain(row[f"p_{row[side]}"]) for side in ("truth", "prediction")}
            item["set"] = row["set"]
        svg = predictor.adapter.depict(record, shades)
        out.append({**item, "group": record.group, "tokens": len(shades), "svg": svg})
    return out


def _worst_rows(predictor: Predictor, table: pd.DataFrame) -> list[pd.Series]:
    """Up to ``WORST`` rows of different records: the worst of each target, then the second of each, and so on.
    A class that was answered rightly is no error, however unsure the answer."""
    table = table.assign(error=[_error(row, predictor) for _, row in table.iterrows()])
    queues = []
    for target in predictor.targets:
        rows = table[table["target"] == target.name]
        if target.classes:
            rows = rows[rows["truth"] != rows["prediction"]]
        queues.append([row for _, row in rows.sort_values("error", kind="stable").iterrows()])
    chosen: dict[str, pd.Series] = {}
    while any(queues):
        for queue in queues:
            while queue and queue[-1]["key"] in chosen:
                queue.pop()
            if queue and len(chosen) < WORST:
                chosen[queue[-1]["key"]] = queue[-1]
        if len(chosen) == WORST:
            break
    return list(chosen.values())


def _error(row: pd.Series, predictor: Predictor) -> float:
    """Error in spreads of the target, or the probability that was not given to the truth."""
    target = next(t for t in predictor.targets if t.name == row["target"])
    if target.kind != "regression":
        return 1 - float(row[f"p_{row['truth']}"])
    columns = predictor.task.scale
    std = columns.std[[column.name for column in columns.columns].index(target.name)].item()
    return abs(float(row["prediction"]) - float(row["truth"])) / std


def _plain(value: Any) -> Any:
    """A JSON value; NaN becomes null."""
    if isinstance(value, str):
        return value
    return None if value is None or np.isnan(value) else float(value)
