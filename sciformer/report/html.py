"""A page from its template: one file that needs no other, whole or absent."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sciformer.files import write_text
from sciformer.report.words import number


def written(template: str, context: Mapping[str, Any], page: Path) -> Path:
    """Write a template of this folder, filled, to ``page`` and return its path.

    Raises ``OSError`` when the page cannot be written; what was there before is then untouched.
    """
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["number"] = number
    html = _unbroken(templates.get_template(template).render(context))
    write_text(page, html, errors="replace")  # a lone surrogate in a label must not cost the page
    return page


def _unbroken(html: str) -> str:
    """No line ends between a number and its percent sign. What is there to be copied stays as it is."""
    texts = re.split(r"(<pre\b.*?</pre>)", html, flags=re.DOTALL)
    return "".join(text if i % 2 else re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text) for i, text in enumerate(texts))
