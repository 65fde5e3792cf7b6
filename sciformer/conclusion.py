"""What is done with a trained ensemble: calibrated, scored beside its baselines, saved, and written down."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sciformer.adapter import SeriesAdapter
from sciformer.data.dataset import Dataset
from sciformer.data.splits import PARTS
from sciformer.preparation import Part

if TYPE_CHECKING:
    import pandas as pd

    from sciformer.ensemble import Ensemble, Member
    from sciformer.recipe import Recipe, RunOptions, Say
    from sciformer.rundir import RunDirectory


def conclude(
    recipe: "Recipe",
    dataset: Dataset,
    parts: Mapping[str, Part],
    members: "Sequence[Member[Any]]",
    run: "RunDirectory",
    options: "RunOptions",
    say: "Say",
) -> None:
    """Calibrate, score beside the baselines, and write the checkpoint and all tables."""
    from sciformer.pretrained import save

    conclusion = _forecasts if recipe.forecast else _properties
    trained, scores, notes = conclusion(recipe, dataset, parts, members, run, options, say)
    splits = run.read_json("splits.json")
    save(
        trained,
        run.path / "checkpoint",
        title=recipe.title,
        card=_model_card(recipe, dataset, notes, scores),
        simulated=dataset.simulated,
        splits={"kind": splits["kind"], "fingerprint": splits["fingerprint"]},
    )
    run.set_state("running", **_facts(recipe, dataset, trained, notes))


Concluded = tuple["Ensemble[Any]", "pd.DataFrame", list[str]]
"""What was trained, now calibrated; its scores; what a reader of them must know."""


def _properties(
    recipe: "Recipe",
    dataset: Dataset,
    parts: Mapping[str, Part],
    members: "Sequence[Member[Any]]",
    run: "RunDirectory",
    options: "RunOptions",
    say: "Say",
) -> Concluded:
    import pandas as pd

    from sciformer import assessment, early, summary
    from sciformer.predictor import Predictor

    records = {name: part.records for name, part in parts.items()}
    predictor = Predictor(dataset.adapter, members, {}, recipe.uncertainty.level)
    augment = dataset.augment or dataset.adapter.augment
    calibration = assessment.variants(parts["calibration"].examples, augment, recipe.uncertainty.variants, recipe.seed)
    unlabelled = parts["test"].examples if recipe.uncertainty.adapt else ()
    predictor = assessment.calibrated(predictor, calibration, unlabelled)
    table = pd.concat([assessment.predictions(predictor, records[name], name) for name in PARTS[1:]], ignore_index=True)
    notes = [*dataset.notes, *assessment.adapted(predictor), *assessment.uncalibrated(predictor)]
    notes += assessment.unscored(predictor, table)
    for note in notes:
        say(f"Note: {note}")
    others = {}
    if options.baselines:
        say("Fitting the classical baselines on the same split")
        others = assessment.baseline_answers(predictor, records["train"], records["test"], recipe.seed)
    scores, comparison = assessment.scored(predictor, table, others, recipe.seed)
    for line in summary.score_lines(dataset.targets, scores, comparison, predictor.level):
        say(line)
    run.write_csv("predictions.csv", table)
    run.write_csv("scores.csv", scores)
    if options.baselines:
        run.write_csv("comparison.csv", comparison)
    if dataset.truncated and isinstance(dataset.adapter, SeriesAdapter):
        say("Asking about the test records as they were known before they were complete")
        by_age = early.scores(predictor, dataset.adapter, records["train"], records["test"], recipe.seed)
        if len(by_age):
            run.write_csv("early.csv", by_age)
    run.write_json("examples.json", assessment.worst(predictor, table, records["test"]))
    return predictor, scores, notes


def _forecasts(
    recipe: "Recipe",
    dataset: Dataset,
    parts: Mapping[str, Part],
    members: "Sequence[Member[Any]]",
    run: "RunDirectory",
    options: "RunOptions",
    say: "Say",
) -> Concluded:
    from sciformer import backtest, summary
    from sciformer.evaluation import MODEL
    from sciformer.forecaster import Forecaster

    config, adapter = recipe.forecast, dataset.adapter
    assert config is not None  # the caller's choice
    assert isinstance(adapter, SeriesAdapter)
    held = {
        name: backtest.HeldOut.of(adapter, parts[name].records, config.ahead, most)
        for name, most in (("calibration", None), ("test", config.most))
    }
    forecaster = backtest.calibrated(Forecaster(adapter, members, {}, recipe.uncertainty.level), held["calibration"])
    notes = [*dataset.notes, *backtest.remarks(forecaster, held["test"], len(parts["test"].records), config.ahead)]
    for note in notes:
        say(f"Note: {note}")
    if not held["test"].cases:
        raise ValueError("no test record is long enough to hold out its end; give the test part longer records")
    answer = forecaster.answer(held["test"].cases)
    answers = {MODEL: answer}
    if options.baselines:
        say("Fitting the classical forecasts to the same records")
        answers |= held["test"].classical()
    table = backtest.predictions(forecaster, held["test"], answer, "test")
    scores, comparison = backtest.scored(table, held["test"], answers, recipe.seed)
    for line in summary.score_lines(forecaster.answers, scores, comparison, forecaster.level):
        say(line)
    run.write_csv("predictions.csv", table)
    run.write_csv("scores.csv", scores)
    if options.baselines:
        run.write_csv("comparison.csv", comparison)
    run.write_csv("gaps.csv", backtest.gap_curve(forecaster, held["test"], recipe.seed, classical=options.baselines))
    run.write_csv("levels.csv", backtest.reliability(forecaster, held["test"], answer, recipe.seed))
    run.write_json("examples.json", backtest.examples(forecaster, held["test"], answer))
    return forecaster, scores, notes


def _facts(recipe: "Recipe", dataset: Dataset, trained: "Ensemble[Any]", notes: Sequence[str]) -> dict[str, Any]:
    from sciformer import __version__
    from sciformer.assessment import calibration_sizes

    kind = {}
    if isinstance(dataset.adapter, SeriesAdapter) and recipe.forecast:
        kind = {"kind": "forecast", "ahead": dataset.adapter.clock.unit}
    readable = sum(record.ok for record in dataset.records)
    return {
        "title": recipe.title,
        "recipe": recipe.title,
        "domain": dataset.adapter.name,
        "seed": recipe.seed,
        "sciformer": __version__,
        "checkpoint": "checkpoint",
        "notes": list(notes),
        "simulated": dataset.simulated,
        "data": {
            "source": dataset.source,
            "rows": len(dataset.records),
            "readable": readable,
            "unreadable": len(dataset.records) - readable,
        },
        "targets": [
            {**dataclasses.asdict(target), "classes": list(target.classes), **kind} for target in trained.answers
        ],
        "level": trained.level,
        "calibration": calibration_sizes(trained),
        "members": len(trained.members),
        "parameters": sum(p.numel() for p in trained.members[0].parameters()),
    }


def _model_card(recipe: "Recipe", dataset: Dataset, notes: Sequence[str], scores: Any) -> str:
    lines = [f"# {recipe.title}", "", f"Trained on {dataset.source} ({len(dataset.records)} rows)."]
    lines += [f"- {note}" for note in notes]
    lines += ["", "## Test part", "", "| model | target | metric | value | 95 % interval |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.model} | {row.target} | {row.metric} | {row.value:.4g} | {row.lower:.4g} to {row.upper:.4g} |"
        for row in scores.itertuples()
    ]
    lines += ["", "## Use", "", "```python", "import sciformer", 'model = sciformer.load("checkpoint")', "```", ""]
    return "\n".join(lines)
