import numpy as np
import pytest

from sim.allocation import PermutedBlocks
from sim.core.streams import BLOCK_SIZE, Streams
from tests.montecarlo import assert_share


@pytest.mark.parametrize(
    ("ratio", "multiple"), [((1, 1), 1), ((2, 1), 2), ((1, 1, 1, 1, 1), 1), ((1,) * 5, 3)]
)
def test_every_block_holds_the_ratio(ratio, multiple):
    size = sum(ratio) * multiple
    arm = PermutedBlocks(multiple=multiple).assign(6 * size, ratio, Streams(1, 0))
    blocks = arm.reshape(6, size, BLOCK_SIZE)
    for k, share in enumerate(ratio):
        assert ((blocks == k).sum(axis=1) == share * multiple).all()


@pytest.mark.parametrize(("ratio", "multiple"), [((1, 1), 2), ((1,) * 5, 3)])
def test_fewer_patients_are_a_prefix_and_every_place_is_fair(ratio, multiple):
    allocation = PermutedBlocks(multiple=multiple)
    many = allocation.assign(900, ratio, Streams(1, 0))
    assert np.array_equal(many[:37], allocation.assign(37, ratio, Streams(1, 0)))
    size = sum(ratio) * multiple
    for place in (0, size - 1):
        assert_share(many[place::size] == 0, ratio[0] / sum(ratio), detects=0.12)


def test_every_arrangement_is_equally_likely():
    arm = PermutedBlocks(multiple=2).assign(4 * 3000, (1, 1), Streams(1, 0)).reshape(3000, 4, BLOCK_SIZE)
    codes = (arm * np.array([8, 4, 2, 1])[None, :, None]).sum(axis=1)
    found, counts = np.unique(codes, return_counts=True)
    assert len(found) == 6
    for count in counts:
        assert_share(np.arange(codes.size) < count, 1 / 6, detects=0.01)
