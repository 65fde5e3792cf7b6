"""Drawings of matplotlib as elements of a page."""

import io
import re
from typing import Any


def element(figure: Any, key: str) -> str:
    """The ``<svg>`` element of a ``matplotlib.figure.Figure`` alone.

    The same drawing with the same ``key`` is the same bytes, and ids begin with the key, so that drawings of different
    keys can share a page.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.StringIO()
    with rc_context({"svg.hashsalt": key, "svg.fonttype": "none"}):
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})
    text, mark = buffer.getvalue(), re.sub(r"\W", "-", key)
    unique = re.sub(r'(\bid="|url\(#|href="#)', lambda found: f"{found.group(1)}{mark}-", text[text.index("<svg") :])
    return re.sub(r"<metadata>.*?</metadata>", "", unique, flags=re.DOTALL)
