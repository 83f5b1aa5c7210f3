"""Plots: what is drawn, where, and how it is labelled."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from scipy.stats import chi2, norm
from test_analyse_datasets import CASES, Case, make_run, through_file

from symda.analyse import free_parameters
from symda.errors import DataError, OptionError, SolveError
from symda.show import plot_levels, plot_parameters, plot_states
from symda.show.figures import BLUE, VERMILLION


def labelled(ax: Axes, start: str) -> list[Line2D]:
    return [line for line in ax.lines if str(line.get_label()).startswith(start)]


def path_lines(ax: Axes) -> list[Line2D]:
    return [*labelled(ax, "paths"), *labelled(ax, "_path")]


def multiplicities(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts if isinstance(text, Annotation)]


def panels(figure: Figure) -> dict[str, Axes]:
    return {ax.get_title(loc="left"): ax for ax in figure.axes}


@pytest.mark.parametrize("name", CASES)
def test_every_kind_of_run_is_drawn_also_from_a_file(name: str, tmp_path: Path) -> None:
    dataset = through_file(make_run(CASES[name]), tmp_path)
    case = CASES[name]
    ax = plot_levels(dataset, tmp_path / "levels.png").axes[0]
    assert len(path_lines(ax)) == len(case.ends)
    expressions = sum(index < 0 for index in case.measured)
    assert len(plot_states(dataset, tmp_path / "states.png").axes) == case.D + expressions
    for file in ("levels.png", "states.png"):
        assert (tmp_path / file).read_bytes()[:4] == b"\x89PNG"
    if free_parameters(dataset):
        assert list(panels(plot_parameters(dataset, tmp_path / "parameters.svg"))) == ["nu"]
        assert "<svg" in (tmp_path / "parameters.svg").read_text()


def test_levels_are_the_actions_against_rf() -> None:
    dataset = make_run(Case(ends=(20.0, 35.0), failed={1: 4}))
    ax = plot_levels(dataset).axes[0]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    for line, action in zip(path_lines(ax), dataset["action"].values, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), 0.01 * 2.0 ** np.arange(6))
        np.testing.assert_array_equal(line.get_ydata(), action)
    (cross,) = labelled(ax, "failed after this (1)")
    assert cross.get_xdata() == pytest.approx([0.01 * 2**3])
    assert cross.get_ydata() == pytest.approx([35.0 / 4])
    assert ax.get_title() == "toy, rk4, L = 2, K = 2"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$R_f$", "action")


def test_the_band_is_what_chi_squared_expects_of_the_action() -> None:
    # SciPy's quantiles of chi-squared with n - p = 22 - 4, halved, times the scale
    low, high = 0.25 * chi2.ppf([norm.cdf(-2.0), norm.cdf(2.0)], 18)
    ax = plot_levels(make_run(Case(scale=0.5))).axes[0]
    (band,) = ax.patches
    box = band.get_extents().transformed(ax.transData.inverted())
    assert (box.y0, box.y1) == pytest.approx((low, high))
    (mean,) = labelled(ax, "expected of a right answer")
    assert list(mean.get_ydata()) == [4.5, 4.5]
    assert mean.get_label() == f"expected of a right answer\n4.5 ({low:.4g} .. {high:.4g})"


def test_no_band_without_a_degree_of_freedom() -> None:
    ax = plot_levels(make_run(CASES["D = 1, N = 1"])).axes[0]
    assert not ax.patches
    assert not labelled(ax, "expected")


def test_levels_carry_their_multiplicities_and_close_ones_share_a_label() -> None:
    ends = (20.0, 20.001, 20.0, 20.3, 100.0, 100.0, 900.0)
    ax = plot_levels(make_run(Case(ends=ends))).axes[0]
    times = "\N{MULTIPLICATION SIGN}"
    assert multiplicities(ax) == [f"{times}4 in 2 levels", f"{times}2", f"{times}1"]
    heights = np.concatenate([np.asarray(line.get_ydata()) for line in labelled(ax, "_levels")])
    assert heights == pytest.approx([20.0, 20.3, 100.0, 900.0])


def test_labels_at_the_margin_do_not_overlap() -> None:
    figure = plot_levels(make_run(Case(ends=tuple(20.0 * 1.03 ** np.arange(150)))))
    ax = figure.axes[0]
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.texts]
    assert len(boxes) == 6
    for below, above in pairwise(boxes):
        assert above.y0 > below.y1 - 1
    assert max(box.x1 for box in boxes) <= figure.bbox.x1


def test_actions_that_are_not_positive_still_have_an_axis() -> None:
    dataset = make_run(Case(ends=(20.0, 35.0)))
    dataset["action"] -= 25.0
    assert plot_levels(dataset).axes[0].get_yscale() == "symlog"


def test_rf_per_state_is_named_after_the_first() -> None:
    ax = plot_levels(make_run(CASES["per-state Rf"])).axes[0]
    assert ax.get_xlabel() == "$R_f$ of x0 (the first state; each has its own)"


def test_levels_go_into_the_axes_they_are_given() -> None:
    figure = Figure()
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    assert plot_levels(make_run(), ax=right) is figure
    assert not left.lines
    assert len(path_lines(right)) == 3


def test_a_run_in_which_all_failed_still_has_a_plot_of_levels() -> None:
    ax = plot_levels(make_run(Case(ends=(1.0,), failed={0: 0}))).axes[0]
    assert multiplicities(ax) == []


def test_states_mark_what_was_not_measured() -> None:
    dataset = make_run(Case(measured=(0, -1), gaps=True))
    found = panels(plot_states(dataset))
    assert list(found) == ["x0", "x1 (unmeasured)", "x2 (unmeasured)", "h1 (expression)"]
    for title, ax in found.items():
        unmeasured = "unmeasured" in title
        (line,) = labelled(ax, "estimate")
        assert to_hex(line.get_color()).upper() == (VERMILLION if unmeasured else BLUE)
        assert bool(ax.containers) != unmeasured


def test_states_show_data_with_one_standard_deviation() -> None:
    dataset = make_run(Case(measured=(0, -1), gaps=True))
    dataset["variance"] *= 4  # sd 0.2
    for title, channel, line in (
        ("x0", 0, dataset["states"].values[0, :, 0]),
        ("h1 (expression)", 1, dataset["fit"].values[0, :, 1]),
    ):
        ax = panels(plot_states(dataset))[title]
        (bars,) = ax.containers
        assert isinstance(bars, ErrorbarContainer)
        there = np.isfinite(dataset["observed"].values[:, channel])
        points = bars[0]
        assert isinstance(points, Line2D)
        np.testing.assert_array_equal(
            points.get_ydata(), dataset["observed"].values[there, channel]
        )
        np.testing.assert_array_equal(points.get_xdata(), dataset["time"].values[there])
        ends = bars[2][0].get_segments()[0][:, 1]
        assert ends[1] - ends[0] == pytest.approx(0.4)
        np.testing.assert_array_equal(labelled(ax, "estimate")[0].get_ydata(), line)


def test_a_channel_without_a_single_datum_counts_as_unmeasured() -> None:
    dataset = make_run()
    dataset["observed"][:, 1] = np.nan
    assert "x2 (unmeasured)" in panels(plot_states(dataset))


def test_two_channels_of_one_state_share_its_panel() -> None:
    assert len(panels(plot_states(make_run(Case(measured=(1, 1)))))["x1"].containers) == 2


def test_an_expression_called_like_a_state_keeps_a_panel_of_its_own() -> None:
    dataset = make_run(Case(D=1, measured=(-1,))).assign_coords(channel=["x0"])
    found = panels(plot_states(dataset))
    assert list(found) == ["x0 (unmeasured)", "h: x0 (expression)"]
    line = labelled(found["h: x0 (expression)"], "estimate")[0]
    np.testing.assert_array_equal(line.get_ydata(), dataset["fit"].values[0, :, 0])


def test_states_of_a_chosen_path_with_its_title() -> None:
    dataset = make_run(Case(ends=(20.0, 35.0), failed={1: 4}))
    figure = plot_states(dataset, which=1, states=["x2", "x0"])
    assert list(panels(figure)) == ["x2", "x0"]
    assert figure.get_suptitle() == "toy: path 1, action 8.75 at beta = 3"
    line = labelled(panels(figure)["x2"], "estimate")[0]
    np.testing.assert_array_equal(line.get_ydata(), dataset["states"].values[1, :, 2])


def test_truth_is_overlaid_where_it_has_the_state() -> None:
    dataset = make_run()
    truth = xr.DataArray(
        [[1.0, 2.0], [3.0, 4.0]],
        dims=("time", "state"),
        coords={"time": [0.0, 1.0], "state": ["x2", "x1"]},
    )
    found = panels(plot_states(dataset, truth=truth.T))
    assert not labelled(found["x0"], "truth")
    assert list(labelled(found["x2"], "truth")[0].get_ydata()) == [1.0, 3.0]


def test_many_states_are_cut_off_and_the_title_says_so() -> None:
    figure = plot_states(make_run(Case(D=20)))
    assert len(figure.axes) == 12
    assert figure.get_suptitle().endswith("\n12 of 20 shown; states=[...] chooses")


def test_parameters_of_every_path_the_best_highlighted() -> None:
    dataset = make_run(Case(ends=(35.0, 20.0, 50.0)))
    figure = plot_parameters(dataset, truth={"nu": 10.2}, bounds={"nu": (0.0, np.inf)})
    (ax,) = figure.axes
    others = [*labelled(ax, "other paths (2)"), *labelled(ax, "_path")]
    assert [line.get_ydata()[-1] for line in others] == pytest.approx([10.0, 10.2])
    (best,) = labelled(ax, "best path (1)")
    assert list(best.get_xdata()) == [0, 1, 2, 3, 4, 5]
    np.testing.assert_allclose(best.get_ydata(), 10.1)
    assert best.get_linewidth() > others[0].get_linewidth()
    assert [line.get_ydata()[0] for line in labelled(ax, "bound")] == [0.0]
    assert [line.get_ydata()[0] for line in labelled(ax, "truth")] == [10.2]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "other paths (2)",
        "best path (1)",
        "bound",
        "truth",
    ]


def test_parameters_can_be_chosen() -> None:
    dataset = make_run(Case(parameters={"a": False, "b": True, "c": False}))
    assert list(panels(plot_parameters(dataset))) == ["a", "c"]
    assert list(panels(plot_parameters(dataset, parameters=["c"]))) == ["c"]
    with pytest.raises(OptionError) as caught:
        plot_parameters(dataset, parameters=["b"])
    assert str(caught.value).startswith("parameters: this run has no 'b' to show, only a, c.")


def test_messages(tmp_path: Path) -> None:
    dataset = make_run()
    for plot in (plot_levels, plot_states, plot_parameters):
        with pytest.raises(OptionError) as caught:
            plot(dataset, tmp_path / "figure.pgn")
        message = str(caught.value)
        assert message.startswith(f"path: no figure can be written as '{tmp_path}/figure.pgn'; ")
        assert ".pdf" in message and ".png" in message
        assert message.endswith("got .pgn. Did you mean 'png'?")
        with pytest.raises(OptionError) as caught:
            plot(dataset, tmp_path / "missing" / "figure.png")
        assert str(caught.value) == (
            f"path: the folder '{tmp_path}/missing' of the figure 'figure.png' does not exist; "
            "make it first or choose another"
        )
    with pytest.raises(OptionError, match=r"got none\.$"):
        plot_levels(dataset, "levels")
    assert not list(tmp_path.iterdir())
    with pytest.raises(OptionError) as caught:
        plot_states(dataset, states=["y1"])
    assert str(caught.value) == (
        "states: this run has no 'y1' to show, only x0, x1, x2. Did you mean 'x1'?"
    )
    with pytest.raises(OptionError) as caught:
        plot_states(dataset, states=[])
    assert str(caught.value) == (
        "states: expected at least one name, got none; leave it out for the first 12"
    )
    for which in (3, -1, "worst"):
        with pytest.raises(OptionError) as caught:
            plot_states(dataset, which=which)
        assert str(caught.value) == (
            f"which: expected 'best' or the index of a path, 0 .. 2, got {which!r}"
        )
    with pytest.raises(DataError) as data:
        plot_states(dataset, truth=dataset["observed"])
    assert str(data.value) == (
        "truth: expected an xarray.DataArray with dims (time, state), got ('time', 'channel')"
    )
    with pytest.raises(DataError, match="got ndarray"):
        plot_states(dataset, truth=np.zeros((11, 3)))
    with pytest.raises(DataError) as data:
        plot_states(make_run(Case(failed={1: 0})), which=1)
    assert str(data.value) == (
        "which: path 1 reached no rung, so there is nothing to plot; take 'best'"
    )
    for parameters in ({}, {"a": True}):
        with pytest.raises(OptionError) as caught:
            plot_parameters(make_run(Case(parameters=parameters)))
        assert str(caught.value) == (
            "this run has no free parameter, so there is nothing to plot; "
            "a parameter is free when it is declared without value="
        )
    for plot in (plot_states, plot_parameters):
        with pytest.raises(SolveError, match=r"^no path of this run reached a rung"):
            plot(make_run(Case(ends=(1.0,), failed={0: 0})))


def test_plots_leave_pyplot_alone_and_importing_show_is_light() -> None:
    code = (
        "import sys, symda.show, symda.analyse\n"
        "own = {'matplotlib', 'pandas', 'rich'} & set(sys.modules)\n"
        "assert not own, own\n"
        "from test_analyse_datasets import make_run\n"
        "symda.show.plot_levels(make_run())\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)


@pytest.mark.parametrize(
    ("scale", "values", "words"),
    [
        # more than a decade: powers of ten
        ("log", (1.0, 300.0), ["$\\mathdefault{10^{0}}$", "$\\mathdefault{10^{2}}$"]),
        # less: plain numbers, no power of ten among them, and none in between
        ("log", (0.02, 0.03), ["0.0200", "0.0300"]),
        ("", (0.02, 0.03), ["0.020", "0.030"]),
    ],
)
def test_the_axis_of_a_logarithmic_parameter(
    scale: str, values: tuple[float, float], words: list[str]
) -> None:
    dataset = make_run(Case(parameters={"k": False}))
    along = np.geomspace(*values, dataset.sizes["beta"])
    shape = dataset["parameters"].shape
    dataset["parameters"] = (
        dataset["parameters"].dims,
        np.broadcast_to(along[None, :, None], shape).copy(),
    )
    dataset = dataset.assign_coords(parameter_scale=("parameter", [scale]))
    figure = plot_parameters(dataset)
    FigureCanvasAgg(figure).draw()
    (ax,) = figure.axes
    low, high = ax.get_ylim()
    assert ax.get_yscale() == ("log" if scale else "linear")
    shown = [
        label.get_text()
        for at, label in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True)
        if low <= at <= high
    ]
    assert set(words) <= set(shown), shown
    minor = [label.get_text() for label in ax.get_yticklabels(minor=True)]
    assert not any(minor)
