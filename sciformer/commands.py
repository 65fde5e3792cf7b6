"""What a checkpoint is used for on the command line. The signatures are the options and the docstrings the help."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciformer.output import check_output, counted, say_unreadable, write_table

if TYPE_CHECKING:
    from sciformer.forecaster import Forecaster
    from sciformer.predictor import Predictor


def evaluate(
    checkpoint: str, input: str, output: str, level: float | None = None, columns: dict[str, str] | None = None
) -> None:
    """Score a checkpoint on a table that holds the true answers.

    Args:
        checkpoint: Directory of the checkpoint.
        input: File or data card with the target columns of the checkpoint.
        output: CSV file to write the predictions to.
        level: Share of truths that intervals and sets shall hold.
        columns: Options of the reader, such as --columns.smiles SMILES.
    """
    from sciformer import assessment
    from sciformer.data import cards
    from sciformer.ensemble import status

    check_output(output, input)
    predictor = _predictor(checkpoint)
    if level is not None:
        predictor = dataclasses.replace(predictor, level=level)
    options: dict[str, Any] = dict(columns or {})
    if input in cards.names() and not Path(input).exists():
        source: Any = cards.load(input)
        options = {**cards.card(input).read, **options}
    else:
        source = _file(input)
    rows = list(predictor.adapter.read(source, targets=predictor.targets, **options))
    records = [record for record in rows if record.ok and record.targets]
    if not records:
        raise ValueError(
            f"no row of {input} is readable and has a value for {', '.join(t.name for t in predictor.targets)}"
        )
    table = assessment.predictions(predictor, records, "test")
    scores, _ = assessment.scored(predictor, table, {}, seed=0)
    print(scores.drop(columns=["part", "model"]).to_string(index=False, float_format="%.4g"))
    write_table(table.drop(columns="part"), output, exact=("key", "truth"))
    bad = say_unreadable({record.key: status(record) for record in rows}, "`sciformer predict` lists them all")
    unlabelled = len(rows) - len(records) - bad
    scored = f"{len(records)} of {counted(len(rows), 'row')} scored"
    print(f"{scored}, {bad} unreadable, {unlabelled} without an answer: {output}")


def predict(
    checkpoint: str, input: str, output: str, level: float | None = None, columns: dict[str, str] | None = None
) -> None:
    """Predict every row of a file, with intervals, into a table beside the columns of the file.

    Args:
        checkpoint: Directory of the checkpoint.
        input: File of records.
        output: Table to write (.csv or .parquet).
        level: Share of truths that intervals and sets shall hold; by default that of training.
        columns: Options of the reader, such as --columns.smiles SMILES.
    """
    from sciformer.predictor import beside

    check_output(output, input)
    predictor = _predictor(checkpoint)
    options = columns or {}
    answers = predictor.predict(_file(input), level=level, **options)
    table = predictor.adapter.table(_file(input), **options)
    write_table(beside(table, answers, predictor.targets), output, exact=() if table is None else list(table.columns))
    bad = say_unreadable(answers["status"], f"column status of {output}")
    print(f"{counted(len(answers) - bad, 'row')} predicted, {bad} unreadable: {output}")


def forecast(
    checkpoint: str,
    input: str,
    output: str,
    times: list[float] | None = None,
    bands: list[str] | None = None,
    level: float | None = None,
    columns: dict[str, str] | None = None,
) -> None:
    """Forecast every record of a file, with intervals, into a table with a row per place.

    Args:
        checkpoint: Directory of the checkpoint.
        input: File of records.
        output: Table to write (.csv or .parquet).
        times: When, in the time scale of the file, as --times [58000, 58001.5]; by default the time that follows.
        bands: In which bands, as --bands [g, r]; by default those of the record.
        level: Share of truths that the intervals shall hold; by default that of training.
        columns: Options of the reader, such as --columns.time mjd.
    """
    check_output(output, input)
    model = _forecaster(checkpoint)
    where = {name: x for name, x in (("times", times), ("bands", bands)) if x is not None}
    table = model.forecast(_file(input), level=level, **where, **(columns or {}))
    write_table(table, output)
    bad = say_unreadable(table.set_index("record")["status"], f"column status of {output}")
    known = table[table["status"] == "ok"]
    asked, records = counted(len(known), "place"), counted(known["record"].nunique(), "record")
    print(f"{asked} of {records} forecast, {bad} unreadable: {output}")


def embed(checkpoint: str, input: str, output: str, columns: dict[str, str] | None = None) -> None:
    """Write one vector per row, the mean of the backbone's token vectors, and why a row has none.

    Args:
        checkpoint: Directory of the checkpoint.
        input: File of records.
        output: Table to write (.csv or .parquet).
        columns: Options of the reader, such as --columns.smiles SMILES.
    """
    import pandas as pd

    from sciformer.ensemble import status
    from sciformer.pretrained import load

    check_output(output, input)
    predictor = load(checkpoint)
    records = list(predictor.adapter.read(_file(input), **(columns or {})))
    vectors = pd.DataFrame(predictor.vectors(records)).rename(columns=str)
    vectors.insert(0, "record", [record.key for record in records])
    vectors["status"] = [status(record) for record in records]
    write_table(vectors, output)
    bad = say_unreadable(vectors.set_index("record")["status"], f"column status of {output}")
    print(f"{counted(len(vectors) - bad, 'row')} of {vectors.shape[1] - 2} numbers, {bad} unreadable: {output}")


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
    if config["simulated"]:
        print("Trained on simulated data: for demonstration only.")
    parameters = sum(p.numel() for p in predictor.members[0].parameters())
    print(f"{counted(len(predictor.members), 'model')} of {parameters:,} parameters; shape {config['model']}")
    for target in predictor.answers:
        known = predictor.calibrations.get(target.name)
        classes = f", classes {', '.join(target.classes)}" if target.classes else ""
        kind = "forecast" if config["task"]["name"] == "forecast" else target.kind
        print(f"  {target.label}: {kind}{classes}; calibrated on {counted(known.n if known else 0, 'record')}")
    print(f"Level of intervals and sets: {predictor.level:.0%}. Split: {config['splits'].get('kind', '')}")


def _predictor(checkpoint: str) -> "Predictor":
    from sciformer.predictor import Predictor
    from sciformer.pretrained import load

    trained = load(checkpoint)
    if not isinstance(trained, Predictor):
        raise ValueError(f"{checkpoint} forecasts and predicts no properties: use sciformer forecast")
    return trained


def _forecaster(checkpoint: str) -> "Forecaster":
    from sciformer.forecaster import Forecaster
    from sciformer.pretrained import load

    trained = load(checkpoint)
    if not isinstance(trained, Forecaster):
        raise ValueError(f"{checkpoint} predicts properties and forecasts nothing: use sciformer predict")
    return trained


def _file(name: str) -> Path:
    """A path, because a name alone could also be read as a record (``CCO`` is ethanol)."""
    if not Path(name).exists():
        raise FileNotFoundError(f"there is no file {name}; check the path (working directory {Path.cwd()})")
    return Path(name)
