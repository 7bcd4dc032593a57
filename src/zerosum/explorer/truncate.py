"""What truncation costs and gives: Frechet distance, precision and recall against it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from zerosum.drawing.grid import add_heading, grid, save_png
from zerosum.evaluation.protocol import EvaluationProtocol
from zerosum.explorer.options import check_truncate
from zerosum.explorer.subject import Found, Subject, check_images
from zerosum.files import save_whole
from zerosum.report.palette import COLOURS, LOG_RATIO
from zerosum.runs.load import load_protocol
from zerosum.runs.trained import TrainedModel

METRICS = {
    "fid": {"_target_": "zerosum.evaluation.distribution_metrics.FID"},
    "precision_recall": {"_target_": "zerosum.evaluation.neighbour_metrics.PrecisionRecall"},
}


class Truncated:
    """A trained model whose codes are pulled towards their mean."""

    def __init__(self, model: TrainedModel, truncation: float) -> None:
        self.model = model
        self.truncation = truncation
        self.conditions = model.conditions

    def sample(self, seeds: Sequence[int], condition: Tensor | None = None) -> Tensor:
        """(len(seeds), C, H, W) in [-1, 1]."""
        return torch.as_tensor(self.model.sample(seeds, condition, truncation=self.truncation))


class Truncate:
    """Measures `count` samples at each of the truncations by the run's protocol, with precision and recall.

    Truncation trades variety (recall) for typical images (precision); 1 is the model as it is.
    """

    def __init__(self, values: Sequence[float] = (0.2, 0.4, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1), count: int = 5000) -> None:
        check_truncate(values, count)
        self.values = sorted(set(values))
        self.count = count

    def __call__(self, subject: Subject) -> Found:
        """Write truncate.png, samples at each truncation, and truncate_curve.png."""
        check_images(subject.model)
        dataset = subject.dataset
        protocol: Any = load_protocol(subject.run, {"metrics": METRICS}, subject.root, subject.trusted)
        protocol.n_fake = self.count
        rows = {value: self.measure(subject.model, protocol, value) for value in self.values}
        floor = protocol.floor() or {}
        sheet, chart = subject.folder / "truncate.png", subject.folder / "truncate_curve.png"
        save_png(self.draw(subject.model), sheet)
        save_chart(rows, floor, chart, f"{self.count:,} samples, {dataset.name}, {protocol.features.name} features")
        values = {"protocol": protocol.card(), "floor": floor, "values": {f"{v:g}": row for v, row in rows.items()}}
        lines = [f"truncation {value:g}: {say(row)}" for value, row in rows.items()]
        return Found(values, [*lines, f"floor: {say(floor)}"], [sheet, chart])

    def measure(self, model: TrainedModel, protocol: EvaluationProtocol, truncation: float) -> dict[str, float]:
        """Values of the protocol."""
        return protocol.measure(Truncated(model, truncation))  # type: ignore[arg-type]

    def draw(self, model: TrainedModel) -> Any:
        """One row a seed, one column a truncation."""
        seeds = range(6)
        condition = model.draw_condition(seeds)
        columns = [torch.as_tensor(model.sample(seeds, condition, truncation=value)) for value in self.values]
        images = torch.stack(columns, 1).flatten(0, 1)
        return add_heading(grid(images, len(self.values)), [f"{value:g}" for value in self.values], "truncation")


def say(values: dict[str, float]) -> str:
    """'fid 3.1, precision 0.8'."""
    return ", ".join(f"{name} {value:.3g}" for name, value in values.items())


def save_chart(rows: dict[float, dict[str, float]], floor: dict[str, float], path: Path, title: str) -> None:
    """FID on the left; precision and recall on the right."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    values = list(rows)
    panels = {left: ("fid",), right: ("precision", "recall")}
    for axes, names in panels.items():
        for name, colour, marker in zip(names, COLOURS, "os", strict=False):
            axes.plot(values, [rows[value][name] for value in values], marker=marker, color=colour, label=name)
            if name in floor:
                axes.axhline(floor[name], color=colour, linestyle=":", linewidth=1, label=f"{name}: floor, real images")
        axes.set(xlabel="truncation; 1 is the model as it is")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    distances = [row["fid"] for row in rows.values()]
    is_wide = min(distances) > 0 and max(distances) > LOG_RATIO * min(distances)
    left.set(ylabel="Frechet distance", **({"yscale": "log"} if is_wide else {"ylim": (0, None)}))
    right.set(ylabel="share", ylim=(0, 1.02))
    figure.suptitle(title, fontsize=10)
    save_whole(path, lambda partial: FigureCanvasAgg(figure).print_png(str(partial)))
