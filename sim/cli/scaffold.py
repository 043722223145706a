"""``sim init`` and ``sim schema``: what a new study starts from."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import typer

from sim.cli.console import out
from sim.core.errors import InputError
from sim.core.parts import Part
from sim.core.schema import json_schema
from sim.study import Study


def init(
    name: Annotated[str, typer.Argument(help="Name of the study, or path of its file.", metavar="NAME")],
) -> None:
    """Write NAME.yaml: a commented study that runs at once, on assumptions to be replaced.

    Example: `sim init my_trial`
    """
    file = Path(name if name.endswith(".yaml") else f"{name}.yaml")
    text = (files("sim.cli") / "first_study.yaml").read_text(encoding="utf-8")
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(text.replace("NAME", str(file.with_suffix(""))))
    except FileExistsError:
        raise InputError(f"{file}: is already there; choose another name") from None
    except OSError as error:
        raise InputError(f"{file}: cannot be written: {error.strerror}") from None
    out.print(f"wrote {file}; next: sim check {file}", markup=False)


def schema(
    of: Annotated[
        Literal["study", "synthesis", "adaptive"], typer.Argument(help="Which file to describe.")
    ] = "study",
) -> None:
    """Print the JSON Schema of a study, a synthesis or an adaptive design: editors complete and check by it.

    A file says where its schema is: `# yaml-language-server: $schema=study.schema.json`.

    Example: `sim schema study`
    """
    model: type[Part] = Study
    if of == "synthesis":
        from sim.synthesis import Synthesis

        model = Synthesis
    elif of == "adaptive":
        from sim.adaptive import AdaptiveStudy

        model = AdaptiveStudy
    print(json.dumps(json_schema(model), indent=2))
