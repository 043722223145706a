import numpy as np

from sim.analyses.inverse import invert


def test_inverse_and_determinant_equal_lapack():
    rng = np.random.default_rng(1)
    root = rng.standard_normal((4, 3, 7, 7))
    matrices = root @ np.swapaxes(root, -1, -2) + 0.1 * np.eye(7)
    inverse, log_determinant = invert(matrices)
    np.testing.assert_allclose(inverse, np.linalg.inv(matrices), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(log_determinant, np.linalg.slogdet(matrices)[1], rtol=1e-11)


def test_what_is_not_positive_definite_is_nan_and_leaves_the_others_alone():
    good, bent, flat = np.eye(3), np.diag([1.0, -1.0, 1.0]), np.ones((3, 3))
    inverse, log_determinant = invert(np.stack([good, bent, flat]))
    np.testing.assert_array_equal(inverse[0], np.eye(3))
    assert np.isnan(inverse[1:]).all(axis=(1, 2)).all()
    assert list(np.isnan(log_determinant)) == [False, True, True]
