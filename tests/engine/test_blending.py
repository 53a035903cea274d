"""The face goes in where the mask says, and nowhere else."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mien.engine.arrays import RGB, Float
from mien.engine.blending import blend

SHAPE = (9, 7)
faces = arrays(np.float32, (*SHAPE, 3), elements=st.floats(-50, 300, width=32))
pictures = arrays(np.uint8, (*SHAPE, 3))
masks = arrays(np.float32, SHAPE, elements=st.floats(0, 1, width=32))


@given(faces, pictures, masks)
def test_where_the_mask_is_nought_the_picture_stays_bit_by_bit(face: Float, around: RGB, mask: Float) -> None:
    mask[::2] = 0
    result = blend(face, around, mask)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result[mask == 0], around[mask == 0])


@given(faces, pictures)
def test_where_the_mask_is_one_the_face_shows_rounded_and_clipped(face: Float, around: RGB) -> None:
    result = blend(face, around, np.ones(SHAPE, np.float32))
    np.testing.assert_allclose(result, np.clip(face, 0, 255), atol=0.51)


@given(faces, pictures, masks)
def test_in_between_colours_are_mixed_by_the_mask(face: Float, around: RGB, mask: Float) -> None:
    mixed = face * mask[..., None] + around * (1 - mask[..., None])
    np.testing.assert_allclose(blend(face, around, mask), np.clip(mixed, 0, 255), atol=0.52)


def test_neither_face_nor_picture_is_changed() -> None:
    face, around = np.full((*SHAPE, 3), 200, np.float32), np.full((*SHAPE, 3), 10, np.uint8)
    blend(face, around, np.full(SHAPE, 0.5, np.float32))
    assert (face == 200).all()
    assert (around == 10).all()
