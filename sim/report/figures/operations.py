"""How trials run: recruitment, waiting, clinics, one trial's patients, and what success costs."""

from typing import TYPE_CHECKING

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from sim.report.figures.style import GREY, STYLE, Panels, figure_of, panels_of, strokes

if TYPE_CHECKING:
    import pandas as pd

BAND = "where 90 % of trials fall"


PLANNED = ("weeks since the first site opened", "mean", BAND)


def recruitment_fan(weeks: "pd.DataFrame", target: int, words: tuple[str, str, str] = PLANNED) -> Panels:
    """Draw patients randomised against time, with the target.

    Parameters
    ----------
    weeks
        Columns ``week``, ``mean``, ``low``, ``high`` (5 and 95 % of the trials), and maybe ``seen``: patients
        randomised up to now, where a trial is running.
    target
        Patients wanted.
    words
        What the axis counts, and what the line and the band are.
    """
    with matplotlib.rc_context(STYLE):
        panels = panels_of(1, 1, 3.2)
        axes, stroke = panels[0], strokes([""], "x")[""]
        future = weeks.dropna(subset=["mean"])
        axes.fill_between(
            future["week"],
            future["low"],
            future["high"],
            color=stroke.colour,
            alpha=0.18,
            lw=0,
            label=words[2],
        )
        axes.plot(future["week"], future["mean"], color=stroke.colour, label=words[1])
        if "seen" in weeks:
            past = weeks.dropna(subset=["seen"])
            axes.step(past["week"], past["seen"], where="post", color="black", label="randomised up to now")
        axes.axhline(target, color="black", lw=1, linestyle=(0, (4, 2)), label=f"target: {target}")
        axes.set(xlabel=words[0], ylabel="patients randomised", ylim=(0, target * 1.08))
        axes.set_xlim(min(0.0, float(weeks["week"].min())), None)
        axes.legend(loc="lower right", frameon=False, fontsize=9)
    return panels


def waiting_and_load(weeks: "pd.DataFrame") -> Panels:
    """Draw patients who wait, and the clinics' load, by week: a panel each, a line a protocol.

    Parameters
    ----------
    weeks
        Columns ``protocol``, ``panel`` (the axis' label), ``week``, ``mean``, ``low``, ``high``.
    """
    labels, protocols = list(dict.fromkeys(weeks["panel"])), list(dict.fromkeys(weeks["protocol"]))
    drawn = strokes(["", *protocols], "")
    with matplotlib.rc_context(STYLE):
        panels = panels_of(len(labels), 1, 0.7 + 2.1 * len(labels), sharex=True)
        for axes, label in zip(panels, labels, strict=True):
            for protocol in protocols:
                rows = weeks[(weeks["panel"] == label) & (weeks["protocol"] == protocol)]
                stroke = drawn[protocol]
                axes.fill_between(
                    rows["week"], rows["low"], rows["high"], color=stroke.colour, alpha=0.1, lw=0
                )
                axes.plot(rows["week"], rows["mean"], color=stroke.colour, linestyle=stroke.dash)
            axes.set(ylabel=label, ylim=(0, None), xlim=(0, None))
        panels[-1].set_xlabel("weeks since the first site opened")
        handles = [
            Line2D([], [], color=drawn[name].colour, linestyle=drawn[name].dash, label=name)
            for name in protocols
        ]
        handles.append(Patch(color="black", alpha=0.1, label=BAND))  # type: ignore[arg-type]
        figure_of(panels).legend(
            handles=handles, loc="outside upper left", ncols=3, frameon=False, fontsize=9, handlelength=3
        )
    return panels


def gantt(patients: "pd.DataFrame") -> Panels:
    """Draw each patient's way through one trial: waiting, treatment, follow-up.

    Parameters
    ----------
    patients
        Columns ``patient``, ``arm`` (label), ``randomised``, ``begins``, ``ends`` (nan: never treated),
        ``last``, ``left``; weeks.
    """
    arms = list(dict.fromkeys(patients["arm"]))
    drawn = strokes(["", *arms], "")
    with matplotlib.rc_context(STYLE):
        panels = panels_of(1, 1, 1.2 + 0.075 * len(patients))
        axes = panels[0]
        step = (patients["patient"].max() - 1) / max(len(patients) - 1, 1)
        axes.hlines(patients["patient"], patients["randomised"], patients["last"], color="#b5b5b5", lw=1)
        begins = patients["begins"].fillna(patients["last"])
        late = patients[begins > patients["randomised"] + 1e-9]
        axes.hlines(late["patient"], late["randomised"], begins[late.index], color="black", lw=1.6)
        for arm in arms:
            rows = patients[(patients["arm"] == arm) & patients["begins"].notna()]
            axes.hlines(
                rows["patient"], rows["begins"], rows["ends"], color=drawn[arm].colour, lw=3, alpha=0.8
            )
        gone = patients[patients["left"].astype(bool)]
        axes.plot(gone["last"], gone["patient"], linestyle="", marker="x", color="black", markersize=4)
        axes.set(xlabel="weeks since the first site opened", ylabel="patient, in the order of randomisation")
        axes.set_ylim(patients["patient"].max() + step, 1 - step)
        axes.grid(visible=False, axis="y")
        figure_of(panels).legend(
            handles=_gantt_legend({arm: drawn[arm].colour for arm in arms}), loc="outside upper left",
            ncols=3, frameon=False, fontsize=9,
        )  # fmt: skip
    return panels


def _gantt_legend(colours: dict[str, str]) -> list[Line2D]:
    treated = [Line2D([], [], color=colour, lw=3, label=f"treated: {arm}") for arm, colour in colours.items()]
    others = [
        Line2D([], [], color="black", lw=1.6, label="waits for treatment"),
        Line2D([], [], color="#b5b5b5", lw=1, label="followed up"),
        Line2D([], [], color="black", linestyle="", marker="x", markersize=4, label="left the study"),
    ]
    return [*treated, *others]


def cost_against_success(points: "pd.DataFrame", money: str, success: str) -> Panels:
    """Draw the share of trials that succeed against what a trial costs, a point a protocol and size.

    The sizes are named at the first protocol's points.

    Parameters
    ----------
    points
        Columns ``protocol``, ``n``, ``cost``, ``low`` and ``high`` (5 and 95 % of the trials), ``value``,
        ``mcse``.
    money
        The currency.
    success
        What the share is called.
    """
    protocols = list(dict.fromkeys(points["protocol"]))
    drawn = strokes(["", *protocols], "")
    scale, unit = (1e6, "million ") if points["high"].max() >= 2e6 else (1e3, "thousand ")
    label = f"cost of a trial, {unit}{money} (line: 90 % of trials)"
    with matplotlib.rc_context(STYLE):
        panels = panels_of(1, 1, 3.2)
        axes = panels[0]
        for protocol in protocols:
            rows, stroke = points[points["protocol"] == protocol], drawn[protocol]
            cost = rows["cost"] / scale
            spread = np.abs(np.stack([rows["low"] / scale - cost, rows["high"] / scale - cost]))
            axes.errorbar(
                cost, rows["value"], xerr=spread, yerr=1.96 * rows["mcse"], color=stroke.colour,
                linestyle=stroke.dash, marker=stroke.marker, markersize=5, lw=1.2, label=protocol,
            )  # fmt: skip
            if protocol == protocols[0]:
                _name_sizes(axes, rows, cost)
        axes.set(
            xlabel=label,
            ylabel=f"{success}, share of trials",
        )
        axes.set_ylim(max(0, np.floor(10 * points["value"].min() - 1) / 10), 1.02)
        figure_of(panels).legend(loc="outside upper left", ncols=4, frameon=False, fontsize=9)
    return panels


def _name_sizes(axes: Axes, rows: "pd.DataFrame", cost: "pd.Series[float]") -> None:
    if len(rows) > 1:
        for n, x, y in zip(rows["n"], cost, rows["value"], strict=True):
            axes.annotate(f"{n}", (x, y), (4, -11), textcoords="offset points", fontsize=8, color=GREY)
