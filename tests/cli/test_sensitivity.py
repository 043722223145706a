"""``sim sensitivity``, and what ``sim run`` and ``sim report`` do with it."""

import json

from sim import Results
from tests.cli.calling import call


def test_a_run_keeps_examples_and_the_variations_that_the_study_asks_for(two_arm_file, tmp_path, capsys):
    accrual = "{what: accrual, claims: [recruitment], by: [0.5, 2], because: test}"
    asked = f"sensitivity={{replicates: 128, vary: [{accrual}]}}"
    more = ["--replicates", "128", "--workers", "1", "--set", asked, "--out", tmp_path]
    assert call(capsys, "run", two_arm_file, *more).code == 0
    results = Results.open(tmp_path)
    assert {"success", "no success"} <= set(results.table("examples")["example"])
    assert set(results.table("sensitivity")["what"].dropna()) == {"accrual"}
    assert '"name": "accrual \\u00d7 2"' in (tmp_path / "explorer.html").read_text(encoding="utf-8")
    for name in ("schema", "examples", "sensitivity"):
        assert all((tmp_path / "figures" / f"{name}.{kind}").stat().st_size for kind in ("png", "svg", "csv"))
    again = ["sensitivity", tmp_path / "study.yaml", "--workers", "1", "--out", tmp_path]
    told = call(capsys, *again, "--json")
    written = results.table("sensitivity")
    assert [row["value"] for row in json.loads(told.out)["sensitivity"]] == list(written["value"])
    assert "the differences are paired" in call(capsys, *again).out
    refused = call(capsys, "report", tmp_path, "--format", "pdf")
    assert refused.code == 2
    assert "unknown form 'pdf'" in refused.errors[0]
