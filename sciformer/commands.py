"""What a checkpoint is used for on the command line. The signatures are the options and the docstrings the help."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

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
    from sciformer.tokens import Target

T = TypeVar("T")


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
        checkpoint: Directory of the checkpoint.
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
    from sciformer.checkpoint import load_checkpoint
    from sciformer.data import cards
    from sciformer.ensemble import known_level, status
    from sciformer.forecaster import Forecaster
    from sciformer.predictor import Predictor
    from sciformer.pretrained import restore

    check_output(output, input)
    files = load_checkpoint(checkpoint)
    trained = restore(files)
    if level is not None:
        trained = dataclasses.replace(trained, level=known_level(level))
    is_card = input in cards.names() and not Path(input).exists()
    source, options = cards.source(input) if is_card else (_file(input), {})
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
    marks = [mark(trained.example(record).tokens[adapter.name], adapter.schema.measured) for record in records]
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
        checkpoint: Directory of the checkpoint.
        input: File of records.
        output: Table to write (.csv or .parquet).
        level: Share of truths that intervals and sets shall hold; by default that of training.
        columns: Options of the reader, such as --columns.smiles SMILES; of light curves --columns.time NAME and
            --columns.objects FILE, the table of objects.
    """
    from sciformer import summary
    from sciformer.answers import PropertyEnsemble, beside

    check_output(output, input)
    predictor = _loaded(checkpoint, PropertyEnsemble, "forecasts and predicts no properties: use sciformer forecast")
    options = columns or {}
    answers = predictor.predict(_file(input), level=level, **options)
    table = predictor.adapter.table(_file(input), **options)
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
        checkpoint: Directory of the checkpoint.
        input: File of sequences or structures.
        output: Table to write (.csv or .parquet).
        level: Share of truths that intervals and sets shall hold; by default that of training.
        columns: Options of the reader, such as --columns.sequence NAME.
    """
    from sciformer import summary
    from sciformer.annotator import Annotator

    check_output(output, input)
    annotator = _loaded(checkpoint, Annotator, "answers nothing of single residues: use sciformer predict")
    table = annotator.residues(_file(input), level=level, **(columns or {}))
    write_table(table, output, exact=("record", "position"))
    say_notes(table.attrs["notes"])
    noun = summary.noun_of(annotator.adapter)
    bad = say_unreadable(table.groupby("record", sort=False)["status"].first(), f"column status of {output}", noun)
    labelled = counted(int((table["status"] == "ok").sum()), annotator.adapter.part_noun)
    print(f"{labelled} of {counted(table['record'].nunique() - bad, noun)} labelled, {bad} unreadable: {output}")


def mutate(
    checkpoint: str,
    output: str,
    input: str | None = None,
    sites: str | None = None,
    level: float | None = None,
    columns: dict[str, str] | None = None,
) -> None:
    """Predict every single substitution of a protein, by default of the wild type that was learned.

    Args:
        checkpoint: Directory of the checkpoint.
        output: Table to write (.csv or .parquet).
        input: File of one sequence.
        sites: Only these, as --sites M1,K5.
        level: Share of truths that intervals and sets shall hold; by default that of training.
        columns: Options of the reader, such as --columns.sequence NAME.
    """
    from sciformer.predictor import Predictor, effects_of

    check_output(output, input or "")
    predictor = _loaded(checkpoint, Predictor, "predicts no property of a whole record, so nothing of its variants")
    chosen = None if sites is None else [site.strip() for site in sites.split(",")]
    table = predictor.scan(None if input is None else _file(input), sites=chosen, level=level, **(columns or {}))
    effects = {_effect(target): effects_of(table, target) for target in predictor.targets}
    told = table.drop(columns="status").assign(**effects, status=table["status"])
    write_table(told, output, exact=("variant", "site", "to"))
    say_notes(table.attrs["notes"])
    learned = ((table["status"] == "ok") & (table["site"] != "")).to_numpy()
    for target in predictor.targets:
        print(_strongest(target, effects[_effect(target)].set_axis(table["variant"])[learned]))
    sites = counted(int(table["site"].iloc[1:].nunique()), "site")
    print(f"{counted(len(table) - 1, 'substitution')} at {sites} of {input or 'the wild type'}: {output}")


def _effect(target: "Target") -> str:
    """The column of effects: on the answer, or on the probability of the class that it names."""
    return f"effect_{target.name}_p_{target.classes[-1]}" if target.classes else f"effect_{target.name}"


def _strongest(target: "Target", effects: "pd.Series", most: int = 3) -> str:
    """The largest effects either way, in one line."""
    order = effects.sort_values(kind="stable")
    what = f"{target.name}, probability of {target.classes[-1]}" if target.classes else target.label
    sides = {"up": order[order > 0].iloc[::-1].head(most), "down": order[order < 0].head(most)}
    told = [f"{side} {', '.join(f'{k} {v:+.3g}' for k, v in some.items()) or 'none'}" for side, some in sides.items()]
    return f"  {what}: {'; '.join(told)}"


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
        checkpoint: Directory of the checkpoint.
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
    model = _loaded(checkpoint, Forecaster, "predicts properties and forecasts nothing: use sciformer predict")
    lists = (("times", times), ("bands", bands), ("variables", variables))
    where: dict[str, Any] = {name: _listed(x) for name, x in lists if x is not None}
    if horizon is not None:
        where["horizon"] = horizon
    model.adapter.may_ask(where)
    answers = model.forecast(_file(input), level=level, **where, **(columns or {}))
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


def embed(checkpoint: str, input: str, output: str, columns: dict[str, str] | None = None) -> None:
    """Write one vector per row, the mean of the backbone's token vectors, and why a row has none.

    Args:
        checkpoint: Directory of the checkpoint.
        input: File of records.
        output: Table to write (.csv or .parquet).
        columns: Options of the reader, such as --columns.smiles SMILES; of light curves --columns.time NAME and
            --columns.objects FILE, the table of objects.
    """
    import pandas as pd

    from sciformer import summary
    from sciformer.ensemble import status
    from sciformer.pretrained import load

    check_output(output, input)
    predictor = load(checkpoint)
    records = predictor.read(_file(input), **(columns or {}))
    vectors = pd.DataFrame(predictor.vectors(records)).rename(columns=str)
    vectors.insert(0, "record", [record.key for record in records])
    vectors["status"] = [status(record) for record in records]
    write_table(vectors, output)
    noun = summary.noun_of(predictor.adapter)
    bad = say_unreadable(vectors.set_index("record")["status"], f"column status of {output}", noun)
    print(f"{counted(len(vectors) - bad, noun)} of {vectors.shape[1] - 2} numbers, {bad} unreadable: {output}")


def info(checkpoint: str) -> None:
    """Verify a checkpoint and say what it is.

    Args:
        checkpoint: Directory of the checkpoint.
    """
    from sciformer.checkpoint import load_checkpoint
    from sciformer.pretrained import restore

    files = load_checkpoint(checkpoint)
    config, predictor = files.config, restore(files, device="cpu")
    print(
        f"{config['title']}: domain {config['adapter']['name']}, sciformer {config['sciformer']}, every hash verified"
    )
    for fact in predictor.adapter.facts():
        print(fact)
    if config["simulated"]:
        print("Trained on simulated data: for demonstration only.")
    parameters = sum(p.numel() for p in predictor.members[0].parameters())
    print(f"{counted(len(predictor.members), 'model')} of {parameters:,} parameters; shape {config['model']}")
    for target in predictor.answers:
        known = predictor.calibrations.get(target.name)
        classes = f", classes {', '.join(target.classes)}" if target.classes else ""
        kind = {
            "forecast": "forecast",
            "token_property": f"{target.kind} of every {predictor.adapter.part_noun}",
        }.get(config["task"]["name"], target.kind)
        on = counted(known.n, known.counted) if known else "0 records"
        print(f"  {target.label}: {kind}{classes}; calibrated on {on}")
    print(f"Level of intervals and sets: {predictor.level:.0%}. Split: {config['splits'].get('kind', '')}")


def _listed(text: str) -> list[Any]:
    """Numbers, else texts, between commas."""
    items = [item.strip() for item in text.split(",")]
    try:
        return [float(item) for item in items]
    except ValueError:
        return items


def _loaded(checkpoint: str, kind: type[T], instead: str) -> T:
    """A checkpoint of one kind; ``instead`` is said of any other."""
    from sciformer.pretrained import load

    trained = load(checkpoint)
    if not isinstance(trained, kind):
        raise ValueError(f"{checkpoint} {instead}")
    return trained


def _file(name: str) -> Path:
    """A path, because a name alone could also be read as a record (``CCO`` is ethanol)."""
    if not Path(name).exists():
        raise FileNotFoundError(f"there is no file {name}; check the path (working directory {Path.cwd()})")
    return Path(name)
