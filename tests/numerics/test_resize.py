"""Maps in another size against TensorFlow Lite's reference kernels."""

from __future__ import annotations

import numpy as np
import pytest

from mnetdsl.numerics.resize import resize_bilinear, resize_nearest
from tests.numerics.references import inputs, on, random_grid
from tests.tflite_models import Tensor, run_single

SIZES = [
    ((5, 7), (10, 14)),
    ((6, 4), (3, 9)),
    ((1, 3), (4, 4)),
    ((33, 33), (65, 65)),
    ((7, 5), (1, 1)),
    ((9, 9), (4, 5)),
]
MODES = [(False, False), (True, False), (False, True)]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize(("align_corners", "half_pixel_centers"), MODES)
@pytest.mark.parametrize("method", ["bilinear", "nearest"])
def test_resize(
    rng: np.random.Generator, method: str, align_corners: bool, half_pixel_centers: bool, dtype: str
) -> None:
    ours = resize_bilinear if method == "bilinear" else resize_nearest
    code = "RESIZE_BILINEAR" if method == "bilinear" else "RESIZE_NEAREST_NEIGHBOR"
    kind = "ResizeBilinearOptions" if method == "bilinear" else "ResizeNearestNeighborOptions"
    options = {"alignCorners": align_corners, "halfPixelCenters": half_pixel_centers}
    grid = random_grid(rng, dtype)
    for before, after in SIZES:
        size = Tensor.constant(np.array(after, np.int32))
        for q in inputs(rng, (1, *before, 5), grid):
            expected = run_single(code, [on(grid, q.shape), size], [q], on(grid, (1, *after, 5)), kind, options)
            found = ours(q, after, align_corners=align_corners, half_pixel_centers=half_pixel_centers)
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)
