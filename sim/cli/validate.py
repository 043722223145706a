"""``sim validate``: does this installation compute what it should? A dated report of declared checks."""

import hashlib
import platform
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import as_file, files
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from sim.archive import PACKAGES
from sim.cli.console import out
from sim.core.errors import InputError, RunError
from sim.core.streams import Streams
from sim.results import write_text
from sim.study import Study, code_digest

if TYPE_CHECKING:
    from sim.trial import TrialRecord

REGISTERED = (0.5285872485447844, 0.35051096456364306, 0.8520774702946287)
"""First uniform numbers of stream "check" of seed 1 and block 0: where they differ, every result does."""
RPACT = (
    ("obrien_fleming", (1 / 3, 2 / 3, 1.0), (3.4710914446541, 2.45443229863353, 2.00403557995285)),
    ("pocock", (1 / 3, 2 / 3, 1.0), (2.28947845645633, 2.28947845645633, 2.28947845645633)),
    ("ld_obrien_fleming", (0.5, 1.0), (2.96258804272755, 1.96859564632177)),
)
"""Efficacy bounds (z) of rpact 4.4.0 at one-sided 0.025, by shape and information."""
REPLICATES = 4096
LEVEL = 0.025
FALSE_ALARM_Z = 3.29
"""A correct program fails a simulated check once in a thousand times."""


@dataclass(frozen=True)
class Found:
    """What a check found, in words, and whether that is right."""

    passed: bool
    words: str


@dataclass(frozen=True)
class Check:
    """One claim about the installation, and what it is held against."""

    claim: str
    against: str
    look: Callable[[], Found]

    def found(self) -> Found:
        """Look; whatever goes wrong is a failure of the check, not of the report."""
        try:
            return self.look()
        except Exception as error:
            return Found(False, f"{type(error).__name__}: {error}")


def within(difference: float, allowed: float) -> Found:
    """Judge a largest difference."""
    return Found(bool(difference <= allowed), f"largest difference {difference:.1e}, allowed {allowed:.0e}")


def first_study() -> Study:
    """Read the study that ``sim init`` writes: on assumptions alone."""
    with as_file(files("sim.cli") / "first_study.yaml") as file:
        return Study.load(file)


def block(scenario: str) -> "TrialRecord":
    """Simulate the first block of it under a scenario."""
    from sim.claims import Draws
    from sim.trial import simulate

    study = first_study()
    draws = Draws(Streams(study.seed, 0), {})
    return simulate(study.protocols["fixed"], study.scenarios[scenario], draws)


def bounds() -> Found:
    """Solve group-sequential designs."""
    from sim.core.loading import validate as valid
    from sim.rules.boundaries import Design, solve

    furthest = 0.0
    for shape, information, expected in RPACT:
        tree = {"alpha": LEVEL, "information": information, "spending": {"kind": shape}}
        found = solve(valid(tree, Design, "check")).efficacy_z
        furthest = max(furthest, float(np.abs(found / np.array(expected) - 1).max()))
    return within(furthest, 1e-5)


def conjugate() -> Found:
    """Update a Beta(2, 3) with 7 of 10: it becomes Beta(9, 6)."""
    from sim.mixtures import BetaMixture

    prior = BetaMixture(np.ones(1), np.array([2.0]), np.array([3.0]))
    return within(abs(float(prior.posterior(7, 10).mean()) - 9 / 15), 1e-12)


def clipping() -> Found:
    """Compare the mean of a clipped normal variable with its integral."""
    from scipy.integrate import quad
    from scipy.stats import norm

    from sim.endpoints import clipped_mean

    mean, sd = 1.2, 2.4
    law = norm(mean, sd)
    integral = quad(lambda x: x * law.pdf(x), 0, 10, epsabs=1e-12)[0] + 10 * law.sf(10)
    return within(abs(float(clipped_mean(mean, sd, (0, 10))) - integral), 1e-9)


def streams() -> Found:
    """Draw the first numbers of a stream."""
    drawn = tuple(float(x) for x in Streams(1, 0)("check").random(3))
    return Found(drawn == REGISTERED, "the same numbers" if drawn == REGISTERED else f"{drawn}")


def ancova() -> Found:
    """Analyse 128 simulated trials, and each again by least squares."""
    record = block("expected")
    data, estimate = record.data, record.findings[0].estimate.estimate[0, -1]
    furthest = 0.0
    for r in range(data.arm.shape[1]):
        seen = ~np.isnan(data.score[:, r, -1])
        design = np.column_stack([np.ones(seen.sum()), data.arm[seen, r] == 1, data.baseline[seen, r]])
        effect = np.linalg.lstsq(design, data.score[seen, r, -1], rcond=None)[0][1]
        furthest = max(furthest, abs(effect - estimate[r]))
    return within(furthest, 1e-9)


def level() -> Found:
    """Simulate trials of a drug that is placebo under another name."""
    from sim.execution import Plan, run

    study = first_study().model_copy(update={"replicates": REPLICATES})
    study = study.model_copy(update={"scenarios": {"null": study.scenarios["null"]}})
    with TemporaryDirectory() as folder:
        table = run(study, Plan(workers=1), Path(folder)).characteristics
    rows = table[(table["metric"] == "type_1_error") & (table["estimand"] == "primary")]
    share = float(rows.sort_values("n")["value"].iloc[-1])
    allowed = FALSE_ALARM_Z * (LEVEL * (1 - LEVEL) / REPLICATES) ** 0.5
    return Found(abs(share - LEVEL) <= allowed, f"{share:.4f}, allowed {LEVEL} ± {allowed:.4f}")


def fingerprint() -> str:
    """Digest of every score of one block of the first study."""
    return hashlib.sha256(np.ascontiguousarray(block("drawn").data.score).tobytes()).hexdigest()


def reproducible() -> Found:
    """Compute one block here and in a new process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        there = pool.submit(fingerprint).result()
    return Found(fingerprint() == there, f"SHA-256 {there[:12]} in another process")


CHECKS = (
    Check("Group-sequential bounds", "rpact 4.4.0, three designs", bounds),
    Check("Update of a beta prior", "closed form", conjugate),
    Check("Mean of a clipped rating", "numerical integration", clipping),
    Check("Random streams", "numbers registered with the program", streams),
    Check("ANCOVA of 128 simulated trials", "least squares, trial by trial", ancova),
    Check("A block computed in another process", "the same block in this one, bit for bit", reproducible),
    Check(f"Type I error of {REPLICATES:,} simulated trials", f"{LEVEL}, a false alarm in a thousand", level),
)


def report(when: datetime, results: Sequence[tuple[Check, Found]]) -> Iterator[str]:
    """Write the lines of the report."""
    failed = sum(not found.passed for _, found in results)
    yield from ("# Validation of an installation of sim", "")
    yield f"{when:%Y-%m-%d %H:%M} UTC: {len(results) - failed} of {len(results)} checks passed."
    yield from ("", "| check | held against | found | result |", "|---|---|---|---|")
    for check, found in results:
        words = " ".join(found.words.split()).replace("|", "/")
        yield f"| {check.claim} | {check.against} | {words} | {'pass' if found.passed else '**FAIL**'} |"
    yield from (
        "",
        "## Installation",
        "",
        f"- {platform.platform()}",
        f"- Python {platform.python_version()}",
    )
    for package in PACKAGES:
        try:
            yield f"- {package} {version(package)}"
        except PackageNotFoundError:
            yield f"- {package} is not installed"
    yield f"- digest of the simulating code and its numerical libraries: {code_digest()}"
    yield from (
        "",
        "These checks say that this installation computes what the developers' did, in the places that",
    )
    yield "are looked at. They are no proof of fitness for a purpose; that judgement is the user's."


def validate(
    file: Annotated[
        Path | None, typer.Option("--out", help="File of the report; by default validation-DATE.md.")
    ] = None,
) -> None:
    """Check this installation against known results, and write a dated report; about half a minute.

    Example: `sim validate --out validation.md`
    """
    now = datetime.now(UTC)
    target = file or Path(f"validation-{now:%Y-%m-%d}.md")
    if target.is_dir():
        raise InputError(f"--out {target}: is a folder, expected a file to write")
    results = []
    for check in CHECKS:
        found = check.found()
        results.append((check, found))
        out.print(f"{'pass' if found.passed else 'FAIL'}  {check.claim}: {found.words}", markup=False)
    write_text(target, "\n".join(report(now, results)) + "\n")
    out.print(f"report: {target}", markup=False)
    failed = [check.claim for check, found in results if not found.passed]
    if failed:
        raise RunError(f"{len(failed)} of {len(results)} checks failed: {'; '.join(failed)}")
