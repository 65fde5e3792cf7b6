"""Drawings are the same bytes each time, and share a page without taking each other's parts."""

import re

import pytest
from matplotlib.figure import Figure

from sciformer import svg

pytestmark = pytest.mark.usefixtures("painted")


def drawn(key: str) -> str:
    figure = Figure(figsize=(2, 1))
    axes = figure.add_subplot()
    axes.plot([0, 1, 2], [1.0, 0.0, 2.0], marker="o")
    return svg.element(figure, key)


def test_the_same_drawing_is_the_same_element_and_nothing_else():
    text = drawn("a record")
    assert text == drawn("a record")
    assert text.startswith("<svg")
    assert text.rstrip().endswith("</svg>")
    assert "<metadata>" not in text


def test_drawings_share_no_id_and_refer_to_their_own():
    parts = [drawn("first"), drawn("second")]
    ids = [set(re.findall(r'\bid="([^"]+)"', part)) for part in parts]
    assert ids[0]
    assert not ids[0] & ids[1]
    for part, own in zip(parts, ids, strict=True):
        used = set(re.findall(r'(?:url\(#|href="#)([^")]+)', part))
        assert used
        assert used <= own
