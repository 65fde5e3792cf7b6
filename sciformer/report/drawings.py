"""What a domain draws of its own, from ``figures.json``, and how any drawing goes into the page."""

import base64
from dataclasses import dataclass
from typing import Any

from sciformer.report.files import RunFiles

MOST = 24


@dataclass(frozen=True)
class Drawing:
    title: str
    caption: str
    image: str
    """A data URI."""


def drawings(files: RunFiles) -> list[Drawing]:
    """The drawings of a run in their order; what is no drawing is left out."""
    every = [
        Drawing(str(item.get("title") or ""), str(item.get("caption") or ""), image(item.get("svg")))
        for item in files.figures
    ]
    return [drawing for drawing in every if drawing.image][:MOST]


def image(svg: Any) -> str:
    """An SVG as the source of an image, "" where there is none: whatever it holds, scripts in an image never run."""
    if not isinstance(svg, str) or not svg:
        return ""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode('utf-8', errors='replace')).decode()}"
