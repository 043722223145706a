"""A study that is changed computes only the blocks that the change decides."""

import os
from pathlib import Path
from shutil import copytree

import pytest

import sim.study as study_module
from sim import Plan, Results, Study, run
from sim.claims import Assume
from sim.execution import Progress
from sim.results import Cell
from sim.sisters import take_over
from sim.study import Precision, Source, Until

CHARACTERISTICS = "operating_characteristics.csv"


BLOCKS = 2
"""Blocks of a cell."""


@pytest.fixture(scope="module")
def study(two_arm) -> Study:
    return two_arm.model_copy(update={"replicates": 200})


@pytest.fixture(scope="module")
def earlier(study, tmp_path_factory) -> Path:
    """A folder in which the study was run."""
    folder = tmp_path_factory.mktemp("earlier")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert run_and_count(study)[1] == BLOCKS * len(study.cells())
    return folder


@pytest.fixture
def place(earlier, tmp_path, monkeypatch) -> Path:
    """The working folder, with the results of that run."""
    copytree(earlier, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def counting() -> tuple[Progress, list[int]]:
    """Count the blocks that are computed: the first report says how many were there before."""
    computed: list[int] = []

    def progress(done: int, planned: int) -> None:
        computed.append(planned - done)

    return progress, computed


def run_and_count(study: Study, out: Path | None = None) -> tuple[Results, int]:
    progress, computed = counting()
    results = run(study, Plan(workers=1, progress=progress), out)
    return results, max(computed, default=0)


def with_scenarios(study: Study, **scenarios) -> Study:
    return study.model_copy(update={"scenarios": {**study.scenarios, **scenarios}})


def other(study: Study):
    """The expected scenario with patients who are recruited more slowly."""
    slower = Assume(assume=0.7, because="so that this cell has blocks of its own")
    return study.scenarios["expected"].model_copy(update={"recruitment": slower})


def block_of(place: Path, study: Study, number: int) -> Path:
    """Where the first run keeps a block of its first cell."""
    name = Cell(*study.cells()[0]).block_file(Path(), number)
    return next(iter(place.glob(f"results/*/*/{name}")))


def test_another_scenario_computes_only_its_own_blocks(study, place):
    more = with_scenarios(study, slower=other(study))
    second, computed = run_and_count(more)
    assert computed == BLOCKS * len(study.protocols)
    alone = run_and_count(more, place / "alone")[0]
    assert (second.folder / CHARACTERISTICS).read_bytes() == (alone.folder / CHARACTERISTICS).read_bytes()


def test_another_name_computes_nothing(study, place):
    renamed = {f"as_{name}": scenario for name, scenario in study.scenarios.items()}
    assert run_and_count(study.model_copy(update={"scenarios": renamed}))[1] == 0


def test_more_replicates_or_a_precision_that_is_there_compute_only_what_is_missing(study, place):
    assert run_and_count(study.model_copy(update={"replicates": 300}))[1] == len(study.cells())
    known = Until(until=Precision(metric="assurance", mcse=0.4), at_most=300)
    assert run_and_count(study.model_copy(update={"replicates": known}))[1] == 0


def test_another_source_or_other_counting_computes_nothing(study, place, monkeypatch):
    cited = study.model_copy(update={"sources": {**study.sources, "more": Source(citation="Another paper")}})
    assert run_and_count(cited)[1] == 0
    simulating = study_module.code_digest()
    changed = {False: simulating, True: "the code that counts, changed"}
    monkeypatch.setattr(study_module, "code_digest", lambda counting=False: changed[counting])
    assert run_and_count(cited)[1] == 0


def test_what_decides_a_block_is_in_its_name(study, monkeypatch):
    names = study.cells()[0]
    known = {study.cell_digest(*names, {})}
    protocols = {name: p.model_copy(update={"n": p.n + 2}) for name, p in study.protocols.items()}
    for change in (
        {"seed": study.seed + 1},
        {"protocols": protocols},
        {"scenarios": dict.fromkeys(study.scenarios, other(study))},
    ):
        known.add(study.model_copy(update=change).cell_digest(*names, {}))
    monkeypatch.setattr(study_module, "code_digest", lambda counting=False: "other code")
    known.add(study.cell_digest(*names, {}))
    assert len(known) == 5


def test_a_change_of_the_seed_computes_everything_again(study, place):
    assert run_and_count(study.model_copy(update={"seed": study.seed + 1}))[1] == BLOCKS * len(study.cells())


def test_a_folder_of_ones_own_takes_nothing_over(study, place):
    own = place / "results" / study.name / "mine"
    assert run_and_count(study, own)[1] == BLOCKS * len(study.cells())


def test_a_block_that_is_taken_over_is_one_file_and_outlives_the_other_run(study, place):
    first = block_of(place, study, 0)
    second = run_and_count(with_scenarios(study, slower=other(study)))[0].folder / "blocks" / first.name
    assert os.path.samefile(first, second)
    first.unlink()
    assert second.exists()


def test_where_a_file_cannot_have_two_names_the_block_is_copied(study, place, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError("this file system has no links")

    first = block_of(place, study, 0)
    monkeypatch.setattr(os, "link", refuse)
    second, computed = run_and_count(with_scenarios(study, slower=other(study)))
    assert computed == BLOCKS * len(study.protocols)
    assert first.read_bytes() == (second.folder / "blocks" / first.name).read_bytes()


def test_a_damaged_block_or_note_of_another_run_is_not_believed(study, place):
    damaged = block_of(place, study, 1)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 3] ^= 1
    damaged.write_bytes(bytes(content))
    more = with_scenarios(study, slower=other(study))
    assert run_and_count(more)[1] == BLOCKS * len(study.protocols) + 1
    for note in place.glob("results/*/*/blocks/cells.json"):
        note.write_text("[1, 2")
    take_over(place / "results" / study.name / "new", {Cell("a", "b"): "digest"}, range(2))
