"""``sim export``: data that other programs read."""

import shutil
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sim.cli.console import out
from sim.cli.run import find_posteriors
from sim.core.errors import InputError, RunError
from sim.execution import Plan
from sim.replay import Trial, rebuild
from sim.results import Results, write_csv, write_text
from sim.study import MOST_REPLICATES, Study


def export(
    folder: Annotated[
        Path, typer.Argument(help="Folder of a finished run; for rbest, of a fit.", metavar="DIR")
    ],
    form: Annotated[
        Literal["adam", "airship", "rbest"],
        typer.Option(
            "--format", help="adam: one trial; airship: the grid of results; rbest: effects as priors."
        ),
    ],
    target: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
    protocol: Annotated[str | None, typer.Option(help="Name of the protocol (adam).")] = None,
    scenario: Annotated[str | None, typer.Option(help="Name of the scenario (adam).")] = None,
    replicate: Annotated[
        int, typer.Option(help="Which trial, from 0 (adam).", min=0, max=MOST_REPLICATES - 1)
    ] = 0,
) -> None:
    """Write a run or a fit in the form of other programs.

    adam: one trial as ADSL, ADQS and ADAE, each as Parquet, CSV and SAS transport file. airship: the
    operating characteristics as the CSV that the Airship viewer loads. rbest: the effect of each treatment
    in a new trial as a mixture in RBesT's JSON.

    Example: `sim export results/acute_nsaid/0123456789ab --format adam --protocol fixed --scenario reported
    --replicate 7 --out data`
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    if target.exists() and not target.is_dir():
        raise InputError(f"--out {target}: is a file, expected a folder")
    if form == "adam":
        written = _adam(Results.open(folder), (protocol, scenario), replicate, target)
    elif form == "airship":
        written = [_airship(Results.open(folder), target)]
    else:
        written = _rbest(folder, target)
    for file in written:
        out.print(str(file), markup=False)


def _adam(results: Results, names: tuple[str | None, str | None], replicate: int, target: Path) -> list[Path]:
    from sim.export.adam import Adam
    from sim.export.datasets import dictionary

    study = Study.load(results.folder / "study.yaml")
    chosen = (
        _chosen("--protocol", names[0], study.protocols),
        _chosen("--scenario", names[1], study.scenarios),
    )
    trial = rebuild(study, chosen, replicate, Plan(posteriors=find_posteriors(study)))
    check_against_the_run(trial, results, chosen, replicate)
    datasets = Adam(study.name, trial).datasets()
    written = [file for dataset in datasets for file in dataset.write(target)]
    write_csv(target / "variables.csv", dictionary(datasets))
    return [*written, target / "variables.csv"]


def _chosen(option: str, name: str | None, parts: dict[str, Any]) -> str:
    """Take the only part where none is named; ``rebuild`` refuses an unknown name."""
    if name is None and len(parts) > 1:
        raise InputError(f"{option}: which one? allowed: {', '.join(parts)}")
    return name if name is not None else next(iter(parts))


def check_against_the_run(trial: Trial, results: Results, names: tuple[str, str], replicate: int) -> None:
    """Refuse a trial that is not the one that the run counted, as after a change of the code.

    A replicate that the run did not reach is not checked.
    """
    used = results.provenance["replicates"].get(".".join(names), 0)
    if replicate >= used:
        return
    rows = results.records(*names)
    rows = rows[rows["replicate"] == replicate]
    counted = [float(value) for value in rows["estimate"] if value == value]
    rebuilt = [row["estimate"] for row in trial.looks if row["estimate"] is not None]
    if len(rows) and counted != rebuilt:
        raise RunError(
            f"{results.folder}: this version of sim gives another trial than the one that was counted; "
            "run the study again"
        )


def _airship(results: Results, target: Path) -> Path:
    from sim.export.airship import grid

    file = target / "airship.csv"
    rows = grid(results.characteristics).to_dict("records")
    write_csv(file, [{str(key): value for key, value in row.items()} for row in rows])
    return file


def _rbest(fit: Path, target: Path) -> list[Path]:
    from sim.claims import Posterior
    from sim.export.rbest import priors
    from sim.mixtures import to_json

    if (fit / "mixture.json").exists():  # the prior of a control arm is a mixture already
        target.mkdir(parents=True, exist_ok=True)
        return [Path(shutil.copyfile(fit / "mixture.json", target / "mixture.json"))]
    if not (fit / "draws.npz").exists():
        raise InputError(f"{fit}: holds no fit (no draws.npz); `sim fit` says where it writes")
    found = list(priors(Posterior.read(fit.name, fit / "draws.npz")))
    for prior in found:
        write_text(target / f"{prior.treatment}.json", to_json(prior.mixture) + "\n")
    rows = [
        {
            "treatment": prior.treatment,
            "mean": prior.mean,
            "sd": prior.sd,
            "components": prior.mixture.size,
            "furthest": prior.furthest,
        }
        for prior in found
    ]
    write_csv(target / "priors.csv", rows)
    return [*(target / f"{prior.treatment}.json" for prior in found), target / "priors.csv"]
