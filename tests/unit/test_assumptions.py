"""What a run says of the claims that no reported number carries, and that a fit made again is read again."""

import os
from pathlib import Path
from types import MappingProxyType

import numpy as np

from sim import Study
from sim.archive import assumptions, contradictions, disagreements, write_assumptions
from sim.claims import Posterior
from sim.execution import draws_of

TESTS = Path(__file__).parents[1]
PLATEAU = "treatments.combination.effect.plateau"


def toy(mean: float) -> dict[str, Posterior]:
    arrays = {
        "digest": np.array("d"),
        "treatments": np.array(["other", "talking"]),
        "effect_new": np.random.default_rng(0).normal(mean, 0.01, (500, 2)),
    }
    return {"toy": Posterior("toy", MappingProxyType(arrays))}


def test_a_borrowed_claim_is_told_with_its_parts_and_weights():
    study = Study.load(TESTS / "report" / "borrowing.yaml")
    told = {place: (words, why) for place, words, why in assumptions(study)}
    assert told[PLATEAU][1].startswith("borrowed")
    assert told[f"{PLATEAU}.parts[0]"] == (
        "weight 0.6: other, in a new trial, from the synthesis 'toy'",
        "a component",
    )
    assert told[f"{PLATEAU}.parts[1]"] == ("weight 0.4: normal, mean 0, SD 1", "robust")
    assert not [place for place in told if place.endswith(".from")]


def test_a_vague_part_and_a_sceptical_factor_are_assumptions(two_arm_file):
    vague = "{kind: normal, mean: 0, sd: 1, because: robust}"
    study = Study.load(
        two_arm_file,
        (
            "syntheses={toy: {kind: longitudinal_nma, name: toy}}",
            "scenarios.expected.treatments.drug.effect.plateau="
            f"{{synthesis: toy, treatment: other, robust_weight: 0.2, vague: {vague}}}",
            "scenarios.expected.claims={kind: sceptical, factor: {assume: 0.5, because: unfunded}}",
        ),
    )
    told = {place: (words, why) for place, words, why in assumptions(study)}
    assert told["treatments.drug.effect.plateau.vague"] == ("weight 0.2: normal, mean 0, SD 1", "robust")
    assert told["claims.factor"] == ("0.5 (assumed)", "unfunded")


def test_parts_that_disagree_are_warned_of():
    study = Study.load(TESTS / "report" / "borrowing.yaml")
    assert not disagreements(study, toy(-0.5))
    (said,) = disagreements(study, toy(-3.0))
    assert said.startswith(f"`{PLATEAU}`: other")
    assert "standard deviations apart" in said


def test_what_disagrees_is_read_back_from_the_runs_folder(tmp_path):
    study = Study.load(TESTS / "report" / "borrowing.yaml")
    assert contradictions(tmp_path) == []
    write_assumptions(tmp_path, study, toy(-0.5))
    assert contradictions(tmp_path) == []
    write_assumptions(tmp_path, study, toy(-3.0))
    (said,) = contradictions(tmp_path)
    assert said == f"{disagreements(study, toy(-3.0))[0]}."


def test_a_fit_made_again_at_the_same_place_is_read_again(tmp_path):
    file = tmp_path / "draws.npz"
    for digest in ("one", "two"):
        np.savez(file, digest=np.array(digest), new_mean=np.zeros(5))
        os.utime(file, ns=(0, 0) if digest == "one" else (1, 1))
        assert draws_of(1, 0, (("arm", str(file)),)).posterior("arm").digest == digest
