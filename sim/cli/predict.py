"""``sim predict``: when a running trial will have all its patients, from what its sites have recruited."""

import csv
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from sim.cli.console import out, print_json
from sim.core.errors import InputError
from sim.core.streams import Streams
from sim.recruitment_forecast import Forecast, Progress, Rates

COLUMNS = ("site", "opened", "randomised")
LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
LONGEST = 52 * 100
"""Weeks after which a date is not told."""
MONTH = 365.25 / 12 / 7
"""Weeks."""


@dataclass(frozen=True)
class Site:
    """One site as the file has it.

    Attributes
    ----------
    patients
        Randomised up to now.
    dates
        When, where the file says it.
    """

    name: str
    opened: date
    closed: date | None
    patients: int
    dates: tuple[date, ...]


def predict(  # noqa: PLR0913, one parameter an option
    file: Annotated[Path, typer.Argument(help="Sites and their patients.", metavar="SITES.csv")],
    target: Annotated[int, typer.Option(help="Patients wanted in all.", min=1)],
    on: Annotated[str, typer.Option(help="Day up to which the file is complete, YYYY-MM-DD.")],
    by: Annotated[str | None, typer.Option(help="Day for which a probability is wanted.")] = None,
    rate: Annotated[
        float | None, typer.Option(help="Mean rate of a site, patients a month, instead of a learned one.")
    ] = None,
    shape: Annotated[
        float | None, typer.Option(help="Gamma shape of the sites' rates, instead of a learned one.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Draw the patients by week here, as PNG, with SVG and CSV beside it.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the draws.", min=0)] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Predict when a running trial will have all its patients, with intervals.

    SITES.csv has the columns site, opened (YYYY-MM-DD; in the future: planned) and randomised: either a row a
    site with the number of its patients, or a row a patient with the day (empty: a site without a patient).
    A column closed is optional. Rates of sites differ by a gamma distribution; its mean and shape are learned
    from the sites, beside what trials report.

    Example: `sim predict sites.csv --target 300 --on 2026-11-21 --by 2027-12-31`
    """
    today, last = _day(on, "--on"), None if by is None else _day(by, "--by")
    sites = read_sites(file, today)
    progress = progress_of(sites, today)
    if (rate is None) != (shape is None):
        raise InputError("sim predict: --rate and --shape go together")
    if rate is not None and shape is not None:
        if rate <= 0 or shape <= 0:
            raise InputError("--rate, --shape: must be above 0")
        rates = Rates.known(rate / MONTH, shape)
    else:
        rates = Rates.learned(progress)
    recruited = sum(site.patients for site in sites)
    forecast = Forecast.make(progress, target - recruited, rates, Streams(seed, 0))
    asked = None if last is None else (last.isoformat(), forecast.by((last - today).days / 7))
    content = _content(forecast, today, asked)
    if figure is not None:
        draw(forecast, (target, recruited), history(sites, today), figure)
    content |= {"randomised": recruited, "target": target, "sites": _rates(sites, progress, rates, seed)}
    if json:
        print_json(content)
    else:
        _show(content, target, today)


def read_sites(file: Path, today: date) -> list[Site]:
    """Read the sites and their patients.

    Raises
    ------
    InputError
        The file is missing, lacks a column, or a row is wrong: with the file and the row.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read ({error})") from None
    reader = csv.DictReader(text.splitlines())
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise InputError(f"{file}: no column {', '.join(missing)}; needed: {', '.join(COLUMNS)}")
    rows = [(f"{file}, row {number}", row) for number, row in enumerate(reader, start=2)]
    if not rows:
        raise InputError(f"{file}: has no rows")
    told = [(row["randomised"] or "").strip() for _, row in rows]
    counted = all(value.isdecimal() for value in told if value) and any(told)
    return _counted(rows, today) if counted else _dated(rows, today)


Rows = list[tuple[str, dict[str, Any]]]


def _counted(rows: Rows, today: date) -> list[Site]:
    """Read a row a site."""
    names = [row["site"] for _, row in rows]
    sites = []
    for where, row in rows:
        if names.count(row["site"]) > 1:
            raise InputError(f"{where}: site '{row['site']}' has two rows; with counts it has one")
        sites.append(_site(where, row, today, int((row["randomised"] or "0").strip() or 0), ()))
    return sites


def _dated(rows: Rows, today: date) -> list[Site]:
    """Read a row a patient."""
    first: dict[str, tuple[str, dict[str, Any]]] = {}
    days: dict[str, list[date]] = {}
    for where, row in rows:
        known = first.setdefault(row["site"], (where, row))[1]
        if any(known.get(name) != row.get(name) for name in ("opened", "closed")):
            raise InputError(f"{where}: site '{row['site']}' has other dates than in an earlier row")
        mine = days.setdefault(row["site"], [])
        if (row["randomised"] or "").strip():
            day = _day(row["randomised"], f"{where}, randomised")
            if not _day(row["opened"], f"{where}, opened") <= day <= today:
                raise InputError(f"{where}: {day} is before the site opened or after {today}")
            mine.append(day)
    return [
        _site(where, row, today, len(days[name]), tuple(sorted(days[name])))
        for name, (where, row) in first.items()
    ]


def _site(where: str, row: dict[str, Any], today: date, patients: int, days: tuple[date, ...]) -> Site:
    opened = _day(row["opened"], f"{where}, opened")
    closed = _day(row["closed"], f"{where}, closed") if (row.get("closed") or "").strip() else None
    if closed is not None and closed <= opened:
        raise InputError(f"{where}: the site closed on {closed}, which is not after it opened")
    if opened >= today and patients:
        raise InputError(f"{where}: {patients} patients at a site that has not been open before {today}")
    return Site(row["site"], opened, closed, patients, days)


def _day(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text.strip())
    except (ValueError, AttributeError):
        raise InputError(f"{where}: '{text}' is no day; write YYYY-MM-DD") from None


def progress_of(sites: list[Site], today: date) -> Progress:
    """Say in weeks what the sites have done and will do."""
    until = [min(site.closed or today, today) for site in sites]
    closes = [np.inf if site.closed is None else (site.closed - today).days / 7 for site in sites]
    weeks = [(end - site.opened).days / 7 for site, end in zip(sites, until, strict=True)]
    return Progress(
        recruited=np.array([float(site.patients) for site in sites]),
        open_weeks=np.maximum(weeks, 0.0),
        opens_in=np.array([max((site.opened - today).days / 7, 0.0) for site in sites]),
        closes_in=np.maximum(closes, 0.0),
    )


def history(sites: list[Site], today: date) -> dict[float, int]:
    """Count the patients by weeks from today; one number, today's, where no days are known."""
    days = sorted(day for site in sites for day in site.dates)
    if not days:
        return {0.0: sum(site.patients for site in sites)}
    first = min(site.opened for site in sites)
    counts = {(day - today).days / 7: number for number, day in enumerate(days, start=1)}
    return {(first - today).days / 7: 0} | counts | {0.0: len(days)}


def draw(forecast: Forecast, patients: tuple[int, int], seen: dict[float, int], file: Path) -> None:
    """Draw a fan of the patients by week; ``patients`` are the target and those randomised up to now."""
    import pandas as pd

    from sim.report.figures.operations import recruitment_fan
    from sim.report.figures.style import save

    if file.suffix != ".png":
        raise InputError(f"--figure {file}: give a file that ends in .png")
    target, recruited = patients
    last = min(forecast.quantile(0.95) * 1.05, LONGEST)
    weeks = np.linspace(0.0, last, 60) if forecast.missing > 0 else np.zeros(1)
    low, mean, high = recruited + forecast.patients(weeks, np.array([0.05, 0.5, 0.95]), Streams(1, 0))
    future = pd.DataFrame({"week": weeks, "mean": mean, "low": low, "high": high})
    past = pd.DataFrame({"week": list(seen), "seen": list(seen.values())})
    both = pd.concat([past, future], ignore_index=True)
    words = ("weeks from today", "median", "where 90 % of the chance lies")
    save(recruitment_fan(both, target, words), file, both)


def _content(forecast: Forecast, today: date, asked: tuple[str, float] | None) -> dict[str, Any]:
    dates = {f"{level:g}": _date(today, forecast.quantile(level)) for level in LEVELS}
    found: dict[str, Any] = {"on": today.isoformat(), "missing": max(forecast.missing, 0), "complete": dates}
    weeks = {f"{level:g}": _finite(forecast.quantile(level)) for level in LEVELS}
    found |= {"weeks": weeks, "never": float(np.mean(np.isinf(forecast.complete)))}
    return found if asked is None else found | {"by": asked[0], "probability_by": asked[1]}


def _date(today: date, weeks: float) -> str | None:
    return (today + timedelta(days=round(weeks * 7))).isoformat() if weeks < LONGEST else None


def _finite(weeks: float) -> float | None:
    return weeks if weeks < LONGEST else None


def _rates(sites: list[Site], progress: Progress, rates: Rates, seed: int) -> list[dict[str, Any]]:
    drawn = rates.draw(progress, 4000, Streams(seed, 0)) * MONTH
    low, middle, high = np.quantile(drawn, [0.05, 0.5, 0.95], axis=1)
    return [
        {"site": site.name, "randomised": site.patients, "open_weeks": float(progress.open_weeks[i])}
        | {"a_month": float(middle[i]), "a_month_low": float(low[i]), "a_month_high": float(high[i])}
        for i, site in enumerate(sites)
    ]


def _show(content: dict[str, Any], target: int, today: date) -> None:
    out.print(f"{content['randomised']} of {target} patients randomised by {today}.", markup=False)
    if content["missing"] == 0:
        out.print("Recruitment is complete.", markup=False)
        return
    late = f"not within {LONGEST // 52} years"
    ends = {level: day or late for level, day in content["complete"].items()}
    out.print(
        f"The last patient: {ends['0.5']} (half of the chance between {ends['0.25']} and {ends['0.75']}, "
        f"nine tenths between {ends['0.05']} and {ends['0.95']}).",
        markup=False,
    )
    if "by" in content:
        out.print(
            f"Complete by {content['by']} with probability {content['probability_by']:.2f}.", markup=False
        )
    table = Table("site", "randomised", "weeks open", "patients a month (90 % interval)")
    for row in content["sites"]:
        interval = f"{row['a_month']:.2f} ({row['a_month_low']:.2f} to {row['a_month_high']:.2f})"
        table.add_row(row["site"], str(row["randomised"]), f"{row['open_weeks']:.0f}", interval)
    out.print(table)
