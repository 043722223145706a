import numpy as np

from sim.core.streams import BLOCK_SIZE, Streams


def test_a_stream_is_its_seed_block_and_name():
    first = Streams(3, 1)("noise").standard_normal(4)
    assert np.array_equal(first, Streams(3, 1)("noise").standard_normal(4))
    for other in (Streams(4, 1)("noise"), Streams(3, 2)("noise"), Streams(3, 1)("arrival")):
        assert not np.array_equal(first, other.standard_normal(4))


def test_fewer_patients_are_a_prefix_of_more():
    for method in ("standard_normal", "random", "standard_exponential"):
        few = getattr(Streams(1, 0)("x"), method)((20, BLOCK_SIZE, 3))
        many = getattr(Streams(1, 0)("x"), method)((50, BLOCK_SIZE, 3))
        assert np.array_equal(few, many[:20])
    few = Streams(1, 0)("x").integers(6, size=(20, BLOCK_SIZE))
    assert np.array_equal(few, Streams(1, 0)("x").integers(6, size=(50, BLOCK_SIZE))[:20])
