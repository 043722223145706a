"""``python -m benchmarks.figure``: how the time grows, from the latest kept benchmark."""

import json

import matplotlib.pyplot as plt

from benchmarks.fixed_design import GROWTH
from benchmarks.measures import HOME

AXES = {
    "replicates": "replicates",
    "patients": "patients",
    "visits": "visits, baseline included",
    "arms": "arms, 300 patients together",
}
FIGURE = HOME.parents[1] / "docs" / "figures" / "growth.png"


def main() -> None:
    """Draw one panel for each of replicates, patients, visits and arms."""
    latest = max(HOME.glob("*.json"))
    measures = json.loads(latest.read_text(encoding="utf-8"))["measures"]
    figure, panels = plt.subplots(1, len(AXES), figsize=(11, 3), sharey=True, layout="constrained")
    for panel, (axis, label) in zip(panels, AXES.items(), strict=True):
        of_axis = [m for m in measures if m["of"] == GROWTH and m["what"].startswith(axis)]
        x = [int(m["what"].split()[1]) for m in of_axis]
        panel.plot(x, [m["value"] for m in of_axis], marker="o", label="measured")
        panel.plot([x[0], x[-1]], [1, x[-1] / x[0]], color="grey", linestyle=":", label="in proportion")
        panel.set_xlabel(label)
        panel.set_xticks(x)
    panels[0].set_ylabel("processor time,\nrelative to the first")
    panels[0].legend(frameon=False)
    figure.savefig(FIGURE, dpi=110)


if __name__ == "__main__":
    main()
