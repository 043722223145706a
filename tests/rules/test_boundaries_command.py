"""``sim boundaries`` as the outside sees it."""

import json

import pytest
import typer
from typer.testing import CliRunner

from sim.cli.boundaries import boundaries
from sim.core.errors import InputError
from sim.rules.boundaries import Design, solve
from sim.rules.spending import parse_spending

app = typer.Typer()
app.command()(boundaries)
LOOKS = ["--information", "0.5,0.75,1", "--spending", "ld_obrien_fleming"]
KEYS = ["efficacy_z", "futility_z", "nominal_p", "alpha_spent", "beta_spent", "inflation", "expected_n_ratio"]


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_json_is_one_object_with_the_promised_keys() -> None:
    given = json.loads(printed(*LOOKS, "--futility", "hsd:-2", "--beta", "0.2", "--binding", "--json"))
    assert list(given) == KEYS
    assert list(given["expected_n_ratio"]) == ["null", "half", "full"]
    spending, futility = parse_spending("ld_obrien_fleming", ""), parse_spending("hsd:-2", "")
    looks = (0.5, 0.75, 1)
    found = solve(Design(information=looks, beta=0.2, spending=spending, futility=futility, binding=True))
    for name in KEYS[:-1]:
        assert given[name] == pytest.approx(getattr(found, name), rel=1e-12)
    assert given["expected_n_ratio"]["half"] == pytest.approx(found.expected_n_ratio(0.5), rel=1e-12)


def test_a_bound_that_does_not_exist_is_null() -> None:
    given = json.loads(printed("--information", "0.5,1", "--spending", "user:0,0.025", "--json"))
    assert given["efficacy_z"][0] is None
    assert given["futility_z"] is None


def test_without_json_people_can_read_it() -> None:
    text = printed(*LOOKS, "--futility", "z:0,0.5")
    assert "efficacy z" in text
    assert "2.9626" in text
    assert "Maximum sample size" in text


def test_help_has_an_example() -> None:
    assert "sim boundaries --information 0.5,0.75,1" in " ".join(printed("--help").split())


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--alpha", "1.4"], "--alpha: input should be less than 0.5 (given: 1.4)"),
        (["--information", "0.5,0.4,1"], "--information: fractions must increase"),
        (["--information", "0.5,x"], "--information: expected numbers separated by commas (given: '0.5,x')"),
        (
            ["--spending", "pococ"],
            "--spending: unknown spending 'pococ': did you mean 'pocock'? allowed: haybittle",
        ),
        (["--spending", "z:1,2"], "--spending: unknown spending 'z': allowed: "),
        (["--spending", "hsd"], "--spending: hsd:GAMMA: expected numbers"),
        (["--spending", "hsd:1,2"], "--spending: hsd:GAMMA: expected one number (given: 'hsd:1,2')"),
        (["--spending", "pocock:1"], "--spending: 'pocock' takes no number (given: 'pocock:1')"),
        (["--spending", "kim_demets:-1"], "--spending: rho: input should be greater than 0 (given: -1.0)"),
        (["--spending", "user:0.01,0.025"], "--spending: needs 3 values, one a look (given: 2)"),
        (["--spending", "user:0.02,0.01,0.025"], "--spending: the cumulative error must not fall"),
        (["--futility", "z:0"], "--futility: needs 2 values, one an interim look (given: 1)"),
        (["--futility", "z:3,3"], "--futility: the bound meets the efficacy bound (2.963) at look 1"),
        (["--futility", "pocock", "--sided", "2"], "--futility: a futility bound needs sided 1"),
    ],
)
def test_wrong_input_is_one_line_that_names_the_option(arguments: list[str], line: str) -> None:
    result = CliRunner().invoke(app, [*LOOKS, *arguments])
    assert isinstance(result.exception, InputError)
    assert len(result.exception.problems) == 1
    assert result.exception.problems[0].startswith(line)
    assert result.stdout == ""
