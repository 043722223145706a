"""The tables of docs/analyses.md from characteristics.csv: python experiments/002-missing-data/table.py"""

import json
import re
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "analyses.md"
MECHANISMS = ("mcar", "mar", "mnar")
DECIMALS = {"type_1_error": 4, "bias": 3, "coverage": 3}
EXPECTED = {"type_1_error": 0.025, "bias": 0.0, "coverage": 0.95}


def cell(row: "pd.Series[float]", metric: str) -> str:
    """A number with its Monte Carlo error, in bold where it lies more than three errors from its target."""
    digits = DECIMALS[metric]
    text = f"{row['value']:.{digits}f} ({row['mcse']:.{digits}f})"
    far = abs(row["value"] - EXPECTED[metric]) > 3 * row["mcse"]
    return f"**{text}**" if far else text


def table(rows: pd.DataFrame, scenario: str, metric: str) -> str:
    """One line an analysis, one column a mechanism."""
    chosen = rows[(rows["scenario"] == scenario) & (rows["metric"] == metric)]
    lines = ["| analysis | MCAR | MAR | MNAR | replicates |", "|---|---|---|---|---|"]
    for name, group in chosen.groupby("analysis", sort=False):
        by = group.set_index("mechanism")
        cells = [cell(by.loc[mechanism], metric) for mechanism in MECHANISMS]
        count = f"{int(group['replicates'].iloc[0]):,}"
        lines.append(f"| {str(name).replace('_', ' ')} | {' | '.join(cells)} | {count} |")
    return "\n".join(lines)


def tables() -> str:
    """All three, with the date and digest of the run."""
    rows = pd.read_csv(HERE / "characteristics.csv", keep_default_na=False)
    run = json.loads((HERE / "run.json").read_text(encoding="utf-8"))
    parts = [
        f"Run of {run['date']}, code {run['digest']}, seed {run['seed']}, numpy {run['numpy']}.",
        "**Type I error**, one-sided 0.025, no effect:",
        table(rows, "null", "type_1_error"),
        "**Bias**, true difference −1.0 point at week 12 (shares: the difference of complete data):",
        table(rows, "effect", "bias"),
        "**Coverage** of the 95 % interval, same trials:",
        table(rows, "effect", "coverage"),
    ]
    return "\n\n".join(parts)


def main() -> None:
    """Put the tables between the marks of the page."""
    page = PAGE.read_text(encoding="utf-8")
    marked = re.compile(r"(<!-- tables -->\n).*?(<!-- end of tables -->)", re.S)
    PAGE.write_text(marked.sub(lambda m: m[1] + tables() + "\n\n" + m[2], page), encoding="utf-8")


if __name__ == "__main__":
    main()
