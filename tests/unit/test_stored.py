"""Records read a few blocks at a time are those that are read at once."""

import numpy as np
import pytest

import sim.stored as module
from sim import Plan, Study, run
from sim.performance import at_visit, losses, mean_course, responder_intervals, summarise
from sim.results import Cell, read_blocks
from sim.stored import stored

USED = 600
"""Replicates that are read: the last block in part."""


@pytest.fixture(scope="module")
def study(two_arm) -> Study:
    protocols = {name: p.model_copy(update={"sizes": (40,)}) for name, p in two_arm.protocols.items()}
    scenarios = {"drawn": two_arm.scenarios["drawn"]}
    return two_arm.model_copy(update={"replicates": 640, "protocols": protocols, "scenarios": scenarios})


@pytest.fixture(scope="module")
def folder(study, tmp_path_factory):
    return run(study, Plan(workers=1), tmp_path_factory.mktemp("run")).folder


@pytest.fixture(params=[1, 2, 64])
def together(request, monkeypatch) -> int:
    monkeypatch.setattr(module, "AT_A_TIME", request.param)
    return int(request.param)


def same(first, second) -> bool:
    assert list(first) == list(second)
    return all(
        np.array_equal(np.asarray(first[name]), np.asarray(second[name]), equal_nan=name != "arm")
        if np.asarray(first[name]).dtype != object
        else (np.asarray(first[name]) == np.asarray(second[name])).all()
        for name in first
    )


def test_tables_are_the_same_however_many_blocks_are_read_together(study, folder, together):
    cell = Cell(*study.cells()[0])
    whole = read_blocks(folder, cell, USED)
    with stored(folder, cell, USED) as tables:
        used = {name: column for name, column in whole["estimates"].items() if name not in module.UNUSED}
        assert same(tables.estimates, used)
        assert same(tables.trials, whole["trials"])
        for arm in whole["arms"]["arm"].names:
            for week in np.unique(whole["arms"]["week"]):
                of_visit = dict(at_visit(whole["arms"], arm, week))
                del of_visit["arm"], of_visit["week"]
                assert same(tables.arms.at(arm, week), of_visit)
                assert len(of_visit["replicate"]) == USED


def test_a_failed_block_is_left_out(study, folder, together):
    cell = Cell(*study.cells()[0])
    file = cell.block_file(folder, 1)
    hidden = file.with_suffix(".aside")
    file.rename(hidden)
    cell.failure_file(folder, 1).write_text("made for a test")
    try:
        with stored(folder, cell, USED) as tables:
            assert len(tables.trials["replicate"]) == 2 * (USED - 128)
            assert not ((tables.trials["replicate"] >= 128) & (tables.trials["replicate"] < 256)).any()
    finally:
        hidden.rename(file)
        cell.failure_file(folder, 1).unlink()


def test_what_is_counted_is_the_same_to_the_last_digit(study, folder, together):
    names = study.cells()[0]
    protocol, scenario = study.protocols[names[0]], study.scenarios[names[1]]
    whole = read_blocks(folder, Cell(*names), USED)
    with stored(folder, Cell(*names), USED) as tables:
        now, before = (
            [
                *summarise(protocol, scenario, found[0], found[1], found[2]),
                *responder_intervals(protocol, found[1]),
                *mean_course(protocol, found[1]),
                *losses(protocol, scenario, found[1]),
            ]
            for found in (
                (tables.estimates, tables.arms, tables.trials),
                (whole["estimates"], whole["arms"], whole["trials"]),
            )
        )
    assert len(now) > 50
    assert repr(now) == repr(before)


def test_nothing_is_left_of_the_rows_that_waited(study, folder):
    before = sorted(folder.rglob("*"))
    with stored(folder, Cell(*study.cells()[0]), USED):
        pass
    assert sorted(folder.rglob("*")) == before
