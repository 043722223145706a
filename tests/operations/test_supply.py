"""Kits at the sites against a plain loop over the days, and what runs out."""

import numpy as np
import pytest

from sim.core.errors import InputError
from sim.core.loading import validate
from sim.core.streams import BLOCK_SIZE, Streams
from sim.operations.supply import Parcels, Shelf, Supply, Takers
from tests.operations.test_sites import intake, sites

KEYS = {"arms": ["therapy"], "weeks_a_kit": 4, "stock": 4, "reorder_at": 1}


def supply(**keys) -> Supply:
    return validate({**KEYS, **keys}, Supply, "test")


def takers(ready: list[float], weeks: float = 12, latest: float = np.inf, gone: float = np.inf) -> Takers:
    return Takers(ready, [weeks] * len(ready), [latest] * len(ready), [gone] * len(ready))


def dispensed(shelf: Shelf, asked: Takers) -> Shelf:
    shelf.send(asked)
    shelf.run()
    return shelf


def test_a_course_takes_as_many_kits_as_it_has_weeks():
    shelf = dispensed(Shelf(supply(stock=9), Parcels(0, np.inf), 0), takers([0.0, 1.0], weeks=10))
    assert shelf.begin == [0, 1]
    assert shelf.kits == [3, 3]
    assert shelf.gap == [0, 0]
    assert shelf.shipped == 9  # three are left, which is above one


def test_who_finds_no_kit_waits_for_the_next_parcel():
    """Two kits, both taken; the second is the last but none, so two more come three weeks later."""
    shelf = dispensed(Shelf(supply(stock=2, reorder_at=0), Parcels(3, np.inf), 0), takers([0, 1, 2], weeks=4))
    assert shelf.begin == [0, 1, 4]
    assert shelf.shipped == 4


def test_a_later_kit_that_is_missing_is_a_gap_and_no_delay_of_the_start():
    shelf = dispensed(Shelf(supply(stock=1, reorder_at=0), Parcels(5, np.inf), 0), takers([0.0], weeks=8))
    assert shelf.begin == [0]
    assert shelf.gap == [1]  # asked for at week 4, ordered at week 0, there at week 5
    assert shelf.kits == [2]


def test_an_expired_kit_is_not_dispensed_but_replaced():
    """Both kits expire at week 10, so two are ordered at week 8; one is taken, and one more ordered."""
    shelf = dispensed(Shelf(supply(stock=2, reorder_at=1), Parcels(2, 10), 0), takers([11.0], weeks=4))
    assert shelf.begin == [11]
    assert shelf.shipped == 2 + 2 + 1


def test_kits_that_do_not_last_as_long_as_an_order_takes_leave_a_site_empty():
    shelf = dispensed(Shelf(supply(stock=2, reorder_at=1), Parcels(5, 3), 0), takers([4.0], weeks=4))
    assert shelf.begin == [8]  # ordered when they had expired, at week 3


def test_who_waits_too_long_takes_no_kit():
    shelf = Shelf(supply(stock=1, reorder_at=0), Parcels(9, np.inf), 0)
    shelf.send(Takers([0, 1, 2], [4, 4, 4], [np.inf, 3, np.inf], [np.inf] * 3))
    shelf.run()
    assert shelf.begin == [0, np.inf, 9]
    assert shelf.kits == [1, 0, 1]


def plain(ready: list[float], kits: int, level: int, reorder_at: int, lead: int) -> list[float]:
    """The same shelf of one-kit steps by whole weeks: deliveries first, then those who ask, in order."""
    shelf, waiting, coming, begin = level, [], [], [np.inf] * len(ready)
    asks = sorted((week + 4 * k, patient, k) for patient, week in enumerate(ready) for k in range(kits))
    for week in range(int(max(ready)) + 4 * kits + 3 * lead + 40):
        shelf += sum(number for due, number in coming if due == week)
        coming = [(due, number) for due, number in coming if due > week]
        for due, patient, kit in asks:
            if due == week:
                waiting.append((patient, kit))
                while waiting and shelf:
                    one, first = waiting.pop(0)
                    shelf -= 1
                    begin[one] = week if first == 0 else begin[one]
                position = shelf + sum(number for _, number in coming) - len(waiting)
                if position <= reorder_at:
                    coming.append((week + lead, level - position))
        while waiting and shelf:
            one, first = waiting.pop(0)
            shelf -= 1
            begin[one] = week if first == 0 else begin[one]
    return begin


@pytest.mark.parametrize("seed", range(20))
def test_the_shelf_is_that_of_a_plain_loop_over_weeks(seed):
    """Single kits, so that no wait moves a later date; parcels take an odd time and come between asks."""
    stream = Streams(seed, 0)("shelf")
    ready = np.cumsum(stream.integers(0, 3, 60)).astype(float).tolist()
    level, reorder_at, lead = int(stream.integers(2, 5)), int(stream.integers(0, 2)), 5
    shelf = dispensed(
        Shelf(supply(stock=level, reorder_at=reorder_at), Parcels(lead - 0.5, np.inf), 0),
        takers(ready, weeks=4),
    )
    whole_weeks = plain(ready, 1, level, reorder_at, lead)
    assert max(whole_weeks) < np.inf
    late = [begin > at for begin, at in zip(whole_weeks, ready, strict=True)]
    assert any(late)
    found = [np.ceil(begin) for begin in shelf.begin]
    assert found == whole_weeks


def test_with_plenty_of_kits_nobody_waits_and_what_is_left_is_counted():
    plenty = sites(sites=3, supply={**KEYS, "arms": ["therapy", "control"], "stock": 500})
    found = plenty.conduct(intake(60, weeks=8, delivery=2.0), Streams(1, 0))
    assert found.kits is not None
    assert (found.start == 0).all()
    assert (found.kits.used == 2).all()
    assert (found.kits.gap == 0).all()
    assert (found.kits.shipped == 3 * 2 * 500).all()


def test_few_kits_and_slow_parcels_let_patients_wait():
    scarce = {**KEYS, "stock": 2, "reorder_at": 0}
    quick, slow = (
        sites(sites=3, supply=scarce).conduct(intake(60, weeks=8, delivery=weeks), Streams(1, 0))
        for weeks in (0.0, 4.0)
    )
    assert (quick.start == 0).all()
    late = slow.start > 0
    assert 0.1 < late[1::2].mean() < 0.9
    assert not late[0::2].any()  # the control arm has no kits to wait for
    assert slow.start.max() < 4.0 + 1e-9
    assert slow.kits is not None
    assert slow.kits.gap.sum() > 0


def test_kits_expire_and_more_are_shipped():
    asked = {"delivery": 1.0}
    keeps, expires = (
        sites(sites=3, supply=KEYS).conduct(intake(60, weeks=8, **asked, **life), Streams(1, 0))
        for life in ({}, {"shelf_life": 6.0})
    )
    assert (expires.kits.shipped >= keeps.kits.shipped).all()
    assert expires.kits.shipped.mean() > 1.1 * keeps.kits.shipped.mean()


def test_fewer_patients_begin_as_the_first_of_more():
    scarce = sites(sites=3, supply={**KEYS, "stock": 2, "reorder_at": 0}, max_weeks=400)
    more, fewer = (
        scarce.conduct(intake(n, weeks=8, delivery=3.0, patience=6.0), Streams(1, 0)) for n in (60, 30)
    )
    for name in ("enrolled", "start", "gave_up", "site"):
        assert np.array_equal(getattr(more, name)[:30], getattr(fewer, name)), name
    assert np.isfinite(fewer.gave_up).any()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"reorder_at": 4}, "4 is not below the stock of 4 kits"),
        ({"stock": 0}, "greater than or equal to 1"),
        ({"weeks_a_kit": 0}, "greater than 0"),
        ({"arms": ["therapy", "therapy"]}, "named twice"),
    ],
)
def test_impossible_supply_is_refused(keys, message):
    with pytest.raises(InputError, match=message):
        supply(**keys)


def test_an_arm_does_not_wait_in_two_places():
    both = sites(sites=2, supply=KEYS, clinics=[{"arms": ["therapy"], "therapists": 1, "sessions_a_week": 9}])
    with pytest.raises(Exception, match="or also supplied"):
        both.check(["control", "therapy"], 5)


def test_the_block_is_whole():
    assert sites(supply=KEYS).conduct(intake(8), Streams(1, 0)).kits.shipped.shape == (BLOCK_SIZE,)
