"""The face goes in where the mask says, and nowhere else."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mien.engine.arrays import RGB, Float
from mien.engine.blending import blend, lend_tones

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


def test_what_takes_the_faces_place_gets_its_tones() -> None:
    rng = np.random.default_rng(0)
    around = rng.integers(60, 120, (80, 60, 3), np.uint8)
    face = around + np.array([40, 20, -30], np.float32)
    gaps = np.zeros((40, 30), np.float32)
    gaps[10:25, 5:20] = 1
    filled = lend_tones(around, face, 1 - gaps, gaps)
    np.testing.assert_allclose(filled[24:46, 14:36], face[24:46, 14:36], atol=2)
    np.testing.assert_array_equal(filled[:16], around[:16])
    np.testing.assert_array_equal(filled[:, 46:], around[:, 46:])


def test_tones_run_smoothly_through_a_gap() -> None:
    around = np.full((80, 80, 3), 100, np.uint8)
    face = np.full((80, 80, 3), 100, np.float32) + np.linspace(0, 80, 80, dtype=np.float32)[None, :, None]
    gaps = np.zeros((40, 40), np.float32)
    gaps[:, 10:30] = 1
    filled = lend_tones(around, face, 1 - gaps, gaps)[40, 24:56, 0].astype(float)
    assert np.abs(filled - face[40, 24:56, 0]).max() < 15
    assert np.abs(np.diff(filled)).max() < 6


def test_without_a_gap_the_picture_stays_as_it_is() -> None:
    around, none = np.full((40, 40, 3), 100, np.uint8), np.zeros((20, 20), np.float32)
    np.testing.assert_array_equal(lend_tones(around, around + np.float32(50), 1 - none, none), around)


def test_a_face_that_shows_nowhere_has_no_tones_to_give() -> None:
    around, all_of_it = np.full((40, 40, 3), 100, np.uint8), np.ones((20, 20), np.float32)
    np.testing.assert_array_equal(
        lend_tones(around, around + np.float32(50), 1 - all_of_it, all_of_it), around
    )
