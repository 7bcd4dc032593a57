"""What the chart draws."""

from fake_runs import fake_run

from zerosum.report.chart import FLOOR_LABEL, make_figure
from zerosum.report.curves import make_curves
from zerosum.report.grouping import group_by_setting
from zerosum.report.measured_runs import read_runs


def figure_of(tmp_path, count: int, start: float = 100.0, explanation: str = "Measured by: a protocol.", **keys):
    """The chart of several losses: number n ends at 4 + n with seed 0, and at 5 + n with seed 1."""
    folders = [
        fake_run(tmp_path / f"{number}_{seed}", f"Loss{number}", seed, (start, 4.0 + number + seed), **keys)
        for number in range(count)
        for seed in (0, 1)
    ]
    curves = make_curves(group_by_setting(read_runs(folders)[0])[0], "fid")
    return make_figure(curves, "fid", 1.0, explanation)


def test_the_chart_has_a_line_for_each_setting_and_is_logarithmic_where_values_are_far_apart(tmp_path):
    figure = figure_of(tmp_path / "far", 3)
    left, right = figure.axes
    assert left.get_yscale() == right.get_yscale() == "log"
    assert left.get_xlabel() == "real images seen in training"
    assert right.get_xlabel() == "minutes of training"
    names = ["loss=Loss2", "loss=Loss1", "loss=Loss0", FLOOR_LABEL]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == names, "as the lines end"
    assert right.lines[1].get_xdata().tolist() == [0, 2] and right.lines[1].get_ydata().tolist() == [100, 5.5]
    assert len(left.collections) == 3, "a band for each"
    assert figure_of(tmp_path / "near", 3, start=20.0).axes[0].get_yscale() == "linear"


def test_short_lines_beside_long_ones_are_legible(tmp_path):
    runs = [fake_run(tmp_path / "short", "A", fids=(9.0, 4.0)), fake_run(tmp_path / "long", "B", fids=(9.0,) * 31)]
    curves = make_curves(group_by_setting(read_runs(runs)[0])[0], "fid")
    left = make_figure(curves, "fid", 1.0, "").axes[0]
    ends = sorted(
        left.transAxes.inverted().transform(left.transData.transform((line.get_xdata()[-1], 1)))[0]
        for line in left.lines[:2]
    )
    assert 0.1 < ends[0] < 0.9 < ends[1] < 1


def test_many_settings_look_different_and_the_legend_covers_no_data(tmp_path):
    figure = figure_of(tmp_path, 26)
    lines = figure.axes[0].lines[:26]
    assert len({(line.get_color(), str(line.get_linestyle()), line.get_marker()) for line in lines}) == 26
    figure.draw_without_rendering()
    legend = figure.legends[0].get_window_extent()
    assert legend.y0 >= 0 and legend.x0 >= 0 and legend.x1 <= figure.bbox.width
    assert legend.y1 <= figure.axes[0].xaxis.label.get_window_extent().y0


def test_long_and_odd_texts_are_shortened_and_no_formulas(tmp_path):
    figure = figure_of(tmp_path, 1, explanation="$\\frac{x$ " * 5000, name="$\\frac{x$\x1b")
    figure.draw_without_rendering()
    assert figure.get_figheight() < 9
    assert figure.legends[0].get_texts()[0].get_text() == r"\$\frac{x\$\x1b"
