"""A recipe is one typed tree of settings; ``train`` carries it from the raw table to a calibrated checkpoint."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sciformer.adapter import SeriesAdapter
from sciformer.conclusion import Conclusion
from sciformer.data.batching import BatchConfig
from sciformer.data.dataset import DataConfig, Dataset
from sciformer.data.splits import SplitConfig
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.preparation import Part, prepare, usable

if TYPE_CHECKING:
    from sciformer.ensemble import Member
    from sciformer.rundir import RunDirectory

Say = Callable[[str], None]


@dataclass(frozen=True)
class Uncertainty:
    """How answers say what they do not know.

    Attributes:
        family: What numbers are answered with: a Gaussian, or a set of quantiles, whose point answer is the median.
        level: Share of truths that intervals and prediction sets shall hold.
        members: Models in the ensemble, each from its own random start.
        variants: Calibrate on so many variants of each calibration record, made as for training, and not on the
            record itself; 0 is off. For a test part that looks like the variants and not like the records.
        adapt: Tilt class probabilities to the shares that the classes seem to have among the test records, whose labels
            are not looked at. For a test part where a class looks as in training but is more or less common.
    """

    family: Literal["gaussian", "quantile"] = "gaussian"
    level: float = 0.9
    members: int = 1
    variants: int = 0
    adapt: bool = False

    def __post_init__(self):
        from sciformer.calibration import LEVELS

        if self.level not in LEVELS or self.members < 1 or self.variants < 0:
            known = ", ".join(f"{level:g}" for level in LEVELS)
            raise ValueError(f"level must be one of {known}, members at least 1 and variants 0 or more, got {self}")


@dataclass(frozen=True)
class ForecastConfig:
    """What is hidden in training, and what is held out to be forecast.

    Attributes:
        future: Share of the training questions that are about all that comes after a random moment; the others are
            about gaps.
        cut: At least and at most so much of the time of a record passes before that moment.
        ahead: Share of each record's observations, the last ones, that are held out in calibration and test.
        most: At most so many test records are forecast, drawn at random: classical models are fitted to each of them.
        apart: Every variable (or band) of a record is answered from what was seen of it alone, by one model for all.
            What one says of another is not learned, nor mistaken for chance where records are few.
    """

    future: float = 0.7
    cut: tuple[float | int, float | int] = (0.1, 0.9)
    ahead: float = 0.3
    most: int = 300
    apart: bool = False

    def __post_init__(self):
        first, last = self.cut
        if not 0 <= self.future <= 1 or not 0 < self.ahead < 1 or not 0 <= first <= last <= 1 or self.most < 1:
            raise ValueError(
                f"future must lie in 0..1, cut rise within it, ahead lie between 0 and 1, most be 1 or more, got {self}"
            )


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is learned, from what, and how. Variants derive by ``dataclasses.replace``.

    Without ``forecast`` the targets of the data are predicted; with it, the course of the records themselves.
    """

    title: str
    data: DataConfig
    forecast: ForecastConfig | None = None
    split: SplitConfig = field(default_factory=SplitConfig)
    model: SciformerConfig = field(default_factory=SciformerConfig)
    uncertainty: Uncertainty = field(default_factory=Uncertainty)
    optim: OptimConfig = field(default_factory=OptimConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    seed: int = 0

    def __post_init__(self):
        if not 0 <= self.seed < 2**32:  # scikit-learn takes no other
            raise ValueError(f"seed must lie in 0..{2**32 - 1}, got {self.seed}")
        told = self.uncertainty
        if self.forecast and (told.variants or told.adapt or self.optim.balance):
            raise ValueError(
                "a forecast has no targets, so there is nothing to adapt or to balance: "
                "leave uncertainty.variants, .adapt and optim.balance as they are"
            )


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
    if recipe.forecast is None:  # no option where nothing is forecast
        del tree["forecast"]
    tree["split"]["fractions"] = list(tree["split"]["fractions"])
    if recipe.forecast:
        tree["forecast"]["cut"] = list(tree["forecast"]["cut"])
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
    dataset = _read(recipe)
    with RunDirectory.open(out, to_json(recipe), resume=options.resume == "auto", overwrite=options.overwrite) as (
        run,
        resumed,
    ):
        say(f"{'Going on with' if resumed else 'Writing'} {out}/")
        dataset, parts = prepare(recipe, dataset, run, resumed, say)
        members = _members(recipe, dataset, parts, run, options, say)
        Conclusion(recipe, dataset, parts, members, run, options, say).draw()
        run.set_state("running", seconds=round(time.monotonic() - start, 1))
        _report(run)
        run.set_state("finished")
        shutil.rmtree(run.path / RESUME, ignore_errors=True)
    say(
        f"Finished in {time.monotonic() - start:.0f} s. Report: {out / 'report.html'}  Checkpoint: {out / 'checkpoint'}"
    )
    return out


def _read(recipe: Recipe) -> Dataset:
    """The data of a recipe, checked for what its task needs."""
    dataset = recipe.data.load(recipe.split.column)
    if recipe.forecast:
        if not isinstance(dataset.adapter, SeriesAdapter):
            raise ValueError(f"records of the domain {dataset.adapter.name!r} do not go on in time: no forecasts")
        dataset = dataset.unlabelled()
    elif not dataset.targets:
        raise ValueError("nothing to predict: name columns with --data.targets")
    elif dataset.by_token and (recipe.uncertainty.variants or recipe.uncertainty.adapt or recipe.optim.balance):
        raise ValueError(
            "labels of every token are neither adapted to nor balanced: leave uncertainty.variants, .adapt and "
            "optim.balance as they are"
        )
    usable(dataset)
    return dataset


def _members(
    recipe: Recipe, dataset: Dataset, parts: Mapping[str, Part], run: "RunDirectory", options: RunOptions, say: Say
) -> "list[Member[Any]]":
    """Train every member. One that an interrupted run had finished goes on from its end: nothing is left to do."""
    import pandas as pd

    from sciformer.evaluation import overshoot

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
    return members


def _member(
    recipe: Recipe, dataset: Dataset, parts: Mapping[str, Part], run: "RunDirectory", options: RunOptions, i: int
) -> "tuple[Member[Any], list[dict[str, Any]]]":
    import torch
    from rich.console import Console

    from sciformer.data.datamodule import DataModule
    from sciformer.ensemble import Member
    from sciformer.progress import History, RunProgress
    from sciformer.rundir import RESUME
    from sciformer.training import SciformerModule, fit

    seed = recipe.seed + 1000 * i
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        member = Member(*_fresh(recipe, dataset))
        member.model.fit(parts["train"].examples)
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
    from sciformer.tasks.forecast import Forecast
    from sciformer.tasks.property import Property
    from sciformer.tasks.token_property import TokenProperty

    adapter, family, balance = dataset.adapter, recipe.uncertainty.family, recipe.optim.balance
    model = Sciformer(recipe.model, {adapter.name: adapter})
    if recipe.forecast:
        assert isinstance(adapter, SeriesAdapter)  # _read has made sure
        asks = recipe.forecast
        return model, Forecast(recipe.model, adapter, asks.future, asks.cut, family, apart=asks.apart)
    if dataset.by_token:
        return model, TokenProperty(recipe.model, adapter, family)
    return model, Property(recipe.model, dataset.targets, family, extensive=adapter.extensive, balance=balance)


def _report(run: "RunDirectory") -> None:
    from sciformer.report import render

    render(run.path)
