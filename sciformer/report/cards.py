"""The records that the report draws: worst errors of properties, or forecasts from the best to the worst."""

import re
from typing import Any

from sciformer.report.drawings import image
from sciformer.report.files import RunFiles
from sciformer.report.targets import TargetReport
from sciformer.report.words import MISSING, number

MAX_EXAMPLES = 24
LARGE = 30
"""Drawings of records with more tokens get twice the width."""


def cards(files: RunFiles, targets: list[TargetReport]) -> list[dict[str, Any]]:
    """The drawings with what was answered, as texts."""
    units = {t.name: t.unit for t in targets}
    shown = []
    for example in files.examples[:MAX_EXAMPLES]:
        svg = example.get("svg")
        bounds = [number(example.get(side)) for side in ("lower", "upper")]
        tokens = example.get("tokens")
        shown.append(
            {
                "key": str(example.get("key", "")),
                "target": str(example.get("target", "")),
                "unit": units.get(str(example.get("target", "")), ""),
                "truth": _answer(example, "truth"),
                "prediction": _answer(example, "prediction"),
                "set": str(example.get("set") or "").replace("|", ", "),
                "group": str(example.get("group") or ""),
                "score": "" if example.get("score") is None else number(example["score"]),
                "large": "score" in example or (isinstance(tokens, int) and tokens > LARGE),
                "tall": isinstance(svg, str) and _tall(svg, 0.7 if "score" in example else 1.0),
                "interval": "" if MISSING in bounds else f"{bounds[0]} to {bounds[1]}",
                "image": image(svg),
            }
        )
    return shown


def _answer(example: dict[str, Any], side: str) -> str:
    """The value, and of a class the probability that it was given."""
    p = example.get(f"p_{side}")
    return number(example.get(side)) + (f" (p = {p:.3f})" if isinstance(p, float) else "")


def _tall(svg: str, least: float) -> bool:
    """Whether a drawing is so much higher than wide that its card must grow with it; a large card is wide itself."""
    found = re.search(r'viewBox=["\']\s*\S+\s+\S+\s+([\d.]+)\s+([\d.]+)', svg)
    return bool(found) and float(found[2]) > least * float(found[1])
