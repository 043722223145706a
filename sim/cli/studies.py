"""Reading a study for a command, and ``sim check``: the trial in words."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from sim.archive import assumptions
from sim.cli.console import out, print_json
from sim.study import Study


def read_study(path: Path, assignments: Sequence[str] = ()) -> Study:
    """Read a study with the changes of the command line laid over it."""
    return Study.load(path, tuple(assignments))


def check(
    study: Annotated[Path, typer.Argument(help="The study's YAML file.", metavar="STUDY.yaml")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Change one value: PATH=VALUE; repeatable.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Check a study and say its trials in words, without running anything.

    Example: `sim check configs/studies/prt_replication.yaml`
    """
    spec = read_study(study, set_ or [])
    words = {name: protocol.words() for name, protocol in spec.protocols.items()}
    scenarios = {name: scenario.words() for name, scenario in spec.scenarios.items()}
    if json:
        print_json({"study": spec.name, "protocols": words, "scenarios": scenarios})
        return
    out.print(f"Study {spec.name}: valid.", markup=False)
    for name, sentences in words.items():
        out.print(f"\nProtocol {name}", style="bold", markup=False)
        for sentence in sentences:
            out.print(f"  {sentence}", markup=False)
    for name, sentence in scenarios.items():
        out.print(f"\nScenario {name}", style="bold", markup=False)
        out.print(f"  {sentence}", markup=False)
    out.print(
        f"\n{len(assumptions(spec))} claims are assumptions without a source; a run lists them.", markup=False
    )
