"""Wrong input leaves with 2, one line a problem that says where, what and what is allowed, and no folder."""

import pytest

from tests.cli.calling import Answer, call

HALF_A_MIXTURE = (
    "{kind: mixture, parts: [{from: {assume: 0}, weight: 0.5, because: a},"
    " {from: {assume: 1}, weight: 0.4, because: b}]}"
)
SIZE = "size={protocol: %s, power_scenario: %s, assurance_scenario: drawn}"

VALUES = [
    (
        "protocols.small.colour=red",
        "protocols.small: unknown key 'colour'",
        "allowed: adaptations, allocation, arms, blinding, eligibility",
    ),
    ("seeds=3", "unknown key 'seeds': did you mean 'seed'?", "allowed: name, protocols, region, replicates"),
    (
        "protocols.small.arms.1.treatment=drog",
        "protocols.small.arms[1].treatment: unknown treatment 'drog'",
        "did you mean 'drug'? allowed: drug, placebo",
    ),
    (
        "protocols.small.estimands.primary.visit=11",
        "protocols.small: estimands.primary.visit: there is no visit at week 11",
        "allowed: 2, 6, 12",
    ),
    ("protocols.small.visits=[0, 6, 2, 12]", "protocols.small: visits:", "must begin at 0 and increase"),
    ("protocols.small.visits=[1, 6, 12]", "protocols.small: visits:", "must begin at 0 and increase"),
    ("protocols.small.visits=[0, 6, .inf]", "protocols.small.visits[2]", "a finite number"),
    ("protocols.small.n=-5", "protocols.small.n", "greater than or equal to 2 (given: -5)"),
    ("protocols.small.sizes=[90]", "protocols.small: sizes", "from 2 to below n = 80"),
    ("protocols.small.looks=[]", "protocols.small.looks", "at least 1 item"),
    (
        "protocols.small.looks.0.rule.alpha=1.4",
        "protocols.small.looks[0].rule.alpha",
        "less than 1 (given: 1.4)",
    ),
    (
        "protocols.small.looks.0.analysis.kind=ancovaa",
        "protocols.small.looks[0].analysis: unknown kind 'ancovaa': did you mean 'ancova'?",
        "allowed: ancova",
    ),
    (
        "protocols.small.estimands.primary.endpoint=pian",
        "protocols.small: estimands.primary.endpoint: unknown endpoint 'pian': did you mean 'pain'?",
        "allowed: pain, pain_free, responder_30, responder_50",
    ),
    (
        "protocols.small.estimands.primary.contrast.to=kontrol",
        "protocols.small: estimands.primary.contrast: unknown arm 'kontrol'",
        "allowed: active, control",
    ),
    ("protocols.small=null", "protocols.small", "expected a mapping"),
    (
        "scenarios.expected.population.variation.lasting_share.assume=1.4",
        "scenarios.expected.population.variation.lasting_share: 1.4",
        "the allowed range 0 to 1",
    ),
    (
        "scenarios.expected.recruitment={assume: .nan, because: x}",
        "scenarios.expected.recruitment.assume",
        "a finite number",
    ),
    ("scenarios.expected.recruitment={assume: 2}", "scenarios.expected.recruitment.because", "required"),
    ("scenarios.expected.recruitment=2", "scenarios.expected.recruitment", "allowed: assume, beta"),
    (
        "scenarios.expected.recruitment={value: 2, source: nobody2001}",
        "scenarios.expected.recruitment.source: unknown source 'nobody2001'",
        "allowed: nothing",
    ),
    (
        "scenarios.expected.treatments.drug.effect.plateau={synthesis: cronic, treatment: snri}",
        "scenarios.expected.treatments.drug.effect.plateau.synthesis: unknown synthesis 'cronic'",
        "allowed: nothing",
    ),
    (
        f"scenarios.expected.treatments.drug.effect.plateau={HALF_A_MIXTURE}",
        "scenarios.expected.treatments.drug.effect.plateau: the weights of the parts sum to 0.9",
        "must sum to 1",
    ),
    (SIZE % ("small", "expectd"), "size.power_scenario: unknown name 'expectd'", "allowed: drawn, expected"),
    (SIZE % ("smal", "expected"), "size.protocol: unknown name 'smal'", "allowed: small"),
    ("replicates=0", "replicates: input should be", "greater than or equal to 1 (given: 0)"),
    (
        "replicates={until: {metric: power, mcse: 2}, at_most: 9}",
        "replicates.until.mcse",
        "less than 0.5 (given: 2)",
    ),
    ("seed=-1", "seed", "greater than or equal to 0 (given: -1)"),
    ("schema=9", "schema", "only schema 1"),
]

ASSIGNMENTS = [
    ("protocols.smal.n=30", "--set protocols.smal.n: there is no 'smal'", "did you mean 'small'?"),
    ("protocols.small.n.x=30", "--set protocols.small.n.x", "nothing below 'x' can be set"),
    ("protocols.small.arms.7.name=x", "--set protocols.small.arms.7.name", "a list of 2"),
    ("nothing", "--set nothing", "expected PATH=VALUE"),
    ("seed=[1", "--set seed", "not valid YAML"),
]

FILES = {
    "empty": (b"", ": empty", "expected a YAML mapping"),
    "syntax": (b"seed: 1\nprotocols: [1,\nb: 2\n", ":4: not valid YAML", "expected ',' or ']'"),
    "binary": (bytes(range(128, 256)), ": not a text file", "UTF-8 YAML is expected"),
    "control": (b"seed: \x00", ": not valid YAML", "special characters are not allowed"),
    "twice": (b"seed: 1\nseed: 2\n", ":2: not valid YAML", "the key 'seed' is given twice"),
    "a list": (b"- 1\n", ": expected a mapping", "got list"),
    "deep": (b"[" * 3000 + b"]" * 3000, ":1: not valid YAML", "nested more than 50 levels deep"),
    "circle": (b"a: &a [1, *a]\n", ":1: not valid YAML", "'a' stands inside what it names"),
    "no base": (b"from: nowhere.yaml\n", ": 'from: nowhere.yaml'", "no such file"),
    "own base": (b"from: study.yaml\n", ": 'from: study.yaml'", "leads back to itself"),
    "tag": (
        b"seed: !!python/name:x x\n",
        ":1: not valid YAML",
        "could not determine a constructor",
    ),
}

OPTIONS = [
    (["--foo"], "No such option: --foo"),
    (["--replicates", "x"], "'--replicates': Input should be a valid integer"),
    (["--workers", "0"], "'--workers': Input should be greater than or equal to 1"),
    (["--seed"], "--seed"),
    (["another.yaml"], "another.yaml"),
]

COMMANDS = [
    ([], "Missing argument 'STUDY.yaml'"),
    (["size", "STUDY"], "give one of --power, --assurance or --table"),
    (
        ["size", "STUDY", "--power", "0.9", "--assurance", "0.8"],
        "give one of --power, --assurance or --table",
    ),
    (["size", "STUDY", "--power", "1.4"], "--power: 1.4 is not a probability; allowed: above 0 and below 1"),
    (["boundaries", "--information", "0.5,x", "--spending", "pocock"], "--information"),
    (["boundaries", "--information", "0.5,1", "--spending", "pokok"], "pokok"),
    (["boundaries", "--information", "1,0.5", "--spending", "pocock"], "--information"),
    (["report", "nowhere"], "nowhere: no such folder"),
    (["fit", "nowhere.yaml"], "nowhere.yaml: no such file"),
    (["chek", "STUDY"], "No such command 'chek'"),
    (["evidence"], "Missing command"),
]


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    """Run each command where a results folder would be seen."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield
    assert not list((tmp_path / "here").iterdir()), "wrong input left something behind"


def refused(answer: Answer, *said: str, lines: int = 1) -> None:
    assert answer.code == 2
    assert answer.out == ""
    assert len(answer.errors) == lines
    assert all(line.startswith("sim: ") for line in answer.errors)
    for text in said:
        assert text in answer.errors[0]


@pytest.mark.parametrize(("assignment", "where", "allowed"), VALUES, ids=[v[0][:50] for v in VALUES])
def test_a_wrong_value_is_named_by_file_and_path(two_arm_file, capsys, assignment, where, allowed):
    for command in (["run", two_arm_file, "--out", "out"], ["check", two_arm_file]):
        answer = call(capsys, *command, "--set", assignment)
        refused(answer, f"sim: {two_arm_file}: {where}", allowed)


@pytest.mark.parametrize(("assignment", "where", "allowed"), ASSIGNMENTS)
def test_a_wrong_path_of_set_is_named(two_arm_file, capsys, assignment, where, allowed):
    refused(call(capsys, "run", two_arm_file, "--out", "out", "--set", assignment), where, allowed)


def test_a_name_that_cannot_name_a_file_is_refused(two_arm_file, tmp_path, capsys):
    file = tmp_path / "study.yaml"
    file.write_text(two_arm_file.read_text("utf-8").replace("  small:", "  sm/all:"), encoding="utf-8")
    refused(call(capsys, "run", file), f"{file}: protocols.sm/all: 'sm/all'", "text without '.', '/'")


def test_every_problem_has_its_own_line(two_arm_file, capsys):
    changes = ["--set", "protocols.small.n=-5", "--set", "seed=-1", "--set", "replicates=0"]
    refused(call(capsys, "run", two_arm_file, *changes), "seed", lines=3)


@pytest.mark.parametrize(("content", "what", "allowed"), FILES.values(), ids=FILES)
def test_a_file_that_cannot_be_read_is_named(tmp_path, capsys, content, what, allowed):
    file = tmp_path / "study.yaml"
    file.write_bytes(content)
    for command in (
        ["run", file, "--out", "out"],
        ["check", file],
        ["size", file, "--power", "0.9"],
        ["fit", file],
        ["replay", file, "--protocol", "p", "--scenario", "s", "--replicate", "0"],
    ):
        refused(call(capsys, *command), f"sim: {file}{what}", allowed)


def test_a_missing_file_and_a_folder_are_named(tmp_path, capsys):
    refused(call(capsys, "run", "nowhere.yaml"), "nowhere.yaml: no such file")
    refused(call(capsys, "run", tmp_path), f"{tmp_path}: a folder, expected a YAML file")


@pytest.mark.parametrize(("options", "said"), OPTIONS)
def test_a_wrong_option_is_named(two_arm_file, capsys, options, said):
    refused(call(capsys, "run", two_arm_file, "--out", "out", *options), said, "--help lists what is allowed")


@pytest.mark.parametrize(("arguments", "said"), COMMANDS)
def test_a_wrong_call_is_named(two_arm_file, capsys, arguments, said):
    arguments = [two_arm_file if argument == "STUDY" else argument for argument in arguments]
    refused(call(capsys, *(arguments or ["run"])), said)


def test_results_are_not_written_into_a_file_or_over_another_study(two_arm_file, tmp_path, capsys):
    taken = tmp_path / "taken"
    taken.write_text("mine", encoding="utf-8")
    refused(call(capsys, "run", two_arm_file, "--out", taken), f"{taken}: is a file")
    assert taken.read_text(encoding="utf-8") == "mine"
    other = tmp_path / "other"
    (other / "blocks").mkdir(parents=True)
    (other / "blocks" / "digest.txt").write_text("0123456789ab\n", encoding="utf-8")
    refused(call(capsys, "run", two_arm_file, "--out", other), "holds the results of another study")
    assert [file.name for file in other.rglob("*")] == ["blocks", "digest.txt"]
