"""The tables of docs/analyses.md from finished runs of the studies here.

python experiments/002-missing-data/table.py RESULTS takes runs from RESULTS/<study>/ into characteristics.csv
and run.json first; without RESULTS it makes the tables of what is kept here again.
"""

import json
import re
import sys
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "analyses.md"
STUDIES = ("fast", "slow", "jackknife")
SCENARIOS = ("no_effect", "effect")
MECHANISMS = ("mcar", "mar", "mnar")
METRICS = ("power", "truth", "bias", "coverage", "empirical_se", "mean_se", "failed")
DECIMALS = {"power": 4, "bias": 3, "coverage": 3}
EXPECTED = {"power": 0.025, "bias": 0.0, "coverage": 0.95}


def collect(results: Path) -> None:
    """Lay the operating characteristics of every run together, and say which code made them."""
    parts, about = [], {}
    for name in (f"{study}_{scenario}" for study in STUDIES for scenario in SCENARIOS):
        run = json.loads((results / name / "provenance.json").read_text(encoding="utf-8"))
        rows = pd.read_csv(results / name / "operating_characteristics.csv")
        rows = rows[rows["metric"].isin(METRICS) & rows["estimand"].notna() & rows["arm"].eq("treated")]
        rows = rows.rename(columns={"scenario": "mechanism", "estimand": "analysis"})
        rows["scenario"] = "no_effect" if name.endswith("no_effect") else "effect"
        parts.append(rows[["mechanism", "scenario", "analysis", "metric", "value", "mcse", "replicates"]])
        about[name] = {"digest": run["digest"], "seed": run["seed"], "numpy": run["versions"]["numpy"]}
    pd.concat(parts).to_csv(HERE / "characteristics.csv", index=False, float_format="%.6g")
    (HERE / "run.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")


def cell(row: "pd.Series[float]", metric: str, truth: float) -> str:
    """A number with its Monte Carlo error, in bold where it lies more than three errors from its target.

    Where there is an effect by the estimand's own truth, rejections are no errors: they have no target.
    """
    digits = DECIMALS[metric]
    text = f"{row['value']:.{digits}f} ({row['mcse']:.{digits}f})"
    if metric == "power" and abs(truth) > REAL:
        return f"{text} †"
    far = abs(row["value"] - EXPECTED[metric]) > 3 * row["mcse"]
    return f"**{text}**" if far else text


REAL = 0.005
"""A true value beyond this is not none: its Monte Carlo error is a tenth of it."""


def table(rows: pd.DataFrame, scenario: str, metric: str) -> str:
    """One line an analysis, one column a mechanism."""
    kept = rows[rows["scenario"] == scenario].set_index(["analysis", "mechanism", "metric"])
    lines = ["| analysis | MCAR | MAR | MNAR | replicates |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(rows["analysis"]):
        cells = [
            cell(kept.loc[name, mechanism, metric], metric, kept.loc[name, mechanism, "truth"]["value"])
            for mechanism in MECHANISMS
        ]
        count = f"{int(kept.loc[name, 'mcar', metric]['replicates']):,}"
        lines.append(f"| {str(name).replace('_', ' ')} | {' | '.join(cells)} | {count} |")
    return "\n".join(lines)


def made_by() -> str:
    """Name the runs."""
    runs = json.loads((HERE / "run.json").read_text(encoding="utf-8"))
    named = ", ".join(f"{name} {run['digest']}" for name, run in runs.items())
    seeds = ", ".join(sorted({str(run["seed"]) for run in runs.values()}))
    numpy = ", ".join(sorted({run["numpy"] for run in runs.values()}))
    return f"Runs {named}; seed {seeds}, numpy {numpy}."


def tables() -> str:
    """All three, and which runs they are of."""
    rows = pd.read_csv(HERE / "characteristics.csv", keep_default_na=False)
    parts = [
        made_by(),
        "**Share of trials that reject**, one-sided 0.025, no effect on pain (†: there is an effect by this "
        "estimand, since more leave in one arm):",
        table(rows, "no_effect", "power"),
        "**Bias** against each estimand's own true value, an effect of −1.0 on true pain:",
        table(rows, "effect", "bias"),
        "**Coverage** of the 95 % interval, same trials:",
        table(rows, "effect", "coverage"),
    ]
    return "\n\n".join(parts)


def main() -> None:
    """Put the tables between the marks of the page."""
    if len(sys.argv) > 1:
        collect(Path(sys.argv[1]))
    page = PAGE.read_text(encoding="utf-8")
    marked = re.compile(r"(<!-- tables -->\n).*?(<!-- end of tables -->)", re.S)
    PAGE.write_text(marked.sub(lambda m: m[1] + tables() + "\n\n" + m[2], page), encoding="utf-8")


if __name__ == "__main__":
    main()
