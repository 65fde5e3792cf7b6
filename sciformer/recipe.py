"""A recipe is one typed tree of settings; ``train`` carries it from the raw table to a calibrated checkpoint."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sciformer.adapter import Record
from sciformer.data.batching import BatchConfig
from sciformer.data.dataset import DataConfig, Dataset
from sciformer.data.splits import PARTS, SplitConfig, Splits, make_splits
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.tokens import Example

if TYPE_CHECKING:
    from sciformer.predictor import Member, Predictor
    from sciformer.rundir import RunDirectory

Say = Callable[[str], None]


@dataclass(frozen=True)
class Uncertainty:
    """How answers say what they do not know.

    Attributes:
        family: What a regression target is answered with: a Gaussian or a set of quantiles.
        level: Share of truths that intervals and prediction sets shall hold.
        members: Models in the ensemble, each from its own random start.
    """

    family: Literal["gaussian", "quantile"] = "gaussian"
    level: float = 0.9
    members: int = 1

    def __post_init__(self):
        from sciformer.calibration import LEVELS

        if self.level not in LEVELS or self.members < 1:
            known = ", ".join(f"{level:g}" for level in LEVELS)
            raise ValueError(f"level must be one of {known} and members at least 1, got {self}")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is learned, from what, and how. Variants derive by ``dataclasses.replace``."""

    title: str
    data: DataConfig
    split: SplitConfig = field(default_factory=SplitConfig)
    model: SciformerConfig = field(default_factory=SciformerConfig)
    uncertainty: Uncertainty = field(default_factory=Uncertainty)
    optim: OptimConfig = field(default_factory=OptimConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    seed: int = 0

    def __post_init__(self):
        if not 0 <= self.seed < 2**32:  # scikit-learn takes no other
            raise ValueError(f"seed must lie in 0..{2**32 - 1}, got {self.seed}")


@dataclass(frozen=True)
class RunOptions:
    """How and where a recipe is run. Nothing here changes the result but the accelerator: a GPU rounds
    otherwise than a CPU, and computes in bfloat16 where it can.

    Attributes:
        out: Directory of the run; by default runs/ and the name of the recipe.
        resume: "auto" goes on with an unfinished run of the same settings, "never" refuses to.
        overwrite: Replace an earlier run in the same directory.
        baselines: Fit the classical baselines too and compare.
        accelerator: "auto", "cpu" or "gpu".
    """

    out: str = ""
    resume: Literal["auto", "never"] = "auto"
    overwrite: bool = False
    baselines: bool = True
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"


def to_json(recipe: Recipe) -> dict[str, Any]:
    """Every resolved setting as plain values, in the form that ``--config`` reads."""
    tree = dataclasses.asdict(recipe)
    del tree["title"]
    tree["split"]["fractions"] = list(tree["split"]["fractions"])
    return tree


def train(recipe: Recipe, options: RunOptions, say: Say = print) -> Path:
    """Read, split, audit, train, calibrate, score, save and report. Returns the directory of the run.

    Raises ``ValueError`` or ``OSError`` with one clear line for unusable input, ``Interrupted`` after a signal.
    """
    import shutil

    from sciformer.rundir import RESUME, RunDirectory

    start = time.monotonic()
    out = Path(options.out or "runs/run")
    # Read first: data that cannot be used must not cost the run that --overwrite replaces.
    dataset = recipe.data.load(recipe.split.column)
    usable(dataset)
    with RunDirectory.open(out, to_json(recipe), resume=options.resume == "auto", overwrite=options.overwrite) as (
        run,
        resumed,
    ):
        say(f"{'Going on with' if resumed else 'Writing'} {out}/")
        parts = prepare(recipe, dataset, run, resumed, say)
        predictor = _ensemble(recipe, dataset, parts, run, options, say)
        conclude(recipe, dataset, parts, predictor, run, options, say)
        run.set_state("running", seconds=round(time.monotonic() - start, 1))
        _report(run)
        run.set_state("finished")
        shutil.rmtree(run.path / RESUME, ignore_errors=True)
    say(
        f"Finished in {time.monotonic() - start:.0f} s. Report: {out / 'report.html'}  Checkpoint: {out / 'checkpoint'}"
    )
    return out


def usable(dataset: Dataset) -> list[Record]:
    """The records that are readable and labelled.

    Raises ``ValueError`` where there are none, or where a target could not be told apart in tables of answers.
    """
    from sciformer.predictor import answer_columns

    columns = answer_columns(dataset.targets)
    if repeated := [name for i, name in enumerate(columns) if name in columns[:i]]:
        raise ValueError(f"two columns of the answers would be called {repeated[0]!r}; rename a target column")
    records = [record for record in dataset.records if record.ok and record.targets]
    if not records:
        problem = next((record.problem for record in dataset.records if not record.ok), "no row has a target")
        raise ValueError(
            f"none of the {len(dataset.records)} rows of {dataset.source} is readable with a target; first: {problem}"
        )
    return records


@dataclass(frozen=True)
class Part:
    """The records of one part of the split, and the same records tokenised."""

    records: Sequence[Record]
    examples: Sequence[Example]


def prepare(recipe: Recipe, dataset: Dataset, run: "RunDirectory", resumed: bool, say: Say) -> dict[str, Part]:
    """Split the readable, labelled records, audit the split, and write down what was done with every row.

    Raises ``ValueError`` where a resumed run would meet other data than it began with.
    """
    from sciformer import summary
    from sciformer.data.audit import audit

    records = usable(dataset)
    for line in summary.row_lines(dataset.records, dataset.source):
        say(line)
    say(summary.target_line(dataset.targets))
    if resumed and (run.path / "splits.json").exists():
        splits = Splits.load(run.path / "splits.json")
        splits.verify(records)
    else:
        splits = make_splits(dataset.records, recipe.split, dataset.adapter.groupings(), dataset.labels)
        splits.save(run.path / "splits.json")
    parts = _parts(dataset, splits)
    _know_again(dataset, parts, run, resumed)
    train = set(splits.parts["train"])
    for target in dataset.targets:
        if not any(target.name in record.targets for record in records if record.key in train):
            raise ValueError(f"target {target.name!r} has no value in the training part; label more rows or drop it")
    if recipe.optim.patience and not splits.parts["validation"]:
        raise ValueError(
            f"optim.patience {recipe.optim.patience} watches the validation part, which is empty; "
            "give it records (split.calibration_share below 1) or set optim.patience 0"
        )
    say("Parts: " + ", ".join(f"{name} {count}" for name, count in splits.counts().items()))
    found = audit(records, splits, dataset.adapter, dataset.targets)
    found.save(run.path / "audit.json")
    for warning in found.warnings:
        say(f"Warning: {warning}")
    run.write_csv("rows.csv", _rows(dataset.records, splits))
    run.note_environment()
    return parts


def _parts(dataset: Dataset, splits: Splits) -> dict[str, Part]:
    from sciformer.predictor import examples_of

    by_key = {record.key: record for record in dataset.records}
    records = {name: [by_key[key] for key in splits.parts[name]] for name in PARTS}
    return {name: Part(rows, [examples_of(dataset.adapter, row) for row in rows]) for name, rows in records.items()}


def _know_again(dataset: Dataset, parts: Mapping[str, Part], run: "RunDirectory", resumed: bool) -> None:
    """Calibration and test parts included: no state of training can tell whether they were edited."""
    from sciformer.data.fingerprint import fingerprint
    from sciformer.rundir import STATE

    examples = [example for part in parts.values() for example in part.examples]
    sizes = {name: len(part.examples) for name, part in parts.items()}
    here = fingerprint(examples, sizes, len(usable(dataset)), dataset.targets)
    if resumed and run.read_json(STATE).get("fingerprint") != here:
        raise ValueError(
            f"cannot resume {run.path}: the data have changed since it began (rows or labels edited, or read by "
            "another version); restore them, choose another --out, or add --overwrite true"
        )
    run.set_state("running", fingerprint=here)


def _rows(records: Sequence[Record], splits: Splits) -> Any:
    import pandas as pd

    status = ["unreadable" if not r.ok else "ok" if r.targets else "unlabelled" for r in records]
    parts = [splits.part_of(record.key) or "" for record in records]
    columns = {
        "key": [r.key for r in records],
        "status": status,
        "part": parts,
        "problem": [r.problem for r in records],
    }
    return pd.DataFrame(columns)


def _ensemble(
    recipe: Recipe, dataset: Dataset, parts: Mapping[str, Part], run: "RunDirectory", options: RunOptions, say: Say
) -> "Predictor":
    """Train every member. One that an interrupted run had finished goes on from its end: nothing is left to do."""
    import pandas as pd

    from sciformer.evaluation import overshoot
    from sciformer.predictor import Predictor

    members, curves = [], []
    for i in range(recipe.uncertainty.members):
        member, curve = _member(recipe, dataset, parts, run, options, i)
        members.append(member.eval().requires_grad_(False))
        curves.append(pd.DataFrame(curve))
        last = curve[-1]
        validated = f", validation {last['validation_loss']:.3f}" if parts["validation"].records else ""
        say(
            f"Model {i + 1} of {recipe.uncertainty.members}: {last['epoch']} epochs in {last['seconds']:.0f} s, "
            f"loss {last['train_loss']:.3f}{validated}"
        )
        rise = None if recipe.optim.patience else overshoot([row["validation_loss"] for row in curve])
        if rise:
            say(f"Note: validation loss was lowest at epoch {rise[0] + 1}, {rise[1]:.3f}; see --optim.patience")
    run.write_csv("metrics.csv", pd.concat(curves, ignore_index=True))
    return Predictor(dataset.adapter, members, {}, recipe.uncertainty.level)


def _member(
    recipe: Recipe, dataset: Dataset, parts: Mapping[str, Part], run: "RunDirectory", options: RunOptions, i: int
) -> "tuple[Member, list[dict[str, Any]]]":
    import torch
    from rich.console import Console

    from sciformer.data.datamodule import DataModule
    from sciformer.predictor import Member
    from sciformer.progress import History, RunProgress
    from sciformer.rundir import RESUME
    from sciformer.tasks.property import Property
    from sciformer.training import SciformerModule, fit

    seed = recipe.seed + 1000 * i
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        member = Member(*_fresh(recipe, dataset))
        assert isinstance(member.task, Property)
        member.task.fit(parts["train"].examples)
        data = DataModule(
            parts["train"].examples,
            parts["validation"].examples,
            targets=[target.name for target in dataset.targets],
            batches=recipe.batch,
            seed=seed,
            augment=dataset.augment or dataset.adapter.augment,
        )
        steps = data.sampler.total_steps(recipe.optim.epochs)
        module = SciformerModule(member.model, member.task, recipe.optim, steps, seed)
        history = History(i)
        bar = RunProgress(Console(stderr=True), f"Model {i + 1}/{recipe.uncertainty.members}", steps)
        fit(module, data, run.path / RESUME / f"member-{i}", history, bar, accelerator=options.accelerator)
    return member, history.rows


def _fresh(recipe: Recipe, dataset: Dataset) -> tuple[Any, Any]:
    from sciformer.model import Sciformer
    from sciformer.tasks.property import Property

    model = Sciformer(recipe.model, {dataset.adapter.name: dataset.adapter})
    extensive = dataset.adapter.extensive
    family, balance = recipe.uncertainty.family, recipe.optim.balance
    return model, Property(recipe.model, dataset.targets, family, extensive=extensive, balance=balance)


def conclude(
    recipe: Recipe,
    dataset: Dataset,
    parts: Mapping[str, Part],
    predictor: "Predictor",
    run: "RunDirectory",
    options: RunOptions,
    say: Say,
) -> None:
    """Calibrate, score beside the baselines, and write the checkpoint and all tables."""
    import pandas as pd

    from sciformer import assessment, summary
    from sciformer.predictor import save

    records = {name: part.records for name, part in parts.items()}
    predictor = assessment.calibrated(predictor, records["calibration"])
    table = pd.concat([assessment.predictions(predictor, records[name], name) for name in PARTS[1:]], ignore_index=True)
    notes = [*dataset.notes, *assessment.uncalibrated(predictor), *assessment.unscored(predictor, table)]
    for note in notes:
        say(f"Note: {note}")
    others = {}
    if options.baselines:
        say("Fitting the classical baselines on the same split")
        others = assessment.baseline_answers(predictor, records["train"], records["test"], recipe.seed)
    scores, comparison = assessment.scored(predictor, table, others, recipe.seed)
    for line in summary.score_lines(dataset.targets, scores, comparison, predictor.level):
        say(line)
    splits = run.read_json("splits.json")
    save(
        predictor,
        run.path / "checkpoint",
        title=recipe.title,
        card=_model_card(recipe, dataset, scores),
        simulated=dataset.simulated,
        splits={"kind": splits["kind"], "fingerprint": splits["fingerprint"]},
    )
    run.write_csv("predictions.csv", table)
    run.write_csv("scores.csv", scores)
    if options.baselines:
        run.write_csv("comparison.csv", comparison)
    run.write_json("examples.json", assessment.worst(predictor, table, records["test"]))
    run.set_state("running", **_facts(recipe, dataset, predictor, notes))


def _facts(recipe: Recipe, dataset: Dataset, predictor: "Predictor", notes: Sequence[str]) -> dict[str, Any]:
    from sciformer import __version__, assessment

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
        "targets": [{**dataclasses.asdict(target), "classes": list(target.classes)} for target in dataset.targets],
        "level": predictor.level,
        "calibration": assessment.calibration_sizes(predictor),
        "members": len(predictor.members),
        "parameters": sum(p.numel() for p in predictor.members[0].parameters()),
    }


def _model_card(recipe: Recipe, dataset: Dataset, scores: Any) -> str:
    lines = [f"# {recipe.title}", "", f"Trained on {dataset.source} ({len(dataset.records)} rows)."]
    lines += [f"- {note}" for note in dataset.notes]
    lines += ["", "## Test part", "", "| model | target | metric | value | 95 % interval |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.model} | {row.target} | {row.metric} | {row.value:.4g} | {row.lower:.4g} to {row.upper:.4g} |"
        for row in scores.itertuples()
    ]
    lines += ["", "## Use", "", "```python", "import sciformer", 'model = sciformer.load("checkpoint")', "```", ""]
    return "\n".join(lines)


def _report(run: "RunDirectory") -> None:
    from sciformer.report import render

    render(run.path)
