"""The charts of one run: quality, losses, logits, gradients, speed."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from zerosum.evaluation.measurement import Record, with_arrow
from zerosum.report.figures import Level, Line, chart, pool, smooth, tabulate, thin, wrap
from zerosum.report.html import EMPTY, Markup, details, element, join
from zerosum.report.palette import COLOURS, DASHES
from zerosum.report.run_files import MOST_HISTOGRAMS, Histogram
from zerosum.report.table import finite_values, format_number

MOST_POINTS = 600
"""Of a curve; of a share of it where the page would be too large"""
WINDOW = 4
"""Points on either side that a thick line averages over"""
NOISY = 24
"""Points from which on a curve is drawn as its moving mean over a thin line"""
MOST_CHARTS = 40
MOST_LINES = 14
"""In one chart"""
SIDES = {"real": "training data", "train": "training data", "held_out": "held-out data", "fake": "fakes"}
TITLES = {
    "d_": ("What D says", "mean D(x) = sigmoid(logit)"),
    "logits": ("Mean logit of D", "logit"),
    "overfitting": ("Overfitting of D", "0: none, 1: by heart"),
    "gradient_norm": ("Norm of the gradients", "norm"),
    "learning_rate": ("Learning rates", "learning rate"),
    "regularizer": ("Penalties of D, weighted", "penalty"),
    "generator_regularizer": ("Penalties of G, weighted", "penalty"),
    "accuracy": ("Accuracy of D", "share on the right side of 0"),
    "information": ("Information about each code, lower bound", "nats"),
    "separation": ("How well D tells real from fake", "P(real logit > fake logit)"),
    "squared_gradient": ("Squared gradient of D in its images", "mean squared norm"),
    "squared_gradient_ratio": ("Squared gradient of D on fakes over that on real images", "ratio"),
    "gamma": ("Weight of R1 and R2", "gamma"),
    "update_ratio": ("Step over size of the weights", "ratio"),
    "singular_value": ("Greatest singular values", "singular value"),
    "share": ("Where the time goes", "share"),
    "memory": ("Memory", "memory"),
    "nearest": ("Distance of samples to the nearest real image", "distance in feature space"),
    "class_share": ("Classes of the samples", "share"),
    "diversity": ("Diversity of the samples", "diversity"),
    "images_per_second": ("Speed of training, without evaluation", "images per second"),
}
"""Title and vertical axis of charts whose names people know"""
NAMES = {"d_real": "D(x), real", "d_fake": "D(G(z)), fake"}
FACTORS = ("gradient_norm", "update_ratio", "singular_value", "squared_gradient", "learning_rate")
"""Kinds that are read by factors: a logarithmic axis where they span some"""
ALONE = ("logits/greatest", "overfitting/gap")
"""Curves on another scale than those of their kind"""
ALWAYS = ("d_", "logits", "overfitting", "gradient_norm", "nearest", "class_share", "images_per_second", "share")
"""Charts that stand in the open; the others unfold"""


def draw_quality(record: Record, better: Mapping[str, str], share: float = 1.0, plural: str = "images") -> list[Markup]:
    """A chart of each value that was measured, with its floor."""
    names = list(dict.fromkeys(name for entry in record.history for name in entry.values))
    charts = [draw_value(record, name, better, share, plural) for name in names[:MOST_CHARTS]]
    return [drawn for drawn in (*charts, name_left_out(names[MOST_CHARTS:])) if drawn is not None]


def draw_value(
    record: Record, name: str, better: Mapping[str, str], share: float = 1.0, plural: str = "images"
) -> Markup | None:
    """One value over training; None if it was never a finite number."""
    points = {
        entry.images: finite[0] for entry in record.history if (finite := finite_values([entry.values.get(name)]))
    }
    chosen = thin(list(points), count_points(share))
    line = Line(name, [float(images) for images in chosen], [points[images] for images in chosen])
    line = replace(line, markers=len(chosen) <= 40)
    floor = (record.floor or {}).get(name)
    levels = [Level(f"floor: real {plural} in place of samples", floor)] if finite_values([floor]) and floor else []
    way = f"{better[name]} is better" if name in better else None
    return chart(with_arrow(name, better), seen(plural), name, [line], levels, way, positive=True)


def seen(plural: str) -> str:
    """The axis of what was seen in training."""
    return f"real {plural} seen"


def count_points(share: float) -> int:
    """How many points a curve may have in a page with `share` of its usual size."""
    return max(2, round(share * MOST_POINTS))


def draw_losses(
    curves: Mapping[str, Line], equilibrium: Mapping[str, float], share: float = 1.0, plural: str = "images"
) -> Markup | None:
    """The losses without penalties, and where each lies when the discriminator cannot tell real from fake."""
    lines, levels = [], []
    for name, curve in curves.items():
        if not (player := re.fullmatch(r"game/loss_(\w+)", name)):
            continue
        kind = "generator_regularizer" if player[1] == "generator" else "regularizer"
        penalties = [other for key, other in curves.items() if key.startswith(f"game/{kind}/")]
        symbol = {"discriminator": "J_D, discriminator", "generator": "J_G, generator"}.get(player[1], player[1])
        lines.append(Line(symbol, curve.x, subtract(curve, penalties)))
        level = equilibrium.get(f"loss_{player[1]}")
        if level is not None:
            levels.append(Level(f"{symbol.partition(',')[0]} if D cannot tell", level))
    note = "Without penalties. Gray: the value where fakes equal real ones and D is the best it can be."
    return chart(
        "Losses", seen(plural), "loss", averaged(lines, share), levels, note if levels else "Without penalties."
    )


def subtract(curve: Line, others: Iterable[Line]) -> list[float]:
    """The curve less the others where they have a point."""
    columns = [dict(zip(other.x, other.y, strict=True)) for other in others]
    return [y - sum(column.get(x, 0.0) for column in columns) for x, y in zip(curve.x, curve.y, strict=True)]


def averaged(lines: Iterable[Line], share: float = 1.0) -> list[Line]:
    """Noisy lines as their moving means over thin ones."""
    drawn = []
    for line in list(lines)[:MOST_LINES]:
        points = pool(line, count_points(share))
        if len(points.y) < NOISY:
            drawn.append(replace(points, markers=True))
            continue
        drawn += [smooth(points, WINDOW), Line(line.name, points.x, points.y, faint=True)]
    return [replace(line, y=[round_number(value) for value in line.y]) for line in drawn]


def draw_curves(curves: Mapping[str, Line], section: str, share: float = 1.0, plural: str = "images") -> Markup:
    """Every other curve of a section of metrics.csv, those of one kind in one chart; rarely needed ones unfold."""
    kinds: dict[str, list[Line]] = {}
    for name, curve in curves.items():
        first, _, rest = name.partition("/")
        if first == section and rest and not rest.startswith("loss_"):
            kind = "d_" if rest in NAMES else rest if rest in ALONE else rest.rpartition("/")[0] or rest
            kinds.setdefault(kind, []).append(rename(curve, rest))
    shown: list[Markup] = []
    folded: list[Markup] = []
    for kind, lines in list(kinds.items())[:MOST_CHARTS]:
        title, axis = TITLES.get(kind, (kind.replace("_", " ").replace("/", ", "), kind.rpartition("/")[2]))
        note = f"{len(lines) - MOST_LINES} more lines are left out." if len(lines) > MOST_LINES else None
        title, axis = title[:100].replace("images", plural), axis[:60].replace("images", plural)
        drawn = chart(title, seen(plural), axis, averaged(lines, share), note=note, positive=kind in FACTORS)
        if drawn is not None:
            (shown if kind in ALWAYS else folded).append(drawn)
    more = details("More curves", element("div", *folded, class_="charts")) if folded else EMPTY
    left_out = name_left_out([f"{section}/{kind}" for kind in list(kinds)[MOST_CHARTS:]])
    return join(element("div", *shown, class_="charts") if shown else None, more, left_out)


def name_left_out(names: list[str]) -> Markup | None:
    """The charts beyond MOST_CHARTS, the first of them by name; None if there are none."""
    if not names:
        return None
    known = ", ".join(name[:100] for name in names[:MOST_CHARTS])
    return element("p", f"{len(names)} more charts are left out: {known}{' ...' * (len(names) > MOST_CHARTS)}")


def rename(curve: Line, rest: str) -> Line:
    """The curve under the last part of its name, or the one that people know."""
    last = rest.rpartition("/")[2]
    known = SIDES if rest.startswith("logits/") else NAMES
    return Line(known.get(last, last)[:100], curve.x, curve.y)


def draw_histograms(histograms: list[Histogram], share: float = 1.0) -> Markup | None:
    """D's logits on real, held-out and fake images, one evaluation at a time; None if there are none."""
    most = max(2, round(share * MOST_HISTOGRAMS))
    histograms = thin([each for each in histograms if any(map(sum, each.counts.values()))], most)
    if not histograms:
        return None
    frames = [{"name": f"{each.images:,}", "data": draw_histogram(each)} for each in histograms]
    layout = {"xaxis": {"title": {"text": "logit of D"}}, "yaxis": {"title": {"text": "share per unit of logit"}}}
    ends = histograms[:1] + histograms[1:][-1:]
    text = " ".join(map(describe_histogram, ends))
    last = histograms[-1]
    middles = [(low + high) / 2 for low, high in zip(last.edges, last.edges[1:], strict=False)]
    lines = [Line(SIDES[side], middles, counts) for side, counts in last.counts.items()]
    figure: dict[str, Any] = {"frames": frames, "layout": layout}
    note = "Held-out data apart from training data: D knows the latter by heart. The slider goes through time."
    title = "Logits of D"
    return wrap(title, figure, f"{title}. {text}", tabulate(f"{title}, last", "logit", lines), note)


def draw_histogram(histogram: Histogram) -> list[dict[str, Any]]:
    """Steps of each side, so that its area is 1."""
    traces = []
    for index, (side, counts) in enumerate(histogram.counts.items()):
        total = sum(counts)
        widths = [high - low for low, high in zip(histogram.edges, histogram.edges[1:], strict=False)]
        shares = [count / total / width if total else 0.0 for count, width in zip(counts, widths, strict=True)]
        colour = COLOURS[("real", "held_out", "fake").index(side)]
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": SIDES[side],
                "x": [round_number(edge) for edge in histogram.edges],
                "y": [round_number(share) for share in [*shares, shares[-1]]],
                "line": {"color": colour, "width": 2, "shape": "hv", "dash": DASHES[index % len(DASHES)]},
                "fill": "tozeroy" if side != "held_out" else "none",
            }
        )
    return traces


def describe_histogram(histogram: Histogram) -> str:
    """The mean logit of each side in words."""
    middles = [(low + high) / 2 for low, high in zip(histogram.edges, histogram.edges[1:], strict=False)]
    means = [
        f"{SIDES[side]} {format_number(sum(m * c for m, c in zip(middles, counts, strict=True)) / sum(counts))}"
        for side, counts in histogram.counts.items()
        if sum(counts)
    ]
    return f"Mean logit at {histogram.images:,}: {', '.join(means)}."


def round_number(value: float) -> float:
    """Five significant digits: charts show no more, and files stay small."""
    return float(f"{value:.5g}")
