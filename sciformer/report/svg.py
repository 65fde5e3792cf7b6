"""Matplotlib's SVG made a good part of a page: small, without namespaces, in the page's own colours."""

import re
from xml.etree import ElementTree

BLUE, VERMILLION, GREEN, PURPLE, ORANGE = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"
"""After Okabe and Ito (2008), Color universal design."""
INK, MUTED, GRID = "#1b1f24", "#6a737d", "#d8dde3"
_CSS = {
    BLUE: "var(--blue)",
    VERMILLION: "var(--vermillion)",
    GREEN: "var(--green)",
    PURPLE: "var(--purple)",
    ORANGE: "var(--orange)",
    INK: "currentColor",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
}
"""The page sets these, lighter in a dark theme."""


def inline(xml: str, name: str, label: str) -> str:
    """The SVG element of the document ``xml`` for use inside HTML, with ``label`` as its text alternative.

    Its ids begin with ``name``, so that figures of one page do not take each other's clip paths and markers.
    """
    root = ElementTree.fromstring(xml)
    used = {target for node in root.iter() for value in node.attrib.values() for target in _references(value)}
    for node in root.iter():
        node.tag, node.tail = _local(node.tag), None
        attributes = {_local(key): value for key, value in node.attrib.items()}
        node.attrib = {
            key: _rewritten(key, value, name) for key, value in attributes.items() if key != "id" or value in used
        }
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in ("metadata", "style") or (child.tag in ("defs", "g") and not len(child)):
                parent.remove(child)
    root.attrib = {"viewBox": root.get("viewBox", ""), "role": "img", "aria-label": label}
    return ElementTree.tostring(root, encoding="unicode")


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _references(value: str) -> list[str]:
    return re.findall(r"(?:^|url\()#([\w-]+)", value)


def _rewritten(key: str, value: str, name: str) -> str:
    if key == "id":
        return f"{name}-{value}"
    if key == "style":
        return _themed(value)
    if key in ("d", "x", "y", "points"):  # a hundredth of a point is finer than any screen
        return re.sub(r"(\.\d\d)\d+", r"\1", " ".join(value.split()))
    return re.sub(r"(^|url\()#", rf"\1#{name}-", value)


def _themed(style: str) -> str:
    style = re.sub(r"font-family:[^;]*;?|\bfont-variant:[^;]*;?|stroke-miterlimit:[^;]*;?", "", style)
    for colour, variable in _CSS.items():
        style = style.replace(colour, variable)
    return re.sub(r"\s*([:;])\s*", r"\1", style).strip("; ")
