"""What a trained ensemble shows of its science, as the domain draws it: effects of single changes, answers part by
part, and which parts look at each other. Each drawing is a title, a caption and an SVG, for ``figures.json``."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sciformer.adapter import Record
from sciformer.annotator import Annotator
from sciformer.ensemble import Ensemble
from sciformer.predictor import Predictor, matrix_of
from sciformer.tokens import Target

CHANGED = 2**18
"""Tokens of changed records that are read, over all models: seconds, not minutes, on one core."""
MODERATE = 152
"""Tokens of a record whose changes are all drawn."""
TARGETS, TRACKS, MAPS = 3, 6, 2
"""Targets whose changes, records whose parts, and records whose contacts are drawn."""

Drawing = dict[str, str]


def of_records(predictor: Predictor, test: Sequence[Record]) -> list[Drawing]:
    """Changes and contacts; none in a domain that draws neither."""
    return [*changes(predictor, test), *contacts(predictor, test)]


def of_parts(annotator: Annotator, table: pd.DataFrame, test: Sequence[Record]) -> list[Drawing]:
    """Answers part by part beside the truth, and contacts; ``table`` holds the predictions of the test part."""
    return [*tracks(annotator, table, test), *contacts(annotator, test)]


def changes(predictor: Predictor, test: Sequence[Record]) -> list[Drawing]:
    """The effects of single changes of the record that all others are variants of, else of the first short one of the
    test part, at the sites of which something was learned."""
    origin = predictor.adapter.origin()
    record = _changeable(predictor, test) if origin is None else origin
    sites = [] if record is None else predictor.adapter.varied(record)
    if record is None or not sites:
        return []
    every = predictor.adapter.changed(record)[0]["site"].value_counts()
    cost = int(every.max()) * (predictor.example(record).size + 1) * len(predictor.members)
    chosen = sites[: max(1, CHANGED // cost)]
    scan = predictor.scanned(record, predictor.level, chosen)
    of = f"test record {record.key}" if origin is None else f"the {record.group}"
    which = _which(len(chosen), len(sites), len(every), origin is not None)
    drawn = []
    for target in predictor.targets[:TARGETS]:
        if svg := predictor.adapter.depict_changes(matrix_of(scan, target)):
            what = f"the probability of {target.name} being {target.classes[-1]}" if target.classes else target.label
            caption = (
                f"Predicted change of {what} by each single change of {of}: the answer after it minus that before it. "
                f"Dots mark what stands there already. {which} These are answers of the model, not measurements."
            )
            drawn.append({"title": f"Effects of single changes on {target.name}", "caption": caption, "svg": svg})
    return drawn


def _changeable(predictor: Predictor, test: Sequence[Record]) -> Record | None:
    for record in test:
        if predictor.adapter.varied(record) and predictor.example(record).size <= MODERATE:
            return record
    return None


def _which(drawn: int, learned: int, every: int, variants: bool) -> str:
    """What is drawn, in a sentence."""
    if drawn == every:
        return f"All {every} sites are drawn."
    if drawn == learned:
        return (
            f"Drawn are the {drawn} of {every} sites that vary in the training part: nothing was learned of the others."
        )
    which = "those that vary most often in the training part" if variants else "the first"
    return f"Drawn are {drawn} of {every} sites, {which}; the others would take too long."


def contacts(trained: Ensemble[Any], test: Sequence[Record]) -> list[Drawing]:
    """Which parts of a few records look at each other beyond what is expected of each."""
    model, origin, drawn = trained.members[0].model, trained.adapter.origin(), []

    def ask(record: Record) -> pd.DataFrame | None:
        fits = not model.config.context or trained.example(record).size <= model.config.context
        return trained.contacts_of(record) if fits else None

    candidates = test if origin is None else [origin]
    for record in candidates if model.attends else []:
        if len(drawn) < MAPS and (svg := trained.adapter.depict_contacts(record, ask)):
            name = f"test record {record.key}" if origin is None else f"the {record.group}"
            caption = (
                f"Attention among the {trained.adapter.part_noun}s of {name}: mean over blocks, heads and models, both "
                "ways, less what the average of row and column lets expect (APC). Near neighbours are left out. "
                "Attention is not explanation, and a contact here is no contact in space: what was trained on few "
                "records or on one question need not have learned any."
            )
            drawn.append({"title": f"Attention map of {name}", "caption": caption, "svg": svg})
    return drawn


def tracks(annotator: Annotator, table: pd.DataFrame, test: Sequence[Record]) -> list[Drawing]:
    """Records of the test part from the worst to the best, evenly drawn, for each target."""
    by_key, drawn = {record.key: record for record in test}, []
    for target in annotator.targets[:TARGETS]:
        errors = _errors(table[table["target"] == target.name], target)
        places = np.linspace(0, len(errors) - 1, min(len(errors), max(2, TRACKS // len(annotator.targets))))
        for place in np.unique(places.round().astype(int)):
            key, error = str(errors.index[place]), float(errors.iloc[place])
            svg = annotator.adapter.depict_parts(by_key[key], target, _answers(annotator, by_key[key], target))
            if svg:
                rank = {0: "the worst", len(errors) - 1: "the best"}.get(
                    int(place), f"number {place + 1} from the worst"
                )
                score = f"Accuracy {1 - error:.3f}" if target.classes else f"RMSE {error:.3g} {target.unit}".rstrip()
                caption = f"{score}, {rank} of {len(errors)} test records. {_explained(target, annotator)}"
                drawn.append({"title": f"{target.name} along {key}", "caption": caption, "svg": svg})
    return drawn


def _explained(target: Target, annotator: Annotator) -> str:
    noun = annotator.adapter.part_noun
    if target.classes:
        return f"Each bar is a run of one class; marks below show every {noun} whose class is not the true one."
    return f"The band holds the {annotator.level:.0%} interval of each {noun}; diamonds are true values outside it."


def _errors(rows: pd.DataFrame, target: Target) -> pd.Series:
    """Of each record, the largest first: the share of wrong classes, or the root mean square error."""
    if target.classes:
        return (rows["truth"] != rows["prediction"]).groupby(rows["key"]).mean().sort_values(ascending=False)
    square = (rows["truth"].astype(float) - rows["prediction"].astype(float)) ** 2
    return (square.groupby(rows["key"]).mean() ** 0.5).sort_values(ascending=False)


def _answers(annotator: Annotator, record: Record, target: Target) -> pd.DataFrame:
    """What the domain calls every part of a record, and ``truth``, ``prediction`` and interval of each."""
    table = annotator.adapter.parts(record).drop(columns="token")
    columns = annotator.columns(target, annotator.answer([record])[target.name], annotator.level)
    known = annotator.known([record], target)
    truth = np.full(len(table), None, dtype=object) if target.classes else np.full(len(table), np.nan)
    truth[known.rows] = [target.classes[int(i)] for i in known.truth] if target.classes else known.truth
    table = table.assign(truth=pd.Series(truth, dtype=truth.dtype), prediction=columns[target.name])
    for side in () if target.classes else ("lower", "upper"):
        table[side] = columns[f"{target.name}_{side}"]
    return table
