"""Train the runs of docs/applications/futures.md that are missing, and write the page and its pictures.

python docs/make_futures.py outputs/futures      # three seeds; or the number of them as one more word
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

import zerosum
from zerosum.data.series import Series
from zerosum.drawing.density import to_picture
from zerosum.drawing.fans import draw_fan
from zerosum.drawing.grid import save_png
from zerosum.evaluation.catch import Catch, best_places
from zerosum.evaluation.futures import ForecastMetric, ForecastScores, FuturesProtocol
from zerosum.evaluation.measurement import read_record
from zerosum.evaluation.series_scores import StrongJudge, WeakJudge
from zerosum.files import save_whole
from zerosum.runs.load import load_dataset

FOLDER = Path(__file__).parent / "applications"
QUIET = ("trainer=cpu", "~callbacks.samples", "~callbacks.report", "~callbacks.weights", "~callbacks.logits")
SERIES = {
    "regime_sines": "sines that may double their frequency",
    "ar2": "AR(2)",
    "sunspots": "sunspots after 1900",
}
MODELS = {
    "gan": ("GAN", ("experiment=application/futures",)),
    "scored": ("no adversary: energy score", ("experiment=application/futures_scored",)),
    "mean": ("no adversary: squared error", ("experiment=application/futures_scored", "model.exponent=2")),
}
COLOURS = {"exact": "#000000", "gan": "#d55e00", "scored": "#0072b2", "mean": "#009e73"}
STEP = 8
JUDGED = 1_000
"""Steps that a judge is trained for"""
PATHS = 100

Values = dict[str, float]
"""Of one forecaster, by name"""
Seeds = list[Values]
"""Those of each seed; of the exact forecaster one"""


def folder_of(runs: Path, series: str, name: str, seed: int) -> Path:
    """Of one run."""
    return runs / f"{series}_{name}_seed{seed}"


def train_missing(runs: Path, seed: int) -> None:
    """Train each model on each series, unless its folder has the last checkpoint."""
    for series in SERIES:
        for name, (_, options) in MODELS.items():
            folder = folder_of(runs, series, name, seed)
            if not (folder / "last.ckpt").exists():
                images = ["run.images=64_000"] if series == "sunspots" else []  # 161 windows are soon learned
                chosen = (*options, f"dataset={series}", *images, *QUIET, f"seed={seed}", f"run.folder={folder}")
                zerosum.train(zerosum.compose(*chosen))


def protocol_of(runs: Path, series: str, judges: bool) -> FuturesProtocol:
    """A thousand pasts; judges only where there are enough windows to train them on."""
    metrics: dict[str, ForecastMetric] = {"forecasts": ForecastScores()}
    if series != "sunspots":
        metrics["catch"] = Catch(STEP)
        if judges:
            metrics |= {"weak": WeakJudge(steps=JUDGED), "strong": StrongJudge(steps=JUDGED)}
    protocol = FuturesProtocol("futures", metrics, pasts=1_000, futures=PATHS)
    protocol.prepare(load_dataset(folder_of(runs, series, "gan", 0)))
    return protocol


def measured(runs: Path, series: str, name: str, seed: int) -> Values:
    """As `measure`, from the file in the run's folder where there is one."""
    path = folder_of(runs, series, name, seed) / "futures.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(measure(runs, series, name, seed), indent=1)
        save_whole(path, lambda partial: partial.write_text(text, encoding="utf-8"))
    found: Values = json.loads(path.read_text(encoding="utf-8"))
    return found


def measure(runs: Path, series: str, name: str, seed: int) -> Values:
    """Values of a last model, or of the exact forecaster; none where there is no such forecaster."""
    # The mean future says nothing of the spread, so nobody need judge its paths.
    protocol = protocol_of(runs, series, judges=name != "mean")
    if name == "exact":
        return protocol.floor() or {}
    return protocol.measure(zerosum.load(folder_of(runs, series, name, seed), checkpoint="last"))


def measure_all(runs: Path, series: str, seeds: int) -> dict[str, Seeds]:
    """Values of each forecaster: of the exact one once, of a model for each seed."""
    exact = measured(runs, series, "exact", 0)
    found = {name: [measured(runs, series, name, seed) for seed in range(seeds)] for name in MODELS}
    return {"exact": [exact], **found} if exact else found


COLUMNS = {
    "crps": "CRPS",
    "crps_excess": "over the exact",
    "quantile_error": "quantile error",
    "covered_50": "in the 50% band",
    "covered_90": "in the 90% band",
    "discriminative_weak": "discriminative, weak",
    "discriminative_strong": "strong",
    "predictive_weak": "predictive, weak",
    "predictive_strong": "strong",
}


def say(values: Sequence[float], form: str = ".3f") -> str:
    """The mean, and the lowest and highest where there are several."""
    if len(values) == 1:
        return f"{values[0]:{form}}"
    return f"{mean(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def cell(seeds: Seeds, key: str, form: str = ".3f") -> str:
    """One value of each seed; nothing where it was not measured."""
    return say([values[key] for values in seeds], form) if key in seeds[0] else ""


def name_of(name: str) -> str:
    """What a forecaster is called."""
    return "exact forecaster" if name == "exact" else MODELS[name][0]


def table(found: dict[str, dict[str, Seeds]]) -> str:
    """A row for each series and model."""
    lines = ["| series | forecaster | " + " | ".join(COLUMNS.values()) + " |"]
    lines += ["|---|---|" + "---:|" * len(COLUMNS)]
    for series, rows in found.items():
        for name, seeds in rows.items():
            cells = [cell(seeds, key) for key in COLUMNS]
            lines.append(f"| {SERIES[series]} | {name_of(name)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def planning_table(rows: dict[str, Seeds]) -> str:
    """Chances to catch, by the futures and by their mean."""
    lines = ["| forecaster | stands where most futures come | stands at their mean |", "|---|---:|---:|"]
    for name, seeds in rows.items():
        cells = [cell(seeds, key, ".1%") for key in ("caught_by_futures", "caught_by_mean")]
        lines.append(f"| {name_of(name)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def sampled_futures(runs: Path, series: str, past: Tensor, count: int = 400) -> dict[str, Tensor]:
    """(count, future) of each forecaster after one past (T,)."""
    dataset = load_dataset(folder_of(runs, series, "gan", 0))
    assert isinstance(dataset, Series)
    exact = dataset.exact(past[None], count, torch.Generator().manual_seed(7))
    found = {} if exact is None else {"exact": exact[0]}
    with torch.inference_mode():
        for name in MODELS:
            model = zerosum.load(folder_of(runs, series, name, 0), checkpoint="last")
            found[name] = model.sample(range(count), past.expand(count, -1))
    return found


def draw_fans(runs: Path) -> None:
    """One past of each series, and the fan of each forecaster."""
    figure = Figure(figsize=(12, 7.5), dpi=100, layout="constrained")
    grid = figure.subplots(3, 4, sharex=True, sharey="row")
    for row, series in zip(grid, SERIES, strict=True):
        dataset = load_dataset(folder_of(runs, series, "gan", 0))
        assert isinstance(dataset, Series)
        windows = dataset.split("test")
        past, truth = windows.attributes[3], windows.images[3]
        found = sampled_futures(runs, series, past)
        for axes, name in zip(row, COLOURS, strict=True):
            draw_panel(axes, past, truth, found.get(name), COLOURS[name])
            if series == "regime_sines":
                axes.set_title(name_of(name), fontsize=10)
        row[0].set_ylabel(SERIES[series], fontsize=9)
    figure.supxlabel(
        "steps from now; bands hold 50% and 90% of 400 sampled futures, dashed is what followed", fontsize=9
    )
    save_png(to_picture(figure), FOLDER / "futures.png")


def draw_panel(axes: Axes, past: Tensor, truth: Tensor, futures: Tensor | None, colour: str) -> None:
    """The past and the truth, with a fan where there is one."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.plot(range(1 - len(past), 1), past, color="black", linewidth=1.1)
    axes.plot(range(1, len(truth) + 1), truth, color="black", linewidth=1, linestyle="--")
    if futures is None:
        axes.text(0.75, 0.03, "there is none", transform=axes.transAxes, ha="center", fontsize=9)
    else:
        draw_fan(axes, futures, colour if colour != "#000000" else "#777777")


def draw_planning(runs: Path) -> None:
    """Where the series may be at the step, for one past: the law, the GAN's futures, and both plans."""
    dataset = load_dataset(folder_of(runs, "regime_sines", "gan", 0))
    assert isinstance(dataset, Series)
    past = dataset.split("test").attributes[3]
    found = sampled_futures(runs, "regime_sines", past, 2_000)
    figure = Figure(figsize=(8, 3.6), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    bins = torch.linspace(-1.5, 1.5, 61).tolist()
    at_step = {name: futures[:, STEP - 1] for name, futures in found.items()}
    axes.hist(at_step["exact"].tolist(), bins, color="0.75", label="exact law, 2,000 futures")
    axes.hist(at_step["gan"].tolist(), bins, color=COLOURS["gan"], histtype="step", linewidth=1.6, label="GAN, 2,000")
    place = float(best_places(at_step["gan"][None], 0.2))
    axes.axvspan(place - 0.2, place + 0.2, color=COLOURS["gan"], alpha=0.2, label="stands where most futures come")
    middle = float(at_step["mean"].mean())
    axes.axvspan(middle - 0.2, middle + 0.2, color=COLOURS["mean"], alpha=0.25, label="stands at the mean forecast")
    axes.set(xlabel=f"value {STEP} steps from now", ylabel="futures")
    figure.legend(fontsize=8, loc="outside upper center", ncols=2)
    save_png(to_picture(figure), FOLDER / "futures_planning.png")


PAGE = """# Futures of time series: many, not their mean

A GAN whose generator goes on from a past (`model=recurrent`, after RCGAN, Esteban et al. 2017): one GRU reads 24
values, a second one goes on for 16 steps with new noise in each, and a fully connected discriminator sees past and
future. It is an ordinary GAN whose condition is the past (`labels=past`): every loss and regularizer plays it.

    python train.py experiment=application/futures                            # sines, relativistic loss, R1 and R2
    python train.py experiment=application/futures dataset=ar2                # sunspots: pip install 'zerosum[series]'
    python train.py experiment=application/futures_scored                     # the same generator without an adversary
    python train.py experiment=application/futures_scored model.exponent=2    # the mean future, by squared errors
    python docs/make_futures.py outputs/futures                               # everything on this page

![Fans of sampled futures](futures.png)

**The series.** A sine of period 12 with noise of deviation 0.1, whose phase runs twice as fast from a random step of
the future on (probability 0.1 in each step); an oscillating AR(2) process, x_t = 1.5 x_(t-1) - 0.75 x_(t-2) + noise,
of variance 1; and the yearly sunspots that statsmodels ships (roots, scaled), trained on windows before 1900. Of the
first two the law of the future is known and can be sampled: the phase has a posterior given the noisy past, AR(2) is
Gaussian.

{table}

*The last model of each run, {seeds}, {images:,} training windows (64,000 of sunspots), {minutes:.0f} minutes for the
GAN on sines in one process of one thread beside other work; {paths} sampled futures of each of 1,000 held-out pasts
(of sunspots: drawn from the 94 windows whose future lies after 1900). CRPS: continuous ranked probability score, mean
over steps, in deviations of the series, and its excess over the exact forecaster's. Quantile error: the mean
difference between q and the share of sampled futures below the true q-quantile, q = 5, 25, 50, 75, 95%; the exact
forecaster's own shows the noise of {paths} futures. In the band: the share of what followed in the middle 50% and 90%
of the futures; of 100 futures the exact forecaster's hold 48.5% and 88.1% on average, by counting.
Discriminative and predictive score: TimeGAN's (Yoon et al. 2019), on windows of 40 steps whose last
16 are sampled, by GRUs of 2 units, as in the paper, and of 64, trained for {judged:,} steps on 750 windows (the paper
has 2,000 for the one score and 5,000 for the other); the judge is new each time, and 250 windows leave ± 0.03 of noise.
Sunspots have too few windows to train a judge.*

**Read it so.** {reading}

**How the settings were chosen.** The GAN's were, on sines of the same seed: three runs of 400 steps with R1 and R2 of
weight 0.1 and 1, and with the non-saturating loss, and before them a recurrent discriminator, which was slower and
oscillated. The trainings without an adversary have Adam's defaults and were not tuned, so the comparison favours the
GAN; 64,000 windows of sunspots are 500 steps, and may be too few for them.

## Planning by futures

Where should one stand now to catch the sine {step} steps from now, within 0.2? The sine may have doubled its
frequency by then or not, so its mean lies where it seldom is. Squared errors teach the mean. A planner that counts
futures stands where most of them come.

![Two plans](futures_planning.png)

{planning}

*Chance to catch, counted by {paths} futures of the exact forecaster for each of 1,000 held-out pasts; 121 places
between -3 and 3; both plans use the {paths} futures of their row's forecaster.* {planning_reading}
"""


def reading(found: dict[str, dict[str, Seeds]]) -> str:
    """What the means of the table say."""

    def of(series: str, name: str, key: str, form: str = ".3f") -> str:
        return f"{mean(values[key] for values in found[series][name]):{form}}"

    excess = {
        name: " and ".join(of(series, name, "crps_excess", "+.3f") for series in ("regime_sines", "ar2"))
        for name in MODELS
    }
    band = [of(series, "gan", "covered_90", ".0%") for series in SERIES]
    weak, strong = (
        [of("regime_sines", name, f"discriminative_{judge}") for name in ("gan", "scored", "exact")]
        for judge in ("weak", "strong")
    )
    return (
        "The exact forecaster has the lowest CRPS there is. On sines and on AR(2) the GAN's is higher by"
        f" {excess['gan']}, that of the energy score by {excess['scored']}, and that of squared errors, which leave the"
        f" spread to chance, by {excess['mean']}. Of what followed, the GAN's 90% band holds {band[0]}, {band[1]} and,"
        f" on sunspots, {band[2]}: on so few windows its futures are too alike, and without an exact"
        " forecaster nothing says how good a CRPS is there. The energy score needs no adversary; it judges"
        " the distance of whole paths, in which a sharp turn counts little. On sines the judge of two units"
        f" gives the GAN {weak[0]}, the energy score {weak[1]} and the exact forecaster {weak[2]}; the strong judge"
        f" gives them {strong[0]}, {strong[1]} and {strong[2]}. A score is the judge's as much as the model's, and says"
        " little without the exact forecaster's beside it."
    )


def main(runs: Path, seeds: int = 3) -> None:
    """Train, measure, draw, write."""
    torch.set_num_threads(1)
    for seed in range(seeds):
        train_missing(runs, seed)
    found = {series: measure_all(runs, series, seeds) for series in SERIES}
    FOLDER.mkdir(exist_ok=True)
    draw_fans(runs)
    draw_planning(runs)
    record = read_record(folder_of(runs, "regime_sines", "gan", 0) / "metrics.json")
    sines = found["regime_sines"]
    planning_reading = (
        "By its own futures the exact forecaster catches"
        f" {cell(sines['exact'], 'caught_by_futures', '.1%')}. By its futures the GAN catches"
        f" {cell(sines['gan'], 'caught_by_futures', '.1%')}; the forecaster trained on the squared"
        f" error catches {cell(sines['mean'], 'caught_by_mean', '.1%')} at its mean."
    )
    text = PAGE.format(
        table=table(found),
        seeds="seed 0"
        if seeds == 1
        else f"mean (lowest to highest) of {seeds} seeds of the model, on the same windows",
        images=record.last.images,
        minutes=record.last.minutes,
        paths=PATHS,
        step=STEP,
        judged=JUDGED,
        reading=reading(found),
        planning=planning_table(sines),
        planning_reading=planning_reading,
    )
    save_whole(FOLDER / "futures.md", lambda partial: partial.write_text(text, encoding="utf-8"))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
