"""What editors show: every field is described, wherever the schema is made."""

import csv
import json
import subprocess
import sys
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from sim.adaptive import AdaptiveStudy
from sim.core.loading import read_yaml
from sim.core.parts import Part
from sim.core.schema import DESCRIPTIONS, OF_A_FILE, json_schema
from sim.study import Study
from sim.synthesis import Synthesis

schema_of = cache(json_schema)


def fields(model: type[Part]) -> dict[str, dict[str, object]]:
    schema = schema_of(model)
    parts = {model.__name__: schema, **schema["$defs"]}
    return {
        f"{part.split('__')[-1]}.{key}": field
        for part, definition in parts.items()
        for key, field in definition.get("properties", {}).items()
        if key not in (*OF_A_FILE, "kind")
    }


@pytest.mark.parametrize("model", [Study, Synthesis, AdaptiveStudy])
def test_every_field_has_a_description_or_is_a_part_that_has_one(model):
    bare = [
        name
        for name, field in fields(model).items()
        if "description" not in field and "$ref" not in str(field)
    ]
    assert bare == [], f"give Field(description=...) or a row in {DESCRIPTIONS.name}"


def test_every_description_in_the_table_is_shown_somewhere():
    shown = {field.get("description") for model in (Study, Synthesis) for field in fields(model).values()}
    with DESCRIPTIONS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["field"] for row in rows}) == len(rows)
    assert [row["field"] for row in rows if row["description"] not in shown] == []


def test_what_a_part_says_itself_comes_first_and_defaults_are_told():
    known = fields(Study)
    assert known["Estimand.visit"]["description"] == "weeks since randomisation"
    assert known["PosteriorClaim.study"]["description"] == "take this study's own shrunken value"
    assert known["Arm.ratio"]["description"] == "patients of this arm for each patient of an arm with ratio 1"
    assert (known["Arm.ratio"]["default"], known["Arm.ratio"]["minimum"]) == (1, 1)


def _definitions(code: str) -> dict[str, Any]:
    """Run code that prints a schema in a process of its own."""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(answer.stdout)["$defs"]


def test_the_schema_is_the_same_in_a_process_that_has_loaded_nothing_else():
    """Two parts of one name are told apart by their modules, so only the last piece of a name is compared."""
    code = (
        "import json; from sim.core.schema import json_schema; from sim.study import Study; "
        "print(json.dumps(json_schema(Study)))"
    )
    loaded = "from sim.cli.app import command; command(); "
    alone, among = (_definitions(first + code) for first in ("", loaded))
    assert sorted(name.split("__")[-1] for name in alone) == sorted(name.split("__")[-1] for name in among)
    assert len(alone["Spending"]["anyOf"]) > 5


def test_every_adaptive_design_fits_its_schema(configs):
    validator = Draft202012Validator(schema_of(AdaptiveStudy))
    designs = sorted((configs / "adaptive").glob("*.yaml"))
    assert designs
    for file in designs:
        validator.validate(json.loads(json.dumps(read_yaml(file))))
        assert not validator.is_valid({**read_yaml(file), "colour": "red"})


def test_what_init_writes_names_its_schema_and_fits_it():
    file = Path(str(files("sim.cli") / "first_study.yaml"))
    assert "# yaml-language-server: $schema=study.schema.json" in file.read_text(encoding="utf-8")
    Draft202012Validator(schema_of(Study)).validate(json.loads(json.dumps(read_yaml(file))))
