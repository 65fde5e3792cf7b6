"""Drawings of proteins: what was read of a sequence, the effects of substitutions, answers along the chain, and which
residues look at each other."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from sciformer import svg
from sciformer.adapter import Record
from sciformer.domains.protein import tokenizer
from sciformer.domains.protein.chains import Chains, changes
from sciformer.domains.protein.tokenizer import Layout
from sciformer.tokens import Target

BLUE, VERMILLION, INK, MUTED, GRID, UNKNOWN = "#0072b2", "#d55e00", "#1b1f24", "#6a737d", "#d8dde3", "#eceff2"
CLASSES = ("#e69f00", "#56b4e9", "#cc79a7", "#009e73", "#f0e442", "#0072b2", "#d55e00", "#999999")
"""All of Okabe & Ito (2008): told apart with and without colour vision."""
FAINT, STRONG = np.array([1.0, 0.97, 0.9]), np.array([0.902, 0.624, 0.0])
"""One hue of growing strength for attention."""
LETTERS = "GAVLIMPFWYCSTNQHKRDE"
"""Amino acids from small and greasy to charged: like effects are neighbours."""
LINE, LINES = 30, 10
"""Residues in a line of a sequence, and lines that are drawn: cards are small."""
SITES, RESIDUES = 60, 100
"""In a row of a map of effects, and of a track along the chain."""
LISTED = 15
"""Substitutions of a variant that are listed."""
NEAR, SHORTEST, LONGEST = 6, 20, 300
"""Residues that are near along the chain, which look at each other anyway; lengths of a map of contacts."""
FLAT = 0.2
"""How far above an even share, relative to it, the largest weight must be for any shade."""
SMALL, TEXT = 7.5, 8.5
"""Sizes of letters in points."""
LEFT = 0.55
"""Inches left of every panel."""


def depict(record: Record, layout: Layout, weights: Sequence[float] | None = None) -> str | None:
    """The residues, the more shaded the more than an even share among them of ``weights`` (one per token) they have;
    of a variant that is read by its substitutions, the weight of each. Residues that differ from the wild type are red.
    Of a long sequence only the lines of the largest weight are drawn. None for an unreadable record.

    Raises ``ValueError`` when the number of weights is not that of the tokens.
    """
    if record.data is None:
        return None
    names = tokenizer.names(record.data, layout)
    if weights is not None and len(weights) != len(names):
        raise ValueError(
            f"record {record.key!r} needs a weight for each of its {len(names)} tokens, got {len(weights)}"
        )
    shades = np.zeros(len(names)) if weights is None else np.nan_to_num(np.asarray(weights, np.float64)).clip(min=0)
    if layout.wild_type and layout.substitutions:
        return svg.element(_listed(names, shades, weights is not None), record.key)
    return svg.element(_sequence(record.data, layout, shades), record.key)


def _listed(names: Sequence[str], weights: np.ndarray, told: bool) -> Any:
    """A bar for each token, the heaviest first where not all have room."""
    from matplotlib.figure import Figure

    chosen = sorted(np.argsort(-weights, kind="stable").tolist()[:LISTED])
    figure = Figure(figsize=(3.4, 0.5 + 0.24 * len(chosen)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(np.arange(len(chosen)), weights[chosen], height=0.6, color=STRONG)
    axes.set_yticks(np.arange(len(chosen)), [str(names[i]) for i in chosen], fontsize=TEXT)
    axes.invert_yaxis()
    left = len(names) - len(chosen)
    also = f"; {left} more tokens left out" if left else ""
    axes.set_xlabel(("share of the attention" if told else "substitutions") + also, fontsize=SMALL)
    axes.tick_params(axis="x", labelsize=SMALL)
    _plain(axes)
    return figure


def _sequence(chains: Chains, layout: Layout, weights: np.ndarray) -> Any:
    """Lines of residues; what the shade means, and the weights of ``<start>`` and ``<end>``, are told below."""
    even, largest = weights[1:-1].mean(), weights[1:-1].max()
    room = largest - even if largest > (1 + FLAT) * even else np.inf
    shades = ((weights[1:-1] - even) / room).clip(min=0)
    lines = _slices(len(chains), LINE)
    heaviest = sorted(lines, key=lambda line: -weights[1:-1][line].sum())[:LINES]
    shown = [line for line in lines if line in heaviest]
    red = set(changes(chains.residues, layout.wild_type)) if len(layout.wild_type) == len(chains) else set()
    cell = 0.125
    panels = _panels([LINE] * len(shown), cell, 0.17, gap=0.1, head=0.05, foot=0.4)
    for axes, line in zip(panels, shown, strict=True):
        places = range(len(chains))[line]
        colours = [FAINT + shades[i] * (STRONG - FAINT) if shades[i] > 0 else (1.0, 1.0, 1.0) for i in places]
        axes.imshow([colours], aspect="auto", extent=(-0.5, len(places) - 0.5, 0, 1), interpolation="none")
        for x, i in enumerate(places):
            style = {"color": VERMILLION, "fontweight": "bold"} if i in red else {"color": INK}
            axes.text(x, 0.45, chains.residues[i], ha="center", va="center", fontsize=8, **style)
        axes.set(xlim=(-0.5, LINE - 0.5), ylim=(0, 1))
        axes.text(-1.2, 0.45, chains.called[places[0]], ha="right", va="center", fontsize=SMALL, color=MUTED)
        axes.axis("off")
    told = [f"{len(shown)} of {len(lines)} lines, those read most"] if len(shown) < len(lines) else []
    if even > 0:
        most = "up to" if np.isfinite(room) else "none: at most"
        told.insert(0, f"shaded: more than an even share among residues ({most} {largest / even:.1f} times)")
    if weights.sum() > 0:
        told.append(f"<start> has {weights[0] / weights.sum():.0%}, <end> {weights[-1] / weights.sum():.0%}")
    figure = panels[0].figure
    figure.text(0.02, 0.03, "\n".join([*told[:1], "; ".join(told[1:])]), fontsize=SMALL, color=MUTED)
    return figure


def depict_changes(effects: pd.DataFrame) -> str:
    """A map of sites (``M1``, the rows of ``effects``) by amino acids, blue below and red above no change, with a dot
    where the residue is that of the record itself."""
    sites = [str(site) for site in effects.index]
    values = effects.reindex(columns=list(LETTERS), fill_value=0.0).to_numpy(float)
    most = float(np.abs(values).max()) or 1.0
    rows = _slices(len(sites), SITES)
    cell = 0.14 if len(sites) > SITES // 2 else 0.26
    panels = _panels([len(sites[row]) for row in rows], cell, 20 * 0.135, gap=0.55, head=0.75)
    for axes, row in zip(panels, rows, strict=True):
        drawn = axes.imshow(
            values[row].T, cmap=_diverging(), vmin=-most, vmax=most, aspect="auto", interpolation="none"
        )
        letters = [site.rpartition(":")[2][0] for site in sites[row]]
        own = [(x, LETTERS.index(letter)) for x, letter in enumerate(letters) if letter in LETTERS]
        axes.plot(*np.array(own).reshape(-1, 2).T, ".", color=INK, markersize=4)
        axes.set_xticks(range(len(sites[row])), sites[row], rotation=90, fontsize=SMALL)
        axes.set_yticks(range(len(LETTERS)), list(LETTERS), fontsize=SMALL)
        axes.tick_params(length=2)
    unit = f" [{effects.attrs['unit']}]" if effects.attrs.get("unit") else ""
    _colour_bar(panels[0].figure, drawn, f"change of {effects.attrs.get('target', 'the answer')}{unit}")
    return svg.element(panels[0].figure, "changes")


def depict_parts(record: Record, target: Target, answers: pd.DataFrame) -> str | None:
    """Truth and prediction along the chain; None where nothing is known. ``answers`` is explained in
    ``DomainAdapter.depict_parts``."""
    if answers["truth"].isna().all():
        return None
    panels = _classes(target, answers) if target.classes else _numbers(target, answers)
    for axes, row in zip(panels, _slices(len(answers), RESIDUES), strict=True):
        called = answers["position"].tolist()[row]
        ticks = range(9, len(called), 10) if len(called) > 9 else range(len(called))
        axes.set_xticks(list(ticks), [called[i] for i in ticks], fontsize=SMALL)
        _plain(axes)
    return svg.element(panels[0].figure, f"{record.key} {target.name}")


def _classes(target: Target, answers: pd.DataFrame) -> list[Any]:
    """Bars of truth and prediction, and below them a mark wherever they disagree."""
    from matplotlib.patches import Patch

    rows = _slices(len(answers), RESIDUES)
    panels = _panels([r.stop - r.start for r in rows], 0.08, 0.5, gap=0.35, head=0.35)
    colours = {label: CLASSES[i % len(CLASSES)] for i, label in enumerate(target.classes)}
    for axes, row in zip(panels, rows, strict=True):
        part = answers.iloc[row]
        truth, said = part["truth"].tolist(), part["prediction"].tolist()
        for y, labels in ((2, truth), (1, said)):
            _bars(axes, labels, y, colours)
        wrong = [x for x, (a, b) in enumerate(zip(truth, said, strict=True)) if a in colours and a != b]
        axes.plot(wrong, np.full(len(wrong), 0.45), "|", color=INK, markersize=5, markeredgewidth=1.6)
        axes.set_ylim(0, 3)
        axes.set_yticks([2.5, 1.5, 0.45], ["true", "predicted", "wrong"], fontsize=SMALL)
        axes.tick_params(axis="y", length=0)
    keys = [Patch(color=colour, label=label) for label, colour in colours.items()]
    _legend(panels[0].figure, [*keys, Patch(color=UNKNOWN, label="unknown")])
    return panels


def _bars(axes: Any, labels: Sequence[Any], y: int, colours: dict[str, str]) -> None:
    """A bar for every run of equal labels, named where a letter has room."""
    ends = [i for i in range(1, len(labels) + 1) if i == len(labels) or labels[i] != labels[i - 1]]
    for start, end in zip([0, *ends], ends, strict=False):
        label = labels[start]
        axes.barh(y + 0.5, end - start, left=start - 0.5, height=0.86, color=colours.get(label, UNKNOWN), linewidth=0)
        if label in colours and len(label) == 1 and end - start > 1:
            axes.text((start + end - 1) / 2, y + 0.47, label, ha="center", va="center", fontsize=SMALL, color=INK)


def _numbers(target: Target, answers: pd.DataFrame) -> list[Any]:
    """Lines of truth and prediction in its interval; truths outside it are marked."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    rows = _slices(len(answers), RESIDUES)
    panels = _panels([r.stop - r.start for r in rows], 0.08, 0.95, gap=0.35, head=0.35)
    table = answers[["truth", "prediction", "lower", "upper"]].astype(float)
    shown = table[["truth", "prediction"]].to_numpy()
    low, high = np.nanmin(shown), np.nanmax(shown)
    margin = 0.25 * ((high - low) or 1.0)
    for axes, row in zip(panels, rows, strict=True):
        truth, said, lower, upper = table.iloc[row].to_numpy().T
        x = np.arange(len(truth))
        axes.fill_between(x, lower, upper, color=BLUE, alpha=0.16, linewidth=0)
        axes.plot(x, said, color=BLUE, linewidth=1.2)
        axes.plot(x, truth, color=INK, linewidth=0.9, marker=".", markersize=2.5)
        outside = (truth < lower) | (truth > upper)
        axes.plot(x[outside], truth[outside], "D", color=VERMILLION, markersize=3.5)
        axes.set_ylim(low - margin, high + margin)
        axes.tick_params(axis="y", labelsize=SMALL)
    mark = {"linestyle": "", "marker": "D", "markersize": 4}
    keys = [Line2D([], [], color=INK, marker=".", label="true"), Line2D([], [], color=BLUE, label="predicted")]
    keys += [Patch(color=BLUE, alpha=0.16, label="interval"), Line2D([], [], color=VERMILLION, label="outside", **mark)]
    _legend(panels[0].figure, keys)
    return panels


def depict_contacts(contacts: pd.DataFrame) -> str:
    """A map of residues by residues, without those that are near along the chain."""
    from matplotlib.figure import Figure

    values = contacts.to_numpy(float)
    n = len(values)
    apart = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) >= NEAR
    figure = Figure(figsize=(4.1, 3.5), layout="constrained")
    axes = figure.add_subplot()
    most = float(np.quantile(values[apart].clip(min=0), 0.995)) or 1.0
    shown = np.where(apart, values.clip(min=0), np.nan)
    drawn = axes.imshow(shown, cmap="Blues", vmin=0, vmax=most, interpolation="none")
    axes.set_facecolor(UNKNOWN)
    ticks = list(range(9, n, 10 * max(1, n // 100)))
    axes.set_xticks(ticks, [contacts.index[i] for i in ticks], rotation=90, fontsize=SMALL)
    axes.set_yticks(ticks, [contacts.index[i] for i in ticks], fontsize=SMALL)
    bar = figure.colorbar(drawn, shrink=0.8)
    bar.set_ticks([0, most], labels=["as expected", "most"], fontsize=SMALL)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return svg.element(figure, "contacts")


def _slices(n: int, size: int) -> list[slice]:
    """Rows of at most ``size``."""
    return [slice(i, min(i + size, n)) for i in range(0, n, size)]


def _panels(
    lengths: Sequence[int], cell: float, height: float, gap: float, head: float, foot: float = 0.0
) -> list[Any]:
    """Axes one below the other, so many residues long, of which each is ``cell`` inches wide."""
    from matplotlib.figure import Figure

    width = max(LEFT + max(lengths) * cell + 0.1, 3.2)
    total = head + len(lengths) * (height + gap) + foot
    figure = Figure(figsize=(width, total))
    panels = []
    for i, n in enumerate(lengths):
        bottom = total - head - i * (height + gap) - height
        axes = figure.add_axes((LEFT / width, bottom / total, n * cell / width, height / total))
        axes.set_xlim(-0.5, n - 0.5)
        panels.append(axes)
    return panels


def _plain(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _diverging() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("effects", [BLUE, "#ffffff", VERMILLION])


def _colour_bar(figure: Any, drawn: Any, label: str) -> None:
    """Above the first panel."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((LEFT / width, 1 - 0.42 / height, 2.2 / width, 0.1 / height))
    bar = figure.colorbar(drawn, cax=axes, orientation="horizontal")
    bar.ax.tick_params(labelsize=SMALL, length=2)
    bar.ax.set_title(label, fontsize=TEXT, loc="left", pad=3)
    bar.outline.set_visible(False)


def _legend(figure: Any, keys: Sequence[Any]) -> None:
    width, height = figure.get_size_inches()
    place = (LEFT / width, 1 - 0.3 / height)
    style = {"frameon": False, "fontsize": TEXT, "handlelength": 1.2, "columnspacing": 1.2, "handletextpad": 0.4}
    figure.legend(handles=keys, ncols=len(keys), loc="lower left", bbox_to_anchor=place, borderaxespad=0, **style)
