"""What is done with a trained ensemble: calibrated, scored beside its baselines, saved, and written down."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sciformer.adapter import SeriesAdapter
from sciformer.data.dataset import Dataset
from sciformer.data.splits import PARTS
from sciformer.preparation import Part

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from sciformer.ensemble import Ensemble, Member
    from sciformer.finetuning import Origin
    from sciformer.recipe import Recipe, RunOptions, Say
    from sciformer.rundir import RunDirectory


Concluded = tuple["Ensemble[Any]", "pd.DataFrame", list[str]]
"""What was trained, now calibrated; its scores; what a reader of them must know."""


@dataclass(frozen=True)
class Conclusion:
    """The end of a run: the members of the ensemble are trained, nothing is known of them yet."""

    recipe: "Recipe"
    dataset: Dataset
    parts: Mapping[str, Part]
    members: "Sequence[Member[Any]]"
    run: "RunDirectory"
    options: "RunOptions"
    say: "Say"
    origin: "Origin | None" = None
    added: "Sequence[Mapping[str, Tensor]]" = ()
    """Of a model with low-rank updates, what every member added to what it started from."""

    def draw(self) -> None:
        """Calibrate, score beside the baselines, and write the checkpoint and all tables."""
        from sciformer.pretrained import save
        from sciformer.report.start import started
        from sciformer.rundir import STATE

        if self.recipe.forecast:
            trained, scores, notes = self._forecasts()
        else:
            trained, scores, notes = self._token_properties() if self.dataset.by_token else self._properties()
        splits = self.run.read_json("splits.json")
        write = functools.partial(
            save,
            trained,
            title=self.recipe.title,
            card=_model_card(self.recipe, self.dataset, notes, scores, started(self.run.read_json(STATE))),
            simulated=self.dataset.simulated,
            splits={name: splits[name] for name in ("kind", "fingerprint")} | {"used": self._used(), **self._until()},
            start=self.origin.to_json() if self.origin else None,
        )
        write(self.run.path / "checkpoint")
        if self.added:
            write(self.run.path / "adapter", added=self.added)
        self.run.set_state("running", **_facts(self.recipe, self.dataset, trained, notes))

    def _used(self) -> str:
        """The marks of all records but those of the test part, by which ``evaluate`` knows them again."""
        used = [self.parts[name].examples for name in PARTS if name != "test"]
        return " ".join(sorted({trace.mark for examples in used for trace in examples.traces}))

    def _until(self) -> dict[str, float]:
        """Of windows, the last moment that any part but the test part asks about: what comes later is new."""
        ends = [r.span[2] for name in PARTS if name != "test" for r in self.parts[name].records if r.span]
        return {"until": max(ends)} if ends else {}

    def _properties(self) -> Concluded:
        import pandas as pd

        from sciformer import assessment, drawings, early
        from sciformer.predictor import Predictor

        dataset, parts, seed, uncertainty = self.dataset, self.parts, self.recipe.seed, self.recipe.uncertainty
        records = {name: part.records for name, part in parts.items()}
        predictor = Predictor(dataset.adapter, self.members, {}, uncertainty.level)
        augment = dataset.augment or dataset.adapter.augment
        calibration = assessment.variants(parts["calibration"].examples, augment, uncertainty.variants, seed)
        unlabelled = parts["test"].examples if uncertainty.adapt else ()
        predictor = assessment.calibrated(predictor, calibration, unlabelled)
        table = pd.concat([assessment.predictions(predictor, records[x], x) for x in PARTS[1:]], ignore_index=True)
        notes = [*dataset.notes, *assessment.adapted(predictor), *assessment.uncalibrated(predictor)]
        notes += assessment.unscored(predictor, table)
        self._tell(notes)
        others = {}
        if self.options.baselines:
            self.say("Fitting the classical baselines on the same split")
            others = assessment.baseline_answers(predictor, records["train"], records["test"], seed)
        scores, comparison = assessment.scored(predictor, table, others, seed)
        self._write(predictor, table, scores, comparison)
        if dataset.truncated and isinstance(dataset.adapter, SeriesAdapter):
            self.say("Asking about the test records as they were known before they were complete")
            by_age = early.scores(predictor, dataset.adapter, records["train"], records["test"], seed)
            if len(by_age):
                self.run.write_csv("early.csv", by_age)
        self.run.write_json("examples.json", assessment.worst(predictor, table, records["test"]))
        self._write_drawings(drawings.of_records(predictor, records["test"]))
        return predictor, scores, notes

    def _token_properties(self) -> Concluded:
        from sciformer import assessment, drawings
        from sciformer.annotator import Annotator

        parts, seed = self.parts, self.recipe.seed
        annotator = Annotator(self.dataset.adapter, self.members, {}, self.recipe.uncertainty.level)
        annotator = assessment.calibrated(annotator, parts["calibration"].records)
        table = assessment.predictions(annotator, parts["test"].records, "test")
        notes = [*self.dataset.notes, *assessment.uncalibrated(annotator), *assessment.unscored(annotator, table)]
        self._tell(notes)
        others = {}
        if self.options.baselines:
            self.say("Fitting the classical baselines on the same split")
            others = assessment.token_baseline_answers(annotator, parts["train"].records, parts["test"].records, seed)
        scores, comparison = assessment.scored(annotator, table, others, seed)
        self._write(annotator, table, scores, comparison, annotator.adapter.part_noun)
        self._write_drawings(drawings.of_parts(annotator, table, parts["test"].records))
        return annotator, scores, notes

    def _forecasts(self) -> Concluded:
        from sciformer import assessment, backtest
        from sciformer.evaluation import MODEL
        from sciformer.forecaster import Forecaster

        config, adapter, parts, seed = self.recipe.forecast, self.dataset.adapter, self.parts, self.recipe.seed
        assert config is not None  # the caller's choice
        assert isinstance(adapter, SeriesAdapter)
        known = backtest.HeldOut.of(adapter, parts["calibration"].records, config.ahead)
        held = backtest.HeldOut.of(adapter, parts["test"].records, config.ahead, config.most)
        forecaster = Forecaster(adapter, self.members, {}, self.recipe.uncertainty.level)
        forecaster = backtest.calibrated(forecaster, known)
        notes = [*self.dataset.notes, backtest.remark(held, len(parts["test"].records), config.ahead, known)]
        notes += assessment.uncalibrated(forecaster)
        self._tell(notes)
        answer = forecaster.answer(held.cases)
        answers, models = {MODEL: answer}, {}
        if self.options.baselines:
            self.say("Fitting the classical forecasts to the same records")
            models = adapter.forecasts(parts["train"].records)
            answers |= held.classical(models)
        table = backtest.predictions(forecaster, held, answer, "test")
        scores, comparison = backtest.scored(table, held, answers, seed)
        self._write(forecaster, table, scores, comparison, "moment" if held.windows else "record")
        self.run.write_csv("gaps.csv", backtest.gap_curve(forecaster, held, answers, models, seed))
        if held.windows:
            self.run.write_csv("leads.csv", backtest.by_lead(held, answers, table, seed))
            self.run.write_csv("places.csv", backtest.by_place(held, answers))
        self.run.write_csv("levels.csv", backtest.reliability(forecaster, held, answer, seed))
        self.run.write_json("examples.json", backtest.examples(forecaster, held, answer))
        return forecaster, scores, notes

    def _tell(self, notes: Sequence[str]) -> None:
        for note in notes:
            self.say(f"Note: {note}")

    def _write_drawings(self, drawn: list[dict[str, str]]) -> None:
        if drawn:
            self.run.write_json("figures.json", drawn)

    def _write(
        self,
        trained: "Ensemble[Any]",
        table: "pd.DataFrame",
        scores: "pd.DataFrame",
        comparison: "pd.DataFrame",
        noun: str = "record",
    ) -> None:
        """Tell the scores, and write what is the same for every task."""
        from sciformer import summary

        for line in summary.score_lines(trained.answers, scores, comparison, trained.level, self.run.path, noun):
            self.say(line)
        self.run.write_csv("predictions.csv", table)
        self.run.write_csv("scores.csv", scores)
        if self.options.baselines:
            self.run.write_csv("comparison.csv", comparison)


def _facts(recipe: "Recipe", dataset: Dataset, trained: "Ensemble[Any]", notes: Sequence[str]) -> dict[str, Any]:
    from sciformer import __version__
    from sciformer.assessment import calibration_sizes

    kind = {}
    if isinstance(dataset.adapter, SeriesAdapter) and recipe.forecast:
        kind = {"kind": "forecast", "ahead": dataset.adapter.clock.unit}
    elif dataset.by_token:
        kind = {"part": dataset.adapter.part_noun}
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


def _model_card(recipe: "Recipe", dataset: Dataset, notes: Sequence[str], scores: Any, started: str) -> str:
    from sciformer.summary import noun_of

    noun = noun_of(dataset.adapter, dataset.records)
    made = f"Trained on {dataset.source} ({len(dataset.records)} {noun}s). {started}".rstrip()
    lines = [f"# {recipe.title}", "", made]
    lines += [f"- {note}" for note in (*dataset.adapter.facts(), *notes)]
    lines += ["", "## Test part", "", "| model | target | metric | value | 95 % interval |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.model} | {row.target} | {row.metric} | {row.value:.4g} | {row.lower:.4g} to {row.upper:.4g} |"
        for row in scores.itertuples()
    ]
    lines += ["", "## Use", "", "```python", "import sciformer", 'model = sciformer.load("checkpoint")', "```", ""]
    return "\n".join(lines)
