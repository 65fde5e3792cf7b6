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
from sciformer.finetuning import Origin, Start
from sciformer.model import SciformerConfig
from sciformer.optim import OptimConfig
from sciformer.preparation import Part, prepare, usable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sciformer.data.datamodule import DataModule
    from sciformer.ensemble import Member
    from sciformer.rundir import RunDirectory
    from sciformer.tokens import Example
    from sciformer.training import SciformerModule
    from sciformer.transfer import TransferReport

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
    start: Start = field(default_factory=Start)
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


def plain(recipe: Any) -> dict[str, Any]:
    """Every resolved setting as plain values, in the form that ``--config`` reads."""
    tree = dataclasses.asdict(recipe)
    del tree["title"]
    return {name: _listed(value) for name, value in tree.items() if value is not None}  # no option: nothing is forecast


def _listed(value: Any) -> Any:
    """Lists in place of tuples, all the way down."""
    if isinstance(value, dict):
        return {name: _listed(item) for name, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value


def train(recipe: Recipe, options: RunOptions, say: Say = print) -> Path:
    """Read, split, audit, train, calibrate, score, save and report. Returns the directory of the run.

    Raises ``ValueError`` or ``OSError`` with one clear line for unusable input, ``Interrupted`` after a signal.
    """
    import shutil

    from sciformer.rundir import RESUME, RunDirectory

    start = time.monotonic()
    out = Path(options.out or "runs/run")
    # Read first: data that cannot be used must not cost the run that --overwrite replaces.
    dataset = load(recipe)
    origin = Origin.of(recipe.start)
    if origin:
        recipe = dataclasses.replace(recipe, model=origin.shape(recipe.model))
        dataset = dataclasses.replace(dataset, adapter=origin.adapter(dataset.adapter))
    with RunDirectory.open(out, plain(recipe), resume=options.resume == "auto", overwrite=options.overwrite) as (
        run,
        resumed,
    ):
        say(f"{'Going on with' if resumed else 'Writing'} {out}/")
        if origin:
            _know_start_again(run, origin, resumed)
        dataset, parts = prepare(recipe, dataset, run, resumed, say)
        members = _Training(recipe, origin, dataset, parts, run, options, say).members()
        added = [origin.end(member) for member in members] if origin else []
        members = [member.eval().requires_grad_(False) for member in members]
        Conclusion(recipe, dataset, parts, members, run, options, say, origin, [x for x in added if x]).draw()
        run.set_state("running", seconds=round(time.monotonic() - start, 1))
        _report(run)
        run.set_state("finished")
        shutil.rmtree(run.path / RESUME, ignore_errors=True)
    say(
        f"Finished in {time.monotonic() - start:.0f} s. Report: {out / 'report.html'}  Checkpoint: {out / 'checkpoint'}"
    )
    return out


def _know_start_again(run: "RunDirectory", origin: Origin, resumed: bool) -> None:
    """Raises ``ValueError`` where a run that goes on would be told to have started from another checkpoint."""
    from sciformer.rundir import STATE

    if resumed and run.read_json(STATE).get("start", {}).get("sha256") != origin.sha256:
        raise ValueError(
            f"cannot resume {run.path}: {origin.start.checkpoint} is not the checkpoint any more that it began with; "
            "restore it, choose another --out, or add --overwrite true"
        )
    run.set_state("running", start=origin.to_json())


def load(recipe: Recipe) -> Dataset:
    """The data of a recipe, checked for what its task needs.

    Raises ``ValueError`` or ``OSError`` with one clear line where they cannot be used.
    """
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


@dataclass(frozen=True)
class _Training:
    """The middle of a run: the data are there, and the members of the ensemble are trained one after the other."""

    recipe: Recipe
    origin: Origin | None
    dataset: Dataset
    parts: Mapping[str, Part]
    run: "RunDirectory"
    options: RunOptions
    say: Say

    def members(self) -> "list[Member[Any]]":
        """Train every member. One that an interrupted run had finished goes on from its end: nothing is left to do."""
        import pandas as pd

        from sciformer.evaluation import overshoot

        members, curves, count = [], [], self.recipe.uncertainty.members
        for i in range(count):
            member, curve = self._member(i)
            members.append(member)
            curves.append(pd.DataFrame(curve))
            last = curve[-1]
            validated = f", validation {last['validation_loss']:.3f}" if self.parts["validation"].records else ""
            self.say(
                f"Model {i + 1} of {count}: {last['epoch']} epochs in {last['seconds']:.0f} s, "
                f"loss {last['train_loss']:.3f}{validated}"
            )
            rise = None if self.recipe.optim.patience else overshoot([row["validation_loss"] for row in curve])
            if rise:
                self.say(
                    f"Note: validation loss was lowest at epoch {rise[0] + 1}, {rise[1]:.3f}; see --optim.patience"
                )
        self.run.write_csv("metrics.csv", pd.concat(curves, ignore_index=True))
        return members

    def _member(self, i: int) -> "tuple[Member[Any], list[dict[str, Any]]]":
        import torch
        from rich.console import Console

        from sciformer.progress import History, RunProgress
        from sciformer.rundir import RESUME
        from sciformer.training import fit

        recipe, origin, seed = self.recipe, self.origin, self.recipe.seed + 1000 * i
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            train, validation = self.parts["train"].examples, self.parts["validation"].examples
            begun = begin(recipe, origin, self.dataset, train, validation, seed)
            if origin and begun.report and i == 0:
                self.say(f"Started from {origin.summary(begun.report)}")
                self.run.set_state("running", start=origin.told(begun.member, begun.report))
            history, name = History(i), f"Model {i + 1}/{recipe.uncertainty.members}"
            bar = RunProgress(Console(stderr=True), name, begun.module.total_steps)
            watching = [history, bar, *(origin.callbacks() if origin else [])]
            folder = self.run.path / RESUME / f"member-{i}"
            fit(begun.module, begun.data, folder, *watching, accelerator=self.options.accelerator)
        return begun.member, history.rows


@dataclass(frozen=True)
class Begun:
    """A model that is about to be trained, and on what."""

    member: "Member[Any]"
    module: "SciformerModule"
    data: "DataModule"
    report: "TransferReport | None"
    """What was taken from a checkpoint; None where only its shape was, or there is none."""


def begin(
    recipe: Recipe,
    origin: Origin | None,
    dataset: Dataset,
    train: "Sequence[Example]",
    validation: "Sequence[Example]",
    seed: int,
) -> Begun:
    """A model with the scales of its training examples, started where the recipe says.

    Draws from the global generator of torch, which the caller seeds.
    Raises ``ValueError`` for examples that nothing can be learned from, or that a checkpoint would misread.
    """
    from sciformer.data.datamodule import DataModule
    from sciformer.ensemble import Member
    from sciformer.training import SciformerModule

    member = Member(*_fresh(recipe, dataset))
    member.model.fit(train)
    member.task.fit(train)
    report = origin.begin(member, dataset.adapter) if origin else None
    data = DataModule(
        train,
        validation,
        targets=[target.name for target in dataset.targets],
        batches=recipe.batch,
        seed=seed,
        augment=dataset.augment or dataset.adapter.augment,
    )
    steps, rate = data.total_steps(recipe.optim.epochs), origin.rates(report) if origin else None
    return Begun(member, SciformerModule(member.model, member.task, recipe.optim, steps, seed, rate), data, report)


def _fresh(recipe: Recipe, dataset: Dataset) -> tuple[Any, Any]:
    from sciformer.model import Sciformer
    from sciformer.tasks.forecast import Forecast
    from sciformer.tasks.property import Property
    from sciformer.tasks.token_property import TokenProperty

    adapter, family, balance = dataset.adapter, recipe.uncertainty.family, recipe.optim.balance
    model = Sciformer(recipe.model, {adapter.name: adapter})
    if recipe.forecast:
        assert isinstance(adapter, SeriesAdapter)  # load has made sure
        asks = recipe.forecast
        return model, Forecast(recipe.model, adapter, asks.future, asks.cut, family, apart=asks.apart)
    if dataset.by_token:
        return model, TokenProperty(recipe.model, adapter, family)
    return model, Property(recipe.model, dataset.targets, family, extensive=adapter.extensive, balance=balance)


def _report(run: "RunDirectory") -> None:
    from sciformer.report import render

    render(run.path)
