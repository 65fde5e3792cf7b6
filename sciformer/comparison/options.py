"""What is compared, and over what: the options of ``sciformer compare``."""

from dataclasses import dataclass
from typing import get_args

from sciformer.finetuning import Mode
from sciformer.recipe import RunOptions

ALL = "all"
"""The size that is the whole training part."""
SCRATCH = "scratch"


@dataclass(frozen=True)
class CompareOptions(RunOptions):
    """How a recipe is compared with itself from scratch.

    Attributes:
        seeds: Repetitions, each with its own seed and, where the split is drawn by chance, its own split.
        sizes: Numbers of training records, separated by commas; "all" is the whole training part. One above the
            training part is left out.
        modes: Ways to start, separated by commas: scratch, head, lora, full or gradual (see start.mode).
        workers: Processes that train at the same time; 0 is one for each core. The results are the same for any number.
        out: Directory of the comparison; by default runs/compare- and the name of the recipe.
        resume: "auto" goes on with an unfinished comparison of the same settings, "never" refuses to.
        overwrite: Replace an earlier comparison in the same directory.
        baselines: Fit the classical baselines too.
        accelerator: "auto", "cpu" or "gpu".
    """

    seeds: int = 5
    sizes: str = "50,200,all"
    modes: str = "scratch,head,lora,full"
    workers: int = 0

    def __post_init__(self):
        if self.seeds < 1 or self.workers < 0:
            raise ValueError(f"seeds must be at least 1 and workers 0 or more, got {self.seeds} and {self.workers}")
        known = get_args(Mode)
        if odd := [mode for mode in self.ways if mode not in known]:
            raise ValueError(f"modes must be among {', '.join(known)}, got {odd[0]!r}")
        if SCRATCH not in self.ways or len(self.ways) < 2:
            raise ValueError(
                f"modes must hold scratch and something to compare with it, as scratch,full; got {self.modes!r}"
            )
        if not self.wanted:
            raise ValueError("sizes must hold numbers of training records or all, as 50,200,all; got none")
        for size in self.wanted:
            if size != ALL and not (size.isdecimal() and int(size) > 1):
                raise ValueError(f"sizes must be numbers above 1 or all, separated by commas, got {size!r}")

    @property
    def ways(self) -> tuple[str, ...]:
        """The modes, scratch first."""
        named = _listed(self.modes)
        return tuple(sorted(named, key=lambda mode: mode != SCRATCH))

    @property
    def wanted(self) -> tuple[str, ...]:
        """The sizes, the smallest first."""
        return tuple(sorted(_listed(self.sizes), key=lambda size: (size == ALL, int(size) if size.isdecimal() else 0)))


def _listed(text: str) -> list[str]:
    return list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
