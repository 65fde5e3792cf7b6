"""What models answer on the command line: of properties, of residues, of times to come.

The signatures are the options and the docstrings the help.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciformer.inputs import answering, file, loaded
from sciformer.output import (
    GRIDS,
    check_output,
    counted,
    say_notes,
    say_unreadable,
    write_answers,
    write_table,
)

if TYPE_CHECKING:
    import pandas as pd

    from sciformer.adapter import Record
    from sciformer.answers import PropertyEnsemble
    from sciformer.ensemble import Ensemble
    from sciformer.forecaster import Forecaster


def evaluate(
    checkpoint: str,
    input: str,
    output: str,
    level: float | None = None,
    ahead: float = 0.3,
    backtest: int | None = None,
    every: int | None = None,
    columns: dict[str, str] | None = None,
) -> None:
    """Score a checkpoint on a table that holds the true answers.

    Args:
        checkpoint: Directory of the checkpoint, or its address hf://owner/name.
        input: File or data card with the target columns of the checkpoint; of a forecast with whole records.
        output: CSV file to write the predictions to.
        level: Share of truths that intervals and sets shall hold.
        ahead: Share of each record's observations, the last ones, that are held out and forecast.
        backtest: Of series (climate), the number of last moments that each is forecast from, as it went on.
        every: Steps from one of these moments to the next; by default the horizon.
        columns: Options of the reader, such as --columns.smiles SMILES; of light curves --columns.time NAME and
            --columns.objects FILE, the table of objects.
    """
    from sciformer import summary
    from sciformer.data import cards
    from sciformer.ensemble import known_level, status
    from sciformer.forecaster import Forecaster
    from sciformer.foundation import Backbone
    from sciformer.predictor import Predictor
    from sciformer.pretrained import restore

    check_output(output, input)
    files = answering(checkpoint)
    trained = restore(files)
    assert not isinstance(trained, Backbone)  # which is refused
    if level is not None:
        trained = dataclasses.replace(trained, level=known_level(level))
    is_card = input in cards.names() and not Path(input).exists()
    source, options = cards.source(input) if is_card else (file(input), {})
    wanted = {"targets": trained.targets} if isinstance(trained, Predictor) else {}  # the domain knows its labels
    rows = trained.read(source, **wanted, **{**options, **(columns or {})})
    if backtest is not None or every is not None:
        _rolled(trained, rows, backtest, every, files.config["splits"].get("until"), output)
        return
    records = [r for r in rows if r.ok and (isinstance(trained, Forecaster) or _known(trained, r))]
    if not records:
        names = ", ".join(target.name for target in trained.answers)
        why = next((f" ({record.key}: {record.problem})" for record in rows if not record.ok), "")
        raise ValueError(f"no row of {input} is readable and has a value for {names}{why}")
    if isinstance(trained, Forecaster):
        table, scores = _forecasts_scored(trained, records, ahead)
    else:
        table, scores = _properties_scored(trained, records)
    say_notes([*trained.notes(rows, trained.level), *_met_before(trained, records, files.config["splits"])])
    print(scores.drop(columns=["part", "model"]).to_string(index=False, float_format="%.4g"))
    write_table(table.drop(columns="part"), output, exact=("key", "truth", "time"))
    noun = summary.noun_of(trained.adapter)
    bad = say_unreadable({record.key: status(record) for record in rows}, "`sciformer predict` lists them all", noun)
    scored = table["key"].nunique()
    without = f"{len(rows) - scored - bad} {'too short' if isinstance(trained, Forecaster) else 'without an answer'}"
    print(f"{scored} of {counted(len(rows), noun)} scored, {bad} unreadable, {without}: {output}")


def _known(trained: "PropertyEnsemble[Any]", record: "Record") -> bool:
    """Whether a record brings along the truth of anything."""
    return any(len(trained.known([record], target).rows) for target in trained.targets)


def _rolled(
    trained: "Ensemble[Any]",
    records: "Sequence[Record]",
    origins: int | None,
    every: int | None,
    until: Any,
    output: str,
) -> None:
    from sciformer import backtest
    from sciformer.forecaster import Forecaster

    if not isinstance(trained, Forecaster):
        raise ValueError("--backtest forecasts series, and this checkpoint predicts properties: leave it out")
    if origins is None:
        raise ValueError("--every is the way from one moment of a backtest to the next: say --backtest K too")
    scores, table = backtest.backtest(trained, records, origins, every, until)
    say_notes([*trained.notes(records, trained.level), *scores.attrs["notes"]])
    print(scores.to_string(index=False, float_format="%.4g"))
    write_table(table, output, exact=("key", "origin", "time", "truth"))
    bad = say_unreadable({r.key: r.problem or "ok" for r in records}, "`sciformer forecast` lists them all", "series")
    windows = counted(table["key"].nunique(), "window")
    print(f"{windows} of {len(records)} series forecast and scored, {bad} unreadable: {output}")


def _met_before(trained: "Ensemble[Any]", records: "Sequence[Record]", splits: dict[str, Any]) -> list[str]:
    """In words, how many records the checkpoint was made with; their scores are no test."""
    from sciformer.data.fingerprint import mark

    adapter, used = trained.adapter, set(str(splits.get("used", "")).split())
    if not used:
        return ["this checkpoint does not know with which records it was made: score it on others"]
    marks = [mark(adapter.tokenize(record), adapter.schema.measured) for record in records]
    met = sum(each in used for each in marks)
    return [f"{met} of these {len(records)} records were used in training: the scores are too good"] if met else []


def _properties_scored(
    predictor: "PropertyEnsemble[Any]", records: "Sequence[Record]"
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    from sciformer import assessment

    table = assessment.predictions(predictor, records, "test")
    return table, assessment.scored(predictor, table, {}, seed=0)[0]


def _forecasts_scored(
    forecaster: "Forecaster", records: "Sequence[Record]", ahead: float
) -> "tuple[pd.DataFrame, pd.DataFrame]":
    from sciformer import backtest
    from sciformer.evaluation import MODEL

    if not 0 < ahead < 1:
        raise ValueError(f"the share that is held out must lie between 0 and 1, got {ahead}")
    held = backtest.HeldOut.of(forecaster.adapter, records, ahead)
    if not held.cases:
        raise ValueError(f"none of {len(records)} records is long enough to hold out its end")
    answer = forecaster.answer(held.cases)
    table = backtest.predictions(forecaster, held, answer, "test")
    return table, backtest.scored(table, held, {MODEL: answer}, seed=0)[0]


def predict(
    checkpoint: str, input: str, output: str, level: float | None = None, columns: dict[str, str] | None = None
) -> None:
    """Predict every row of a file, with intervals, into a table beside the columns of the file.

    Args:
        checkpoint: Directory of the checkpoint, or its address hf://owner/name.
        input: File of records.
        output: Table to write (.csv or .parquet).
        level: Share of truths that intervals and sets shall hold; by default that of training.
        columns: Options of the reader, such as --columns.smiles SMILES; of light curves --columns.time NAME and
            --columns.objects FILE, the table of objects.
    """
    from sciformer import summary
    from sciformer.answers import PropertyEnsemble, beside

    check_output(output, input)
    predictor = loaded(checkpoint, PropertyEnsemble, "forecasts and predicts no properties: use sciformer forecast")
    options = columns or {}
    answers = predictor.predict(file(input), level=level, **options)
    table = predictor.adapter.table(file(input), **options)
    write_table(beside(table, answers, predictor.targets), output, exact=() if table is None else list(table.columns))
    say_notes(answers.attrs["notes"])
    noun = summary.noun_of(predictor.adapter)
    bad = say_unreadable(answers["status"], f"column status of {output}", noun)
    print(f"{counted(len(answers) - bad, noun)} predicted, {bad} unreadable: {output}")


def residues(
    checkpoint: str, input: str, output: str, level: float | None = None, columns: dict[str, str] | None = None
) -> None:
    """Label every residue of every sequence of a file, with probabilities or intervals, into a table with a row each.

    Args:
        checkpoint: Directory of the checkpoint, or its address hf://owner/name.
        input: File of sequences or structures.
        output: Table to write (.csv or .parquet).
        level: Share of truths that intervals and sets shall hold; by default that of training.
        columns: Options of the reader, such as --columns.sequence NAME.
    """
    from sciformer import summary
    from sciformer.annotator import Annotator

    check_output(output, input)
    annotator = loaded(checkpoint, Annotator, "answers nothing of single residues: use sciformer predict")
    table = annotator.residues(file(input), level=level, **(columns or {}))
    write_table(table, output, exact=("record", "position"))
    say_notes(table.attrs["notes"])
    noun = summary.noun_of(annotator.adapter)
    bad = say_unreadable(table.groupby("record", sort=False)["status"].first(), f"column status of {output}", noun)
    labelled = counted(int((table["status"] == "ok").sum()), annotator.adapter.part_noun)
    print(f"{labelled} of {counted(table['record'].nunique() - bad, noun)} labelled, {bad} unreadable: {output}")


def forecast(
    checkpoint: str,
    input: str,
    output: str,
    times: str | None = None,
    horizon: int | None = None,
    bands: str | None = None,
    variables: str | None = None,
    level: float | None = None,
    columns: dict[str, str] | None = None,
) -> None:
    """Forecast every record of a file, with intervals, into a table with a row per place; of climate series in netCDF
    also into netCDF.

    Args:
        checkpoint: Directory of the checkpoint, or its address hf://owner/name.
        input: File of records.
        output: Table to write (.csv or .parquet), or .nc.
        times: When, in the time scale of the file or as dates, as --times 58000,58001.5; by default the time that
            follows.
        horizon: Of climate series, how many steps from the last one on.
        bands: Of light curves, in which bands, as --bands g,r; by default those of the record.
        variables: Of climate series, which variables; by default all that were learned.
        level: Share of truths that the intervals shall hold; by default that of training.
        columns: Options of the reader, such as --columns.time mjd, or --columns.objects FILE, the table of objects.
    """
    from sciformer.forecaster import Forecaster

    check_output(output, input, GRIDS)
    model = loaded(checkpoint, Forecaster, "predicts properties and forecasts nothing: use sciformer predict")
    lists = (("times", times), ("bands", bands), ("variables", variables))
    where: dict[str, Any] = {name: _listed(x) for name, x in lists if x is not None}
    if horizon is not None:
        where["horizon"] = horizon
    model.adapter.may_ask(where)
    answers = model.forecast(file(input), level=level, **where, **(columns or {}))
    table = write_answers(answers, output)
    if table is None:
        say_notes([note for note in answers.attrs.get("notes", "").split("; ") if note])
        problems = answers.attrs.get("problems", "").splitlines()
        if say_unreadable(dict(why.split(": ", 1) for why in problems), f"attribute problems of {output}", "series"):
            print(f"{len(problems)} series not answered")
        return
    write_table(table, output, exact=list(table.columns[: table.columns.get_loc("mean")]))  # pyright: ignore[reportCallIssue, reportArgumentType]
    say_notes(table.attrs["notes"])
    bad = say_unreadable(table.set_index("record")["status"], f"column status of {output}", "record")
    known = table[table["status"] == "ok"]
    moments = known[["record", model.adapter.clock.name]].drop_duplicates()
    asked, records = counted(len(moments), "time"), counted(known["record"].nunique(), "record")
    print(f"{asked} of {records} forecast, {bad} unreadable: {output}")


def _listed(text: str) -> list[Any]:
    """Numbers, else texts, between commas."""
    items = [item.strip() for item in text.split(",")]
    try:
        return [float(item) for item in items]
    except ValueError:
        return items
