"""The figures of a run. Each function takes plain tables and returns the axes that it has drawn.

They serve the report and notebooks alike: ``figure_of(axes)`` is the figure to show or to change.
"""

from sim.report.figures.boundaries import stopping_bounds
from sim.report.figures.courses import pain_courses
from sim.report.figures.examples import example_trials
from sim.report.figures.region import type_1_errors
from sim.report.figures.responders import responder_bars
from sim.report.figures.schema import trial_schema
from sim.report.figures.style import STROKES, Panels, figure_of, save, strokes
from sim.report.figures.success import spread, success_curves
from sim.report.figures.tornado import tornado
from sim.report.figures.truth import success_by_truth

__all__ = [
    "STROKES",
    "Panels",
    "example_trials",
    "figure_of",
    "pain_courses",
    "responder_bars",
    "save",
    "spread",
    "stopping_bounds",
    "strokes",
    "success_by_truth",
    "success_curves",
    "tornado",
    "trial_schema",
    "type_1_errors",
]
