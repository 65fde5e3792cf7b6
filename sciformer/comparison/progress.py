"""How far a comparison is: a bar with the time left on a terminal, about ten plain lines elsewhere."""

import contextlib
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from sciformer.comparison.plan import Cell
from sciformer.recipe import Say

CLASSICAL = 40.0
"""Steps of training in whose time a classical baseline is fitted, roughly."""
FROZEN = 0.4
"""Share of a step's time that is left where the backbone is not learned, roughly."""


def tracked(finished: Generator[Cell, Any, Any], left: Sequence[Cell], steps: Mapping[str, int], say: Say) -> None:
    """Wait for all cells as they are finished; ``steps`` are those of training by size."""
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f}% · {task.fields[cell]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=False),
        console=console,
        transient=True,
        speed_estimate_period=600,
        disable=not console.is_terminal,
    )
    total = sum(_work(cell, steps) for cell in left)
    task, told = bar.add_task("Comparing", total=total, cell=""), 0
    # Closed at once when a signal comes, so that no process trains on.
    with contextlib.closing(finished), bar:
        for count, cell in enumerate(finished, 1):
            bar.update(task, advance=_work(cell, steps), cell=f"{cell.way}, {cell.records} records")
            if not console.is_terminal and 10 * count // len(left) > told:
                told = 10 * count // len(left)
                say(f"  {count} of {len(left)} trained")


def _work(cell: Cell, steps: Mapping[str, int]) -> float:
    """About how long a cell takes, in steps of training."""
    return CLASSICAL if cell.classical else steps[cell.size] * (FROZEN if cell.way == "head" else 1.0)
