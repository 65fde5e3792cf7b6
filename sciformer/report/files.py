"""Reading a run directory, of which every file but ``run.json`` may be missing or broken."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

_TABLES = {
    "rows.csv": (("key", "status", "part", "problem"), ()),
    "metrics.csv": (
        ("member",),
        ("epoch", "step", "train_loss", "validation_loss", "learning_rate", "seconds"),
    ),
    "scores.csv": (("part", "model", "target", "metric"), ("value", "lower", "upper", "n")),
    "comparison.csv": (("target", "metric", "baseline", "verdict"), ("difference", "lower", "upper")),
    "predictions.csv": (("key", "part", "target", "truth", "prediction", "set"), ("lower", "upper", "scale", "ahead")),
    "gaps.csv": (("model", "target", "metric"), ("value", "lower", "upper", "n", "dropped")),
    "levels.csv": (("target",), ("level", "value", "lower", "upper")),
    "leads.csv": (("target", "model", "metric"), ("ahead", "value", "lower", "upper", "n")),
    "places.csv": (("target", "model"), ("lat", "lon", "CRPS")),
    "early.csv": (("model", "target", "metric"), ("days", "value", "lower", "upper", "n")),
}
"""Columns of text and of numbers."""
_OF_SOME = {("predictions.csv", "set"), ("predictions.csv", "ahead"), ("levels.csv", "target")}
"""Columns that only classes, only forecasts or only later versions have: nothing is wrong without them."""


@dataclass(frozen=True)
class RunFiles:
    """What a run directory holds; a missing table is empty, a missing text is ``""``."""

    path: Path
    run: dict[str, Any]
    config: str
    audit: dict[str, Any]
    environment: dict[str, Any]
    splits: dict[str, Any]
    examples: list[dict[str, Any]]
    figures: list[dict[str, Any]]
    tables: dict[str, pd.DataFrame]
    problems: list[str] = field(default_factory=list)
    """One line for each file that is there but cannot be read."""

    @classmethod
    def read(cls, path: Path) -> "RunFiles":
        """Raise ``FileNotFoundError`` without run.json and ``ValueError`` when it is not a JSON object."""
        if not (path / "run.json").is_file():
            raise FileNotFoundError(f"a report needs a run directory with run.json, got {path}; train one first")
        problems: list[str] = []
        run = _json(path / "run.json", dict, problems)
        if problems:
            raise ValueError(f"run.json of {path} must hold one JSON object: {problems[0]}")
        config = path / "config.yaml"
        return cls(
            path=path,
            run=run,
            config=config.read_text("utf-8", errors="replace") if config.is_file() else "",
            audit=_json(path / "audit.json", dict, problems),
            environment=_json(path / "environment.json", dict, problems),
            splits=_json(path / "splits.json", dict, problems),
            examples=_json(path / "examples.json", list, problems),
            figures=_json(path / "figures.json", list, problems),
            tables={name: _table(path / name, problems) for name in _TABLES},
            problems=problems,
        )

    @property
    def level(self) -> float:
        """Share of truths that intervals and sets shall hold; NaN where the run does not say."""
        level = self.run.get("level")
        return float(level) if isinstance(level, int | float) else math.nan

    def table(self, name: str, **where: str) -> pd.DataFrame:
        """Rows of ``<name>.csv`` whose columns equal ``where``."""
        rows = self.tables[f"{name}.csv"]
        for column, value in where.items():
            rows = rows[rows[column] == value]
        return rows


def _json(path: Path, kind: type, problems: list[str]) -> Any:
    try:
        data = json.loads(path.read_text("utf-8")) if path.is_file() else kind()
    except ValueError as error:
        problems.append(f"{path.name} is not valid JSON ({error}), so it is left out")
        return kind()
    if not isinstance(data, kind):
        problems.append(f"{path.name} must hold a JSON {kind.__name__}, got {type(data).__name__}, so it is left out")
        return kind()
    return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else data


def _table(path: Path, problems: list[str]) -> pd.DataFrame:
    """Keys and labels stay the texts they are ("007", "NA"); numbers that are none become NaN."""
    texts, numbers = _TABLES[path.name]
    rows = pd.DataFrame()
    if path.is_file() and path.stat().st_size:
        try:
            rows = pd.read_csv(path, dtype=str, keep_default_na=False, encoding_errors="replace")
        except ValueError as error:  # pandas' ParserError is one
            problems.append(f"{path.name} is not a readable CSV table ({str(error).strip()}), so it is left out")
    missing = [name for name in (*texts, *numbers) if name not in rows]
    lacking = [name for name in missing if (path.name, name) not in _OF_SOME]
    if lacking and len(rows):
        problems.append(f"{path.name} lacks the columns {', '.join(lacking)}; they are taken as empty")
    rows = rows.assign(**dict.fromkeys(missing, "")).fillna("")
    return rows.assign(**{name: pd.to_numeric(rows[name], errors="coerce").astype(float) for name in numbers})
