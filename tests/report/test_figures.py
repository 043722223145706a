"""The figures: they draw the data that they are given, and nothing is cut off or lies over another."""

import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from sim.report.figures import (
    STROKES,
    Panels,
    example_trials,
    figure_of,
    pain_courses,
    responder_bars,
    save,
    spread,
    stopping_bounds,
    strokes,
    success_by_truth,
    success_curves,
    tornado,
    trial_schema,
    type_1_errors,
)

ARMS = ["pill placebo", "NSAID", "exercise", "mirtazapine and tizanidine", "pain reprocessing therapy"]


def texts(figure: Figure) -> list[tuple[str, Bbox]]:
    """Every printed text with its extent in pixels; ticks outside the limits are not."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    hidden: set[int] = set()
    for axes in figure.axes:
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            for tick in axis.get_major_ticks():
                if not min(limits) <= tick.get_loc() <= max(limits):
                    hidden |= {id(tick.label1), id(tick.label2)}
    shown = [
        t for t in figure.findobj(Text) if isinstance(t, Text) and t.get_visible() and id(t) not in hidden
    ]
    boxes = [(t.get_text(), Text.get_window_extent(t, canvas.get_renderer())) for t in shown]
    return [(text, box) for text, box in boxes if text.strip() and box.width > 1]


def assert_legible(panels: Panels) -> None:
    """Every text lies inside the picture, and no two overlap."""
    figure = figure_of(panels)
    boxes = texts(figure)
    assert len(boxes) > 5
    width, height = figure.canvas.get_width_height()
    for text, box in boxes:
        assert box.x0 >= -1, f"'{text}' is cut off on the left"
        assert box.y0 >= -1, f"'{text}' is cut off below"
        assert box.x1 <= width + 1, f"'{text}' is cut off on the right"
        assert box.y1 <= height + 1, f"'{text}' is cut off above"
    for (one, first), (two, second) in combinations(boxes, 2):
        x = min(first.x1, second.x1) - max(first.x0, second.x0)
        y = min(first.y1, second.y1) - max(first.y0, second.y0)
        assert x <= 1 or y <= 1, f"'{one}' lies over '{two}'"


def shares(arms: list[str]) -> pd.DataFrame:
    endpoints = ["pain ≥ 30 % lower", "pain ≥ 50 % lower", "pain ≤ 1"]
    rows = [(a, e, 0.6 / (j + 1) + 0.03 * i) for j, e in enumerate(endpoints) for i, a in enumerate(arms)]
    frame = pd.DataFrame(rows, columns=["arm", "endpoint", "mean"])
    return frame.assign(low=frame["mean"] - 0.1, high=frame["mean"] + 0.15)


def courses(arms: list[str]) -> pd.DataFrame:
    rows = [
        (a, w, 6 - (1 + 0.3 * i) * (1 - np.exp(-w / 3)))
        for i, a in enumerate(arms)
        for w in (0, 1, 2, 4, 8, 12)
    ]
    frame = pd.DataFrame(rows, columns=["arm", "week", "mean"])
    return frame.assign(low=frame["mean"] - 0.8, high=frame["mean"] + 0.8)


def curves(ends: list[float]) -> pd.DataFrame:
    sizes = np.array([10, 40, 100, 400, 1200])
    rows = [
        (panel, arm, n, end * n / (n + 60))
        for panel in ("Power (scenario 'expected')", "Assurance (scenario 'reported')")
        for arm, end in zip(ARMS[1:], ends, strict=True)
        for n in sizes
    ]
    return pd.DataFrame(rows, columns=["panel", "arm", "n_per_arm", "value"]).assign(mcse=0.01)


def test_bars_have_the_length_of_the_shares() -> None:
    data = shares(ARMS)
    panels = responder_bars(data, ARMS[0])
    for axes, (_, rows) in zip(panels, data.groupby("endpoint", sort=False), strict=True):
        assert [bar.get_width() for bar in axes.patches] == list(rows["mean"])
        assert [t.get_text() for t in axes.texts] == [f"{mean:.2f}" for mean in rows["mean"]]
        segments = axes.collections[0].get_segments()  # type: ignore[attr-defined]
        assert np.allclose([segment[:, 0] for segment in segments], rows[["low", "high"]])
    assert_legible(panels)


@pytest.mark.parametrize("arms", [ARMS[:2], ARMS[:3], ARMS, [*ARMS, "usual care", "open-label placebo"]])
def test_courses_show_each_arm_beside_the_control(arms: list[str]) -> None:
    data = courses(arms)
    panels = pain_courses(data, arms[0])
    assert [axes.get_title(loc="left").replace("\n", " ") for axes in panels] == arms[1:]
    for axes, arm in zip(panels, arms[1:], strict=True):
        drawn = [line.get_ydata() for line in axes.lines if line.get_marker() != "None"]
        assert np.array_equal(drawn[0], data[data["arm"] == arms[0]]["mean"])
        assert np.array_equal(drawn[1], data[data["arm"] == arm]["mean"])
    assert_legible(panels)


@pytest.mark.parametrize("ends", [[0.9, 0.5, 0.3, 0.1], [1.0, 1.0, 1.0, 0.99], [0.05, 0.03, 0.02, 0.02]])
def test_curves_are_labelled_at_their_ends(ends: list[float]) -> None:
    data = curves(ends)
    panels = success_curves(data, {"Power (scenario 'expected')": 0.9})
    power = panels[0]
    for line, (_, rows) in zip(
        power.lines, data[data["panel"].str.startswith("Power")].groupby("arm", sort=False), strict=False
    ):
        assert np.array_equal(line.get_ydata(), rows["value"])
    labels = [t.get_text() for t in power.texts if isinstance(t, Annotation)]
    assert labels == [*ARMS[1:], "wanted: 0.9"]
    assert [t.get_text() for t in panels[1].texts] == ARMS[1:]
    assert_legible(panels)


def test_arms_differ_without_colour() -> None:
    drawn = strokes(["a", "b", "c", "d", "e", "f", "g", "h"], "a")
    assert len({(str(stroke.dash), stroke.marker) for stroke in drawn.values()}) == len(STROKES) + 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=15))
def test_labels_are_spread(heights: list[float]) -> None:
    placed = spread(heights, 0.1)
    order = np.argsort(heights, kind="stable")
    gap = min(0.1, 1 / max(len(heights) - 1, 1))
    assert (np.diff(np.array(placed)[order]) >= gap - 1e-9).all()
    assert min(placed) >= -1e-9
    assert max(placed) <= 1 + 1e-9


def test_labels_that_are_apart_stay() -> None:
    assert spread([0.8, 0.1, 0.5], 0.1) == pytest.approx([0.8, 0.1, 0.5])


def test_running_a_study_loads_no_drawing_library() -> None:
    code = "import sys, sim, sim.execution, sim.cli; print({'matplotlib', 'jinja2'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "set()"


def test_a_lane_shows_treatment_and_visits() -> None:
    arms = pd.DataFrame({"arm": ARMS, "patients": 120, "start": 0.0, "end": [12, 12, 12, 12, 5]})
    axes = trial_schema(arms, (0, 1, 2, 4, 8, 12, 12.2), 12, ARMS[0])[0]
    assert [bar.get_width() for bar in axes.patches if round(bar.get_height(), 6) == 0.36] == list(
        arms["end"]
    )
    dots = [line.get_xdata() for line in axes.lines if line.get_marker() == "o"]
    assert len(dots) == len(ARMS)
    assert list(dots[0]) == [0, 1, 2, 4, 8, 12, 12.2]
    assert_legible([axes])


def test_bounds_are_drawn_where_they_are_finite() -> None:
    bounds = pd.DataFrame(
        {
            "protocol": ["one"] * 3 + ["two"] * 3,
            "patients": [200, 300, 400] * 2,
            "efficacy_z": [np.inf, 2.4, 2.0, 2.9, 2.4, 2.0],
            "futility_z": [np.nan, np.nan, np.nan, 0.1, 1.0, 2.0],
        }
    )
    one, two = stopping_bounds(bounds)
    assert [list(line.get_xdata()) for line in one.lines] == [[300, 400]]
    assert [list(line.get_ydata()) for line in two.lines] == [[2.9, 2.4, 2.0], [0.1, 1.0, 2.0]]
    assert_legible([one, two])


def test_an_example_shows_estimate_interval_and_truth() -> None:
    decisions = ["go on", "success", "no success", "futile"]
    rows = [
        (
            f"A trial that does not succeed (replicate 70{t}, by {ARMS[3]})",
            f"{arm}, look {k}",
            -0.5 + 0.1 * k,
            -1.2,
            0.2,
            -0.6,
            decisions[k],
        )
        for t in range(3)
        for k, arm in enumerate(ARMS[1:])
    ]
    frame = pd.DataFrame(rows, columns=["example", "label", "estimate", "low", "high", "truth", "decision"])
    panels = example_trials(frame, "difference in means (points)")
    for axes in panels:
        drawn = [line.get_xdata() for line in axes.lines[1:]]
        for place, row in enumerate(frame.iloc[:4].to_dict("records")):
            low_high, estimate, truth = drawn[3 * place : 3 * place + 3]
            assert list(low_high) == [row["low"], row["high"]]
            assert (estimate[0], truth[0]) == (row["estimate"], row["truth"])
    assert_legible(panels)


def test_success_by_truth_is_drawn_with_its_average() -> None:
    frame = pd.DataFrame(
        [(arm, -1 + 0.1 * k, 0.9 - 0.08 * k, 0.01, 0.5) for arm in ARMS[1:4] for k in range(10)],
        columns=["arm", "truth", "value", "mcse", "assurance"],
    )
    panels = success_by_truth(frame, "true difference in means (points)")
    assert len(panels) == 3
    for axes in panels:
        assert list(axes.lines[0].get_ydata()) == [0.5, 0.5]
        assert np.allclose(axes.lines[1].get_ydata(), frame["value"][:10])
    assert_legible(panels)


@pytest.mark.parametrize("arms", [ARMS[1:2], ARMS[1:]])
@pytest.mark.parametrize("values", [(0.4, 0.6), (0.45, 0.3), (0.5, 0.5)])
def test_a_bar_of_the_tornado_reaches_its_values(values: tuple[float, float], arms: list[str]) -> None:
    rows = [
        (arm, what, setting, value + shift, 0.5 + shift)
        for arm, shift in zip(arms, (0, 0.2, 0.35, -0.2), strict=False)
        for what in ("losses", "placebo response")
        for setting, value in zip(("20 % doubt", "50 % doubt"), values, strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["panel", "what", "setting", "value", "base"])
    panels = tornado(frame, "assurance")
    ends = [bar.get_x() + bar.get_width() for bar in panels[0].patches]
    assert ends == pytest.approx([*values, *values])
    said = ", ".join(t.get_text() for t in panels[0].texts)
    assert said.count("20 % doubt") == said.count("50 % doubt") == 2
    assert_legible(panels)


def test_the_longest_bar_of_the_tornado_is_on_top() -> None:
    rows = [("a", "short", "× 0.5", 0.51, 0.5), ("a", "short", "× 2", 0.49, 0.5)]
    rows += [("a", "long", "× 0.5", 0.7, 0.5), ("a", "long", "× 2", 0.4, 0.5)]
    frame = pd.DataFrame(rows, columns=["panel", "what", "setting", "value", "base"])
    axes = tornado(frame, "power")[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["long", "short"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_the_region_shows_every_cell_beside_the_level() -> None:
    cells = [f"variation sd {sd}, placebo withdrawal {w}" for sd in (1.5, 2.1, 2.7) for w in (0.005, 0.04)]
    frame = pd.DataFrame(
        [
            (p, c, 0.02 + 0.002 * i, 0.002)
            for p in ("primary pain_reprocessing", "responder pain_reprocessing", "any of them")
            for i, c in enumerate(cells)
        ],
        columns=["panel", "cell", "value", "mcse"],
    )
    panels = type_1_errors(frame.assign(level=0.025))
    for axes in panels:
        assert list(axes.lines[0].get_xdata()) == list(frame["value"][:6])
        assert 0.025 in axes.lines[-1].get_xdata()
    assert_legible(panels)


def test_a_figure_is_kept_with_its_numbers_and_always_the_same_bytes(tmp_path: Path) -> None:
    data = curves([0.9, 0.5, 0.3, 0.1])
    for name in ("one", "two"):
        save(success_curves(data, {}), tmp_path / name / "curve.png", data)
    for suffix in (".png", ".svg", ".csv"):
        one, two = ((tmp_path / name / f"curve{suffix}").read_bytes() for name in ("one", "two"))
        assert one == two
        assert len(one) > 1000
    assert pd.read_csv(tmp_path / "one" / "curve.csv").equals(data)
