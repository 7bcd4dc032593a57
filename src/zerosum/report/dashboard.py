"""The panels of a W&B workspace for runs of zerosum, in the order in which they are looked at."""

from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["lines", "media", "histogram", "parallel", "importance", "comparison"]


@dataclass(frozen=True)
class Panel:
    """One panel; `names` is a pattern of logged names for lines, else the names themselves."""

    title: str
    names: str = ""
    kind: Kind = "lines"


SECTIONS: dict[str, list[Panel]] = {
    "Game": [
        Panel("Losses", "^game/loss_.*"),
        Panel("D of real and fake", "^game/d_.*"),
        Panel("D's mean logits on training, held-out and fake images", "^game/logits/.*"),
        Panel("D's logits on fake images", "game/logits/fake/histogram", "histogram"),
        Panel("D's logits on held-out images", "game/logits/held_out/histogram", "histogram"),
        Panel("How well real and fake are told apart", "^game/(accuracy|separation|batch_leak).*"),
        Panel("Overfitting of D: r_v and r_t of ADA", "^game/overfitting/.*"),
        Panel("D's mean squared gradient in the images", "^game/squared_gradient/.*"),
        Panel("Norms of gradients", "^game/gradient_norm/.*"),
        Panel("Update over weight", "^game/update_ratio/.*"),
        Panel("Greatest singular value of each layer", "^game/singular_value/.*"),
        Panel("Penalties", "^game/(generator_)?regularizer/.*"),
        Panel("Learning rates", "^game/learning_rate/.*"),
    ],
    "Quality": [
        Panel("FID", "^quality/fid.*"),
        Panel("KID", "^quality/kid.*"),
        Panel("Precision, recall, density, coverage", "^quality/(precision|recall|density|coverage)$"),
        Panel("Modes", "^quality/(modes|mode_|high_quality|classes_missing).*"),
        Panel("Shares of classes", "^quality/class_share/.*"),
        Panel("Diversity of samples over that of the data", "^quality/diversity$"),
        Panel("Distance to the nearest training and held-out image", "^quality/(nearest|nearer|memorization).*"),
        Panel("Everything measured", "^quality/.*"),
    ],
    "Samples": [
        Panel("The same seeds over training", "samples/fixed_seeds", "media"),
        Panel("Film", "samples/training", "media"),
    ],
    "Speed": [
        Panel("Images per second", "^speed/images_per_second$"),
        Panel("Shares of time", "^speed/share/.*"),
        Panel("Memory", "^speed/memory.*"),
    ],
    "Doctor": [Panel("Findings", "^doctor/.*")],
    "Sweep": [
        Panel("Settings and best FID", "seed, gamma, training.batch_size, quality/fid.min", "parallel"),
        Panel("What decides FID", "quality/fid.min", "importance"),
        Panel("Differences between runs", kind="comparison"),
    ],
}


def describe(entity: str, project: str) -> dict[str, Any]:
    """The workspace as plain words: sections, and of each panel its title, kind and names."""
    sections = {
        name: [{"title": panel.title, "kind": panel.kind, "names": panel.names} for panel in panels]
        for name, panels in SECTIONS.items()
    }
    return {"entity": entity, "project": project, "name": "zerosum", "x_axis": "images", "sections": sections}


def make_workspace(entity: str, project: str) -> Any:
    """The workspace as an object of wandb-workspaces, not saved yet."""
    import wandb_workspaces.workspaces as ws

    sections = [
        ws.Section(name=name, panels=[make_panel(panel) for panel in panels], is_open=name in ("Quality", "Samples"))
        for name, panels in SECTIONS.items()
    ]
    settings = ws.WorkspaceSettings(x_axis="images", group_by_prefix="first", max_runs=100)
    return ws.Workspace(entity=entity, project=project, name="zerosum", sections=sections, settings=settings)


def make_panel(panel: Panel) -> Any:
    """One panel as an object of wandb-workspaces."""
    import wandb_workspaces.reports.v2 as wr

    names = panel.names.split(", ")
    if panel.kind == "lines":
        return wr.LinePlot(title=panel.title, x="images", metric_regex=panel.names)
    if panel.kind in ("media", "histogram"):
        return wr.MediaBrowser(title=panel.title, media_keys=names, mode="gallery", gallery_axis="step")
    if panel.kind == "parallel":
        *settings, value = names
        columns = [wr.ParallelCoordinatesPlotColumn(metric=wr.Config(name)) for name in settings]
        best = wr.ParallelCoordinatesPlotColumn(metric=wr.SummaryMetric(value))
        return wr.ParallelCoordinatesPlot(title=panel.title, columns=[*columns, best])
    if panel.kind == "importance":
        return wr.ParameterImportancePlot(with_respect_to=panel.names)
    return wr.RunComparer(diff_only="split")
