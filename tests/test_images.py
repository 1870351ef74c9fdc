"""Examples as images."""

from __future__ import annotations

import numpy as np
import pytest

from netlapse import measures
from netlapse.errors import Unsupported

DRAW = np.random.default_rng(0)


def test_every_layout_of_the_same_image_gives_the_same_image():
    grey, colours = DRAW.random((4, 5, 6)), DRAW.random((4, 5, 6, 3)).astype(np.float32)
    for given in (grey, grey[..., None], grey[:, None]):
        np.testing.assert_allclose(measures.as_images(given), grey, rtol=1e-6)
    np.testing.assert_array_equal(measures.as_images(grey.reshape(4, 30), (5, 6)), measures.as_images(grey))
    for given in (colours, np.moveaxis(colours, -1, 1)):
        np.testing.assert_array_equal(measures.as_images(given), colours)
    np.testing.assert_array_equal(measures.as_images(colours.reshape(4, 90), (5, 6, 3)), colours)


def test_bytes_keep_their_scale_and_other_values_get_one_for_all_examples():
    assert measures.as_images(np.full((1, 2, 2), 51, np.uint8)).tolist() == [[[pytest.approx(0.2)] * 2] * 2]
    two = np.array([[[-1.0, 1.0]], [[0.0, 3.0]]])
    assert measures.as_images(two).tolist() == [[[0, 0.5]], [[0.25, 1]]]
    assert measures.as_images(np.array([[[np.nan, 7.0], [np.inf, 7.0]]]))[0, :, 1].tolist() == [0, 0]


def test_what_is_not_finite_is_nan():
    images = measures.as_images(np.array([[[np.nan, -2.0], [np.inf, 2.0]]]))
    assert np.isnan(images[0, :, 0]).all()
    assert images[0, :, 1].tolist() == [0, 1]
    assert np.isnan(measures.as_images(np.full((1, 2, 2), np.nan))).all()


@pytest.mark.parametrize("sizes", [(64,), (8, 8, 2), (2, 2, 2, 3)])
def test_what_is_no_image_is_refused(sizes):
    with pytest.raises(Unsupported, match="are no images"):
        measures.as_images(np.zeros((3, *sizes)))


def test_a_shape_of_other_size_is_refused():
    with pytest.raises(Unsupported, match="image_shape of 64 values"):
        measures.as_images(np.zeros((3, 64)), (8, 9))
