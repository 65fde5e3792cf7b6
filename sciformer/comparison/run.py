"""A comparison from the raw table to its page."""

import dataclasses
import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sciformer.comparison import cells, plan, tables
from sciformer.comparison.cells import Bench, Outcome
from sciformer.comparison.options import SCRATCH, CompareOptions
from sciformer.comparison.plan import Cell, Fold
from sciformer.comparison.progress import tracked
from sciformer.data.dataset import Dataset
from sciformer.data.folds import by_answer
from sciformer.data.splits import PARTS, Splits, make_splits
from sciformer.finetuning import Origin
from sciformer.preparation import usable
from sciformer.recipe import Recipe, Say, load, plain

if TYPE_CHECKING:
    from sciformer.rundir import RunDirectory

CELLS = "cells"
"""Folder of the finished cells, among what an interrupted comparison goes on from."""


def compare(recipe: Recipe, options: CompareOptions, say: Say = print) -> Path:
    """Train a recipe from scratch and from a checkpoint, over training sets of several sizes and several seeds, beside
    the classical baselines; judge the differences and write them down. Returns the directory.

    Raises ``ValueError`` or ``OSError`` with one clear line without a checkpoint to start from and for unusable input.
    """
    from sciformer.report.comparison import render
    from sciformer.rundir import RESUME, RunDirectory

    start = time.monotonic()
    origin = _origin(recipe)
    recipe = replace(recipe, model=origin.shape(recipe.model), start=replace(recipe.start, mode="full"))
    dataset = load(recipe)
    dataset = replace(dataset, adapter=origin.adapter(dataset.adapter))
    out = Path(options.out or "runs/compare")
    config = {**plain(recipe), "seeds": options.seeds, "sizes": options.sizes, "modes": options.modes}
    config |= {"baselines": options.baselines}
    with RunDirectory.open(out, config, resume=options.resume == "auto", overwrite=options.overwrite) as (run, resumed):
        say(f"{'Going on with' if resumed else 'Writing'} {out}/")
        bench, audited = _bench(recipe, origin, dataset, options, run, say)
        _know_again(bench, run, resumed)
        sizes = plan.sizes_of(options.wanted, bench.folds)
        for size in options.wanted:
            if size not in sizes:
                say(f"Left out: {size} training records, which not every training part has")
        every = plan.cells_of(options.ways, _baselines(bench, options), sizes, bench.folds)
        facts = _tried(bench, every, sizes, options, say)
        steps = {size: known["steps"] for size, known in facts["sizes"].items()}
        _carry_out(bench, every, run.path / RESUME / CELLS, steps, options, say)
        outcomes = {cell: Outcome.load(cells.place_of(run.path / RESUME / CELLS, cell)) for cell in every}
        tables.write(bench, outcomes, run)
        seconds = round(time.monotonic() - start, 1)
        run.set_state("running", **_facts(bench, options), **facts, audit=audited, seconds=seconds)
        for line in render(run.path):
            say(line)
        run.set_state("finished")
        shutil.rmtree(run.path / RESUME, ignore_errors=True)
    say(f"Finished in {time.monotonic() - start:.0f} s. Page: {out / 'compare.html'}")
    return out


def _origin(recipe: Recipe) -> Origin:
    origin = Origin.of(recipe.start)
    if origin is None:
        raise ValueError(
            "a comparison needs something to start from: name it with --start.checkpoint (a directory, or a name of "
            "`sciformer models list`)"
        )
    if recipe.forecast:
        raise ValueError(
            "forecasts are not compared: `sciformer train` the recipe twice, with --start.mode scratch and full, and "
            "put the reports side by side"
        )
    return origin


def _bench(
    recipe: Recipe, origin: Origin, dataset: Dataset, options: CompareOptions, run: "RunDirectory", say: Say
) -> tuple[Bench, list[str]]:
    """The records and their splits, which are written down, and what the audit of the first one warns of."""
    from sciformer import summary
    from sciformer.data.audit import audit

    records, noun = usable(dataset), summary.noun_of(dataset.adapter, dataset.records)
    for line in summary.row_lines(dataset.records, dataset.source, len(records), noun):
        say(line)
    say(summary.target_line(dataset.targets))
    groupings = dataset.adapter.groupings(records)
    orders = {**by_answer(dataset.targets), **dataset.adapter.orders()}
    by_key = {record.key: record for record in records}
    folds: list[Fold] = []
    audited: list[str] = []
    for place in range(options.seeds):
        splits = make_splits(dataset.records, plan.split_of(recipe.split, place), groupings, dataset.labels, orders)
        splits.save(run.path / f"splits-{place}.json")
        if not place:
            say(summary.parts_line(splits.counts(), len(records), noun))
            found = audit(records, splits, dataset.adapter, dataset.targets, groupings)
            audited = [*found.warnings, *found.remarks]
        train = [by_key[key] for key in splits.parts["train"]]
        folds.append(_fold(splits, plan.nested(train, dataset.targets, recipe.seed + place), recipe.seed + place))
    bench = Bench(recipe, origin, replace(dataset, records=records), folds, options.accelerator)
    audited = [*_met(bench), *audited]
    for note in (*dataset.notes, *audited):
        say(f"Note: {note}")
    run.note_environment()
    return bench, audited


def _met(bench: Bench) -> list[str]:
    """In words, whether the checkpoint has learned the answers to records that are tested here."""
    from sciformer import models
    from sciformer.data.fingerprint import mark

    path = models.find(bench.recipe.start.checkpoint) / "config.json"
    known = json.loads(path.read_text(encoding="utf-8")).get("splits", {}).get("used", "")
    used, tested = set(str(known).split()), list(dict.fromkeys(key for fold in bench.folds for key in fold.test))
    if not used:
        return []
    adapter = bench.dataset.adapter.fitted(bench.records(bench.folds[0].train))
    examples = bench.examples(adapter, tested)
    met = sum(mark(example.tokens[adapter.name], adapter.schema.measured) in used for example in examples)
    told = f"{met} of {len(tested)} test {adapter.noun}s were among those that the checkpoint learned from with answers"
    return [f"{told}: that it knows them is no gain. Start from a checkpoint that has not met them."] if met else []


def _fold(splits: Splits, order: Sequence[str], seed: int) -> Fold:
    train, validation, calibration, test = (splits.parts[part] for part in PARTS)
    return Fold(seed, train, tuple(order), validation, (*validation, *calibration), test)


def _know_again(bench: Bench, run: "RunDirectory", resumed: bool) -> None:
    """Raises ``ValueError`` where a comparison that goes on would meet other data or another checkpoint."""
    from sciformer.data.fingerprint import fingerprint
    from sciformer.rundir import STATE

    adapter = bench.dataset.adapter.fitted(bench.records(bench.folds[0].train))
    examples = bench.examples(adapter, list(bench.places))
    here = fingerprint(examples, bench.folds, bench.dataset.targets, bench.origin.sha256)
    if resumed and run.read_json(STATE).get("fingerprint") != here:
        raise ValueError(
            f"cannot resume {run.path}: the data or the checkpoint have changed since it began; restore them, choose "
            "another --out, or add --overwrite true"
        )
    run.set_state("running", fingerprint=here)


def _baselines(bench: Bench, options: CompareOptions) -> list[str]:
    adapter = bench.dataset.adapter
    names = list(adapter.token_baselines()) if bench.dataset.by_token else [x.name for x in adapter.baselines()]
    return names if options.baselines else []


def _tried(
    bench: Bench, every: Sequence[Cell], sizes: Sequence[str], options: CompareOptions, say: Say
) -> dict[str, Any]:
    """Begin a model of every size and fold before any is trained, so that what cannot be learned from is told at once;
    also what the checkpoint gave, and the epochs and steps of every size.

    Raises ``ValueError`` naming the size.
    """
    import torch

    mode = next(way for way in options.ways if way != SCRATCH)
    lengths, loaded = {}, {}
    for cell in (cell for cell in every if cell.way == mode):
        where = f"with {cell.records} training records of seed {bench.folds[cell.fold].seed}"
        known = bench.records(bench.folds[cell.fold].first(cell.records))
        for target in () if bench.dataset.by_token else bench.dataset.targets:
            if not any(target.name in record.targets for record in known):
                raise ValueError(f"{where}, no value of target {target.name!r} is known; leave this size out (--sizes)")
        recipe, dataset, origin = cells.prepared(bench, cell)
        try:
            with torch.random.fork_rng():
                torch.manual_seed(recipe.seed)
                begun = cells.started(bench, cell, recipe, dataset, origin, recipe.seed)
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
        if not cell.fold:
            lengths[cell.size] = {"epochs": recipe.optim.epochs, "steps": begun.module.total_steps}
            if begun.report:
                loaded = begun.report.to_json()
                summary = bench.origin.summary(begun.report)
    say(f"Starting from {summary}")
    return {"sizes": {size: lengths[size] for size in sizes}, "loaded": loaded}


def _carry_out(
    bench: Bench, every: Sequence[Cell], folder: Path, steps: Mapping[str, int], options: CompareOptions, say: Say
) -> None:
    """Train what an interrupted comparison has not trained, in several processes."""
    import cloudpickle
    import joblib

    left = [cell for cell in every if not cells.place_of(folder, cell).is_file()]
    if not left:
        return
    workers = min(options.workers or joblib.cpu_count(), len(left))
    before = f", {len(every) - len(left)} of them are finished" if len(left) < len(every) else ""
    say(f"{len(every)} trainings{before}; {workers} at a time")
    bench = replace(bench, features=_features(bench, left, say), _tokens={}, _reader=None)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "bench"
        path.write_bytes(cloudpickle.dumps(bench))
        jobs = (joblib.delayed(cells.carry_out)(str(path), cell, str(folder), workers > 1) for cell in left)
        with joblib.parallel_config("loky", inner_max_num_threads=1):
            parallel: Any = joblib.Parallel(workers, return_as="generator_unordered", batch_size=1)  # pyright: ignore[reportArgumentType]
            tracked(parallel(jobs), left, steps, say)


def _features(bench: Bench, left: Sequence[Cell], say: Say) -> dict[str, Any]:
    """What the baselines that are left look at, of every record."""
    wanted = {cell.way for cell in left if cell.classical}
    if bench.dataset.by_token or not wanted:
        return {}
    say("Computing what the classical baselines look at")
    return {x.name: x.features(bench.dataset.records) for x in bench.dataset.adapter.baselines() if x.name in wanted}


def _facts(bench: Bench, options: CompareOptions) -> dict[str, Any]:
    """What the page says besides the tables."""
    from sciformer import __version__

    recipe, dataset = bench.recipe, bench.dataset
    return {
        "title": recipe.title,
        "domain": dataset.adapter.name,
        "noun": dataset.adapter.noun,
        "sciformer": __version__,
        "start": recipe.start.checkpoint,
        "sha256": bench.origin.sha256,
        "seeds": [fold.seed for fold in bench.folds],
        "ways": list(options.ways),
        "baselines": _baselines(bench, options),
        "split": recipe.split.kind,
        "drawn": plan.drawn(recipe.split),
        "most steps": plan.STEPS,
        "notes": list(dataset.notes),
        "simulated": dataset.simulated,
        "source": dataset.source,
        "targets": [dataclasses.asdict(target) for target in dataset.targets],
    }
