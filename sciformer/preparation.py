"""From a recipe to the parts of its data: readable records, a split, its audit, and tokens."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sciformer.adapter import Record, SeriesAdapter
from sciformer.data.dataset import Dataset
from sciformer.data.examples import ROOM, Examples
from sciformer.data.folds import by_answer
from sciformer.data.splits import PARTS, Splits, make_splits

if TYPE_CHECKING:
    from sciformer.recipe import Recipe, Say
    from sciformer.rundir import RunDirectory


def usable(dataset: Dataset) -> list[Record]:
    """The records that are readable and, where targets are asked for, labelled.

    Raises ``ValueError`` where there are none, or where a target could not be told apart in tables of answers.
    """
    from sciformer.answers import answer_columns
    from sciformer.summary import noun_of

    records = [record for record in dataset.records if dataset.usable(record)]
    if not records:
        problem = next((record.problem for record in dataset.records if not record.ok), "no row has a target")
        wanted = " with a target" if dataset.targets else ""
        raise ValueError(
            f"none of the {len(dataset.records)} {noun_of(dataset.adapter, dataset.records)}s of {dataset.source} is "
            f"readable{wanted}; first: {problem}"
        )
    columns = answer_columns(dataset.targets)
    if dataset.by_token:
        columns = ["record", *dataset.adapter.parts(records[0]).columns, *columns]
    if repeated := [name for i, name in enumerate(columns) if name in columns[:i]]:
        raise ValueError(f"two columns of the answers would be called {repeated[0]!r}; rename a target column")
    return records


MANY = 0.2
"""Share of unreadable records from which a reader of the results must know of them."""


@dataclass(frozen=True)
class Part:
    """The records of one part of the split, and the same records tokenised when they are asked for."""

    records: Sequence[Record]
    examples: Examples


def prepare(
    recipe: "Recipe", dataset: Dataset, run: "RunDirectory", resumed: bool, say: "Say"
) -> tuple[Dataset, dict[str, Part]]:
    """Split the readable, labelled records, audit the split, and write down what was done with every row. The data come
    back with an adapter that has learned what it must from the training part.

    Raises ``ValueError`` where a resumed run would meet other data than it began with.
    """
    from sciformer import summary
    from sciformer.data.audit import audit

    records = usable(dataset)
    noun = summary.noun_of(dataset.adapter, dataset.records)
    for line in summary.row_lines(dataset.records, dataset.source, len(records), noun):
        say(line)
    if (lost := sum(not record.ok for record in dataset.records)) > MANY * len(dataset.records):
        first = next(record for record in dataset.records if not record.ok)
        note = f"{lost} of {len(dataset.records)} {noun}s are unreadable and left out, the first: {first.problem}"
        say(f"Warning: {note}")
        dataset = replace(dataset, notes=(note, *dataset.notes))
    if dataset.targets:
        say(summary.target_line(dataset.targets))
    groupings = dataset.adapter.groupings(records)
    if resumed and (run.path / "splits.json").exists():
        splits = Splits.load(run.path / "splits.json")
        splits.verify(records)
    else:
        orders = {**by_answer(dataset.targets), **dataset.adapter.orders()}
        splits = make_splits(dataset.records, recipe.split, groupings, dataset.labels, orders)
        splits.save(run.path / "splits.json")
    by_key = {record.key: record for record in records}
    adapter = dataset.adapter.fitted([by_key[key] for key in splits.parts["train"]])
    dataset = replace(dataset, adapter=adapter)
    parts = _parts(dataset, splits)
    _know_again(dataset, parts, run, resumed)
    train = set(splits.parts["train"])
    for target in () if dataset.by_token else dataset.targets:
        if not any(target.name in record.targets for record in records if record.key in train):
            raise ValueError(f"target {target.name!r} has no value in the training part; label more rows or drop it")
    if recipe.optim.patience and not splits.parts["validation"]:
        raise ValueError(
            f"optim.patience {recipe.optim.patience} watches the validation part, which is empty; "
            "give it records (split.calibration_share below 1) or set optim.patience 0"
        )
    _forecastable(recipe, dataset, parts["test"].records)
    say(summary.parts_line(splits.counts(), len(records), noun))
    found = audit(records, splits, dataset.adapter, dataset.targets, groupings)
    found.save(run.path / "audit.json")
    for warning in found.warnings:
        say(f"Warning: {warning}")
    for remark in found.remarks:
        say(remark)
    run.write_csv("rows.csv", _rows(dataset, splits))
    run.note_environment()
    return dataset, parts


def _forecastable(recipe: "Recipe", dataset: Dataset, records: Sequence[Record]) -> None:
    """Said before training rather than after it."""
    if recipe.forecast is None or not isinstance(dataset.adapter, SeriesAdapter):
        return
    if not any(dataset.adapter.divide(record, recipe.forecast.ahead) for record in records):
        raise ValueError(
            f"none of the {len(records)} test records is long enough to hold out its last {recipe.forecast.ahead:.0%}: "
            "give longer records, or another share (forecast.ahead)"
        )


def _parts(dataset: Dataset, splits: Splits) -> dict[str, Part]:
    by_key = {record.key: record for record in dataset.records}
    records = {name: [by_key[key] for key in splits.parts[name]] for name in PARTS}
    total = sum(map(len, records.values()))
    examples = {
        name: Examples.of_records(dataset.adapter, rows, ROOM * len(rows) // total) for name, rows in records.items()
    }
    return {name: Part(rows, examples[name]) for name, rows in records.items()}


def _know_again(dataset: Dataset, parts: Mapping[str, Part], run: "RunDirectory", resumed: bool) -> None:
    """Calibration and test parts included: no state of training can tell whether they were edited."""
    from sciformer.data.fingerprint import fingerprint
    from sciformer.rundir import STATE

    examples = itertools.chain.from_iterable(part.examples for part in parts.values())
    sizes = {name: len(part.examples) for name, part in parts.items()}
    here = fingerprint(examples, sizes, len(usable(dataset)), dataset.targets)
    if resumed and run.read_json(STATE).get("fingerprint") != here:
        raise ValueError(
            f"cannot resume {run.path}: the data have changed since it began (rows or labels edited, or read by "
            "another version); restore them, choose another --out, or add --overwrite true"
        )
    run.set_state("running", fingerprint=here)


def _rows(dataset: Dataset, splits: Splits) -> Any:
    import pandas as pd

    records = dataset.records
    columns = {
        "key": [r.key for r in records],
        "status": ["unreadable" if not r.ok else "ok" if dataset.usable(r) else "unlabelled" for r in records],
        "part": [splits.part_of(record.key) or "" for record in records],
        "problem": [r.problem for r in records],
    }
    return pd.DataFrame(columns)
