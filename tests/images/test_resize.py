import numpy as np
import pytest

from mien.images.resize import shrink


@pytest.mark.parametrize(
    ("shape", "max_size", "expected"),
    [
        ((100, 200), 50, (25, 50)),
        ((200, 100), 50, (50, 25)),
        ((100, 1000), 32, (3, 32)),
        ((100, 200), 200, (100, 200)),
        ((100, 200), 999, (100, 200)),
        ((100, 200), None, (100, 200)),
    ],
)
def test_the_longer_side_decides_and_nothing_becomes_larger(
    shape: tuple[int, int], max_size: int | None, expected: tuple[int, int]
) -> None:
    rgb, alpha = np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8)
    small, small_alpha = shrink(rgb, alpha, max_size)
    assert small.shape == (*expected, 3)
    assert small_alpha is not None and small_alpha.shape == expected
    assert shrink(rgb, None, max_size)[1] is None


def test_each_pixel_is_the_mean_of_those_that_it_covers() -> None:
    checks = np.indices((64, 64)).sum(axis=0) % 2 * 200
    rgb = np.repeat(checks.astype(np.uint8)[..., None], 3, axis=2)
    small, _ = shrink(rgb, None, 32)
    assert (small == 100).all()
