"""The report's figures of losses, audits, properties and classes; see ``canvas`` for how they are drawn."""

# The stubs of pandas and matplotlib know less than the tests, which check these types as they run.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportOptionalMemberAccess=false, reportReturnType=false

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.stats import spearmanr
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from sciformer.evaluation import proportion
from sciformer.report.canvas import CYCLE, DASHES, PARTS, STYLE, Plot, axes, finished, plain, points, sample
from sciformer.report.svg import BLUE, INK, MUTED, VERMILLION
from sciformer.report.words import number

MAX_CURVES = len(CYCLE)
"""One-vs-rest curves of more classes than this cannot be told apart."""


@mpl.rc_context(STYLE)
def learning_curves(name: str, metrics: pd.DataFrame, best_is_used: bool, counted: str = "record") -> Plot:
    """Training and validation loss by epoch, one pair of lines per ensemble member, with the epoch whose
    weights are used marked: the best one or the last.

    The loss of a density is a negative logarithm and may fall below 0, hence the linear scale."""
    ax = axes("epoch", f"loss (mean per {counted})", size=(4.6, 3.0))
    best, used, several = [], [], metrics["member"].nunique() > 1
    for i, (member, rows) in enumerate(metrics.groupby("member", sort=True)):
        rows = rows[np.isfinite(rows["epoch"])]
        for column, label in (("train_loss", "training"), ("validation_loss", "validation")):
            colour, dash = PARTS[label]
            known = rows[np.isfinite(rows[column])]
            marker = "." if len(known) == 1 else ""
            ax.plot(known["epoch"], known[column], dash, color=colour, marker=marker, label=None if i else label)
            if column == "validation_loss" and len(known):
                low = known.iloc[int(known[column].argmin())]
                taken = low if best_is_used else known.iloc[-1]
                used_label = None if i else "weights used"
                ax.plot(taken["epoch"], taken[column], "D", color=colour, markersize=6, label=used_label, zorder=3)
                who = f"member {member}: " if several else ""
                used.append(f"{who}{number(float(taken[column]))} at epoch {taken['epoch']:.0f}")
                if low["epoch"] != taken["epoch"]:
                    best.append(f"{who}{number(float(low[column]))} at epoch {low['epoch']:.0f}")
    last = metrics["epoch"].max()
    if np.isfinite(last):
        _whole_epochs(ax, last)
    ax.legend()
    if not used:
        return finished(name, ax, "Loss by epoch", "No validation loss was recorded; the last weights are used.")
    kind = "best" if best_is_used else "last"
    told = f"The {kind} weights are used; their validation loss: {'; '.join(used)}."
    return finished(name, ax, "Loss by epoch", f"{told} The lowest: {'; '.join(best)}." if best else told)


def _whole_epochs(ax: Axes, last: float) -> None:
    """Ticks at whole epochs only, however few there are."""
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1))
    if last < 4:
        ax.set_xlim(0.5, last + 0.5)
        ax.set_xticks(np.arange(1, int(last) + 1))


@mpl.rc_context(STYLE)
def histogram(
    name: str, title: str, values: Float[np.ndarray, " n"], xlabel: str, caption: str, counted: str = "record"
) -> Plot:
    """Distribution of ``values`` (finite ones) with the median marked."""
    values = values[np.isfinite(values)]
    ax = axes(xlabel, f"{counted}s")
    edges = np.histogram_bin_edges(values, bins=min(30, 5 + int(np.sqrt(len(values)))))
    median = float(np.median(values))
    ax.axvline(median, color=VERMILLION, linestyle="--")
    return _bars(name, title, ax, np.histogram(values, edges)[0], edges, f"Median {number(median)} (dashed). {caption}")


@mpl.rc_context(STYLE)
def binned(
    name: str,
    title: str,
    counts: Sequence[float | int],
    edges: Sequence[float | int],
    xlabel: str,
    caption: str,
) -> Plot:
    """A histogram that was counted elsewhere."""
    return _bars(name, title, axes(xlabel, "records"), np.asarray(counts), np.asarray(edges, float), caption)


@mpl.rc_context(STYLE)
def set_sizes(name: str, sizes: Int[np.ndarray, " n"], classes: int, counted: str = "record") -> Plot:
    """How many classes the prediction sets hold: 1 is a clear answer, all classes is no answer."""
    ax = axes("classes in the prediction set", f"{counted}s")
    counts = np.bincount(sizes, minlength=classes + 1)
    bars = ax.bar(np.arange(len(counts)), counts, width=0.7, color=BLUE)
    ax.bar_label(bars, padding=2, color=INK, fontsize=8.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="x", visible=False)
    alone = counts[1] / max(1, counts.sum())
    caption = f"{counts[1]} of {counts.sum()} sets ({100 * alone:.0f} %) hold exactly one class, a clear answer. "
    caption += f"{counts[classes]} hold every class: no answer. " if classes > 1 and counts[classes] else ""
    caption += f"{counts[0]} are empty: no class fits well. " if counts[0] else ""
    return finished(name, ax, "Size of prediction sets", caption.strip())


@mpl.rc_context(STYLE)
def parity(
    name: str,
    label: str,
    truth: Float[np.ndarray, " n"],
    prediction: Float[np.ndarray, " n"],
    lower: Float[np.ndarray, " n"],
    upper: Float[np.ndarray, " n"],
    limit: int,
    counted: str = "record",
) -> Plot:
    """Prediction against truth with prediction intervals; records outside theirs are marked."""
    shown, note = sample(len(truth), limit, counted)
    truth, prediction, lower, upper = truth[shown], prediction[shown], lower[shown], upper[shown]
    outside = (truth < lower) | (truth > upper)  # False where there is no interval
    ax = axes(f"true {label}", f"predicted {label}")
    bounded = np.isfinite(lower) & np.isfinite(upper)
    gap = np.full(int(bounded.sum()), np.nan)  # NaN breaks the line: all intervals are one small SVG path
    ax.plot(
        np.stack([truth[bounded], truth[bounded], gap], 1).ravel(),
        np.stack([lower[bounded], upper[bounded], gap], 1).ravel(),
        color=BLUE,
        alpha=0.25,
        linewidth=1,
        zorder=2,
    )
    ends = [min(truth.min(), prediction.min()), max(truth.max(), prediction.max())]
    ax.plot(ends, ends, color=MUTED, linewidth=1, zorder=1)
    points(
        ax,
        truth[~outside],
        prediction[~outside],
        BLUE,
        "o",
        "inside its interval" if bounded.any() else counted,
    )
    if outside.any():
        points(ax, truth[outside], prediction[outside], VERMILLION, "D", "outside")
    ax.legend(loc="upper left", handletextpad=0.2, borderaxespad=0)
    told = (
        "Bars are the prediction intervals; the line is perfect agreement."
        if bounded.any()
        else ("The line is perfect agreement; there are no finite prediction intervals to draw.")
    )
    return finished(name, ax, "Predicted against true", told + note)


@mpl.rc_context(STYLE)
def error_by_scale(
    name: str,
    unit: str,
    error: Float[np.ndarray, " n"],
    scale: Float[np.ndarray, " n"],
    limit: int,
    counted: str = "record",
) -> Plot:
    """Absolute error against predicted standard deviation, and the RMSE in groups of equal size.

    Where the uncertainty is right, the RMSE of a group equals its root mean variance (Levi et al., 2022,
    Evaluating and calibrating uncertainty prediction in regression tasks, Sensors 22, 5540)."""
    shown, note = sample(len(error), limit, counted)
    bracket = f" [{unit}]" if unit else ""
    ax = axes(f"predicted standard deviation{bracket}", f"absolute error{bracket}")
    points(ax, scale[shown], error[shown], BLUE, "o", counted, alpha=0.35)
    groups = [g for g in np.array_split(np.argsort(scale), max(1, min(8, len(error) // 12))) if len(g)]
    rms = np.array([[np.sqrt(np.mean(np.square(x[g]))) for g in groups] for x in (scale, error)])
    ax.plot(*rms, "s-", color=VERMILLION, markersize=5, label="RMSE of a group")
    ends = [float(scale.min()), float(scale.max())]
    ax.plot(ends, ends, color=MUTED, linewidth=1, label="RMSE expected")
    ax.set_ylim(bottom=0)
    ax.legend(loc="upper left", borderaxespad=0)
    told = f"The scale is the same for every {counted}, so it cannot rank them."
    if np.ptp(scale) > 0:
        rank = spearmanr(scale, error)[0] if np.ptp(error) > 0 else 0.0
        rho = number(float(rank))
        told = f"Rank correlation of error and uncertainty (Spearman): {rho}; 0 means that it ranks nothing."
    return finished(name, ax, "Error against predicted uncertainty", told + note)


@mpl.rc_context(STYLE)
def roc(name: str, positives: Mapping[str, tuple[Bool[np.ndarray, " n"], Float[np.ndarray, " n"]]]) -> Plot:
    """ROC curve per class from (is it this class, its probability)."""
    ax = axes("false positive rate", "true positive rate")
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=1)
    for (label, (is_class, p)), colour, dash in zip(positives.items(), CYCLE, DASHES, strict=False):
        false_positive, true_positive, _ = roc_curve(is_class, p)
        area = roc_auc_score(is_class, p)
        ax.plot(
            false_positive,
            true_positive,
            color=colour,
            linestyle=dash,
            label=f"class {plain(label, 24)}: {area:.3f}",
        )
    ax.legend(loc="lower right", title="area under the curve", title_fontsize=8.5)
    return finished(name, ax, "ROC curve", "The diagonal is guessing.")


@mpl.rc_context(STYLE)
def precision_recall(
    name: str, positives: Mapping[str, tuple[Bool[np.ndarray, " n"], Float[np.ndarray, " n"]]]
) -> Plot:
    """Precision against recall per class; a dotted line at the share of the class, which guessing reaches."""
    ax = axes("recall", "precision")
    for (label, (is_class, p)), colour, dash in zip(positives.items(), CYCLE, DASHES, strict=False):
        precision, recall, _ = precision_recall_curve(is_class, p, drop_intermediate=True)
        area = average_precision_score(is_class, p)
        ax.plot(
            recall,
            precision,
            color=colour,
            linestyle=dash,
            drawstyle="steps-pre",
            label=f"class {plain(label, 24)}: {area:.3f}",
        )
        ax.axhline(float(is_class.mean()), color=colour, linewidth=0.9, linestyle=":")
    ax.set_ylim(0, 1.03)
    ax.legend(loc="best", title="average precision", title_fontsize=8.5)
    return finished(name, ax, "Precision and recall", "Dotted lines: share of the class, which guessing reaches.")


@mpl.rc_context(STYLE)
def reliability(
    name: str, happened: Bool[np.ndarray, " n"], p: Float[np.ndarray, " n"], what: str, counted: str = "record"
) -> Plot:
    """Observed share against predicted probability in ten bins with 95 % intervals, above the counts of the bins."""
    share, mean = calibration_curve(happened, p, n_bins=10)
    bins = np.bincount(np.searchsorted(np.linspace(0, 1, 11)[1:-1], p), minlength=10)
    counts = bins[bins > 0]  # the curve leaves out empty bins
    hits = np.rint(share * counts).astype(int)
    bounds = np.array([proportion(int(k), int(n))[1:] for k, n in zip(hits, counts, strict=True)]).T
    figure = Figure(figsize=(4.0, 3.2), layout="constrained")
    ax, below = figure.subplots(2, sharex=True, height_ratios=[3.4, 1])
    ax.set_ylabel("observed share")
    ax.plot([0, 1], [0, 1], color=MUTED, linewidth=1)
    ax.vlines(mean, *bounds, color=BLUE, alpha=0.4, linewidth=1.2)
    ax.plot(mean, share, "o", color=BLUE, markersize=5)
    ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    columns = below.bar((np.arange(10) + 0.5) / 10, bins, width=0.085, color=BLUE, alpha=0.75)
    below.bar_label(columns, [str(n) if n else "" for n in bins], padding=1, color=INK, fontsize=7.5)
    below.set(ylim=(0, 1.45 * max(1, bins.max())), yticks=[], ylabel=f"{counted}s")
    below.set_xlabel(textwrap.fill(plain(f"predicted probability of {what}", 90), 44))
    below.grid(visible=False)
    told = f"On the diagonal, all is right; lines are 95 % binomial intervals, columns the {counted}s of each bin."
    return finished(name, ax, "Reliability", told)


def _bars(name: str, title: str, ax: Axes, counts: np.ndarray, edges: np.ndarray, caption: str) -> Plot:
    ax.stairs(counts, edges, fill=True, color=BLUE, alpha=0.75)
    ax.grid(axis="x", visible=False)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    return finished(name, ax, title, caption)
