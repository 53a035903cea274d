"""The source's proportions, the target's expression, and a background that follows only near the face."""

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien import Face
from mien.engine.arrays import RGB, Float, Index
from mien.engine.eyes import CLOSED_EYE
from mien.engine.geometry import FADE, bend, expression_part, eye_openness, normals, result_shape, smoothstep
from mien.engine.mouth import mouth_openness
from mien.engine.topology import INNER_LIPS, LEFT_EYE, NOSE_TIP, OVAL, RIGHT_EYE, mirror

Photo = tuple[RGB, Face]
Photos = Callable[[int, str], Photo]
Expressions = Callable[[str], Photo]
Heads = Callable[..., Float]


def shaped(source: Face, target: Face, strength: float = 1.0) -> Float:
    """The result's mesh in pixels of the target."""
    return result_shape(source.landmarks, target.landmarks, source.pose, target.pose, strength).points


def displaced(points: Float, target: Face) -> Float:
    """How far each point lies from the target's, in eye distances."""
    return np.asarray(np.linalg.norm(points - target.landmarks, axis=1) / target.eye_distance)


def lip_gap(points: Float) -> float:
    return float(np.linalg.norm(points[13, :2] - points[14, :2]))


# Shape -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["neutral", "shocked", "pensive"])
def test_the_same_face_keeps_its_shape(expression: Expressions, name: str) -> None:
    _, face = expression(name)
    # Lids close by a trifle, since those of the source bring their lashes along.
    assert displaced(shaped(face, face), face).max() < 0.02


@pytest.mark.parametrize("source", [1, 3, 8])
def test_without_strength_the_target_keeps_its_outline(photo: Photos, source: int) -> None:
    target = photo(6, "amateur_selfie")[1]
    points = shaped(photo(source, "studio_portrait")[1], target, strength=0)
    assert displaced(points, target)[OVAL].max() < 1e-3
    assert displaced(points, target).max() < 0.05


def test_strength_scales_the_change_of_the_outline(photo: Photos) -> None:
    source, target = photo(8, "studio_portrait")[1], photo(6, "amateur_selfie")[1]
    half, whole = (shaped(source, target, strength) - target.landmarks for strength in (0.5, 1.0))
    np.testing.assert_allclose(whole[OVAL], 2 * half[OVAL], atol=0.01)
    assert np.linalg.norm(whole[OVAL], axis=1).max() > 0.02 * target.eye_distance


def test_the_result_takes_on_the_sources_proportions(photo: Photos) -> None:
    """In the canonical frame the result lies nearer to the source than the target did."""
    for source_person, target_person in [(1, 6), (3, 9), (8, 2), (5, 10)]:
        source, target = photo(source_person, "studio_portrait")[1], photo(target_person, "amateur_selfie")[1]
        wanted = source.pose.canonical_from_image(source.landmarks)
        before, after = (
            target.pose.canonical_from_image(points) for points in (target.landmarks, shaped(source, target))
        )
        assert np.linalg.norm(after[OVAL] - wanted[OVAL]) < np.linalg.norm(before[OVAL] - wanted[OVAL])


@pytest.mark.parametrize("target", ["neutral", "happy", "surprised", "shocked", "exhausted", "smug"])
@pytest.mark.parametrize("source", ["neutral", "happy", "shocked"])
def test_lips_stay_as_far_apart_as_the_targets(
    photo: Photos, expression: Expressions, source: str, target: str
) -> None:
    wanted = expression(target)[1]
    for face in (photo(3, "studio_portrait")[1], expression(source)[1]):
        points = shaped(face, wanted)
        assert lip_gap(points) == pytest.approx(lip_gap(wanted.landmarks), abs=0.01 * wanted.eye_distance)


@pytest.mark.parametrize("ring", [RIGHT_EYE, LEFT_EYE])
@pytest.mark.parametrize("source", [1, 5, 9])
def test_lids_open_with_the_targets(photo: Photos, expression: Expressions, source: int, ring: Index) -> None:
    face = photo(source, "studio_portrait")[1]
    openings = [
        eye_openness(shaped(face, expression(name)[1]), ring)
        for name in ("exhausted", "happy", "neutral", "surprised")
    ]
    assert openings == sorted(openings)
    assert openings[0] < CLOSED_EYE < openings[1]


def test_wider_eyes_open_no_further(photo: Photos) -> None:
    """Lids are as far apart as the target's, in distances of the eyes, and closer in wider eyes."""

    def measure(points: Float, ring: Index) -> tuple[float, float]:
        apart = np.linalg.norm(points[LEFT_EYE].mean(axis=0)[:2] - points[RIGHT_EYE].mean(axis=0)[:2])
        width = np.linalg.norm(points[ring[0], :2] - points[ring[8], :2]) / apart
        return float(width), float(eye_openness(points, ring) * width)

    target = photo(7, "amateur_selfie")[1]
    for person in (2, 6, 8, 10):
        points = shaped(photo(person, "studio_portrait")[1], target)
        for ring in (RIGHT_EYE, LEFT_EYE):
            (width, gap), (width_before, gap_before) = (measure(p, ring) for p in (points, target.landmarks))
            assert gap / gap_before == pytest.approx((width / width_before) ** -0.5, rel=0.05)


def test_a_smile_of_the_source_stays_with_the_source(photo: Photos, expression: Expressions) -> None:
    """Smiling or not, the same person gives a face nearly the same shape."""
    target = photo(3, "studio_portrait")[1]
    calm, smiling, gaping = (shaped(expression(name)[1], target) for name in ("neutral", "happy", "shocked"))
    for points in (smiling, gaping):
        assert np.linalg.norm(points - calm, axis=1).mean() < 0.04 * target.eye_distance
        assert mouth_openness(points) == pytest.approx(mouth_openness(target.landmarks), abs=0.01)


def test_heads_turned_apart_change_less(photo: Photos) -> None:
    """Depth of a turned face is guessed, so it counts less."""
    source, target = photo(8, "studio_portrait")[1], photo(6, "amateur_selfie")[1]
    cos, sin = np.cos(0.8), np.sin(0.8)
    turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
    turned = type(source.pose)(source.pose.scale, source.pose.rotation @ turn, source.pose.translation)
    points = turned.image_from_canonical(source.pose.canonical_from_image(source.landmarks))
    apart = result_shape(points, target.landmarks, turned, target.pose, 1.0).points
    assert (
        displaced(apart, target)[OVAL].mean() < 0.8 * displaced(shaped(source, target), target)[OVAL].mean()
    )


@pytest.mark.parametrize("factor", [1.5, 3.0])
def test_an_impossible_source_is_followed_only_in_part(photo: Photos, factor: float) -> None:
    source, target = photo(8, "studio_portrait")[1], photo(6, "amateur_selfie")[1]
    wide = source.landmarks * np.array([factor, 1, 1], np.float32)
    points = result_shape(wide, target.landmarks, source.pose, target.pose, 1.0).points
    asked = source.pose.canonical_from_image(wide) - target.pose.canonical_from_image(target.landmarks)
    assert np.isfinite(points).all()
    assert displaced(points, target)[OVAL].max() < 0.7 * np.linalg.norm(asked[OVAL], axis=1).max()


# Expression ------------------------------------------------------------------------------------------------


def test_no_difference_has_no_expression() -> None:
    assert not expression_part(np.zeros((478, 3))).any()


def test_the_expression_part_is_linear() -> None:
    first, second = np.random.default_rng(0).normal(0, 0.05, (2, 478, 3))
    np.testing.assert_allclose(
        expression_part(2 * first - 3 * second),
        2 * expression_part(first) - 3 * expression_part(second),
        atol=1e-9,
    )


def explained(difference: Float) -> float:
    """Share of a displacement that is taken for expression."""
    rest = difference - expression_part(difference)
    return 1 - float((rest**2).sum() / (difference**2).sum())


def test_expressions_of_one_person_are_told_from_other_people(photo: Photos, expression: Expressions) -> None:
    calm = expression("neutral")[1]
    rest = calm.pose.canonical_from_image(calm.landmarks)

    def from_calm(face: Face) -> Float:
        return face.pose.canonical_from_image(face.landmarks) - rest

    by_expression = [explained(from_calm(expression(name)[1])) for name in ("happy", "surprised", "shocked")]
    by_person = [explained(from_calm(photo(person, "studio_portrait")[1])) for person in (1, 2, 3, 5, 7, 8)]
    assert min(by_expression) > 0.9
    assert np.median(by_person) < 0.75


# Normals ---------------------------------------------------------------------------------------------------


def test_normals_are_of_unit_length_and_point_outwards(drawn_head: Heads) -> None:
    directions = normals(drawn_head())
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-6)
    assert directions[NOSE_TIP, 2] > 0.8
    assert directions[10, 1] > 0  # forehead: up
    assert directions[454, 0] > 0.5  # the person's left, the picture's right
    assert directions[234, 0] < -0.5


def test_a_symmetric_face_has_symmetric_normals(drawn_head: Heads) -> None:
    directions = normals(drawn_head())
    np.testing.assert_allclose(directions[mirror()] * [-1, 1, 1], directions, atol=0.02)


# Background ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def noise() -> RGB:
    return np.random.default_rng(0).integers(0, 256, (500, 420, 3), np.uint8)


def head(centre: tuple[float, float] = (210, 250), eye_distance: float = 90) -> Float:
    """Outline and lips of a face, in pixels; all other points in its middle."""
    points = np.zeros((478, 3), np.float32)
    points[:, :2] = centre
    turn = 2 * np.pi * np.arange(len(OVAL)) / len(OVAL)
    points[OVAL, :2] += np.column_stack([np.sin(turn) * 0.75, -np.cos(turn)]) * eye_distance
    turn = 2 * np.pi * np.arange(len(INNER_LIPS)) / len(INNER_LIPS)
    points[INNER_LIPS, :2] += np.column_stack([-np.cos(turn) * 0.3, 0.45 + np.sin(turn) * 0.1]) * eye_distance
    return points


def wider(points: Float, by: float) -> Float:
    """The same head with a longer chin and broader jaw."""
    changed = points.copy()
    middle = points[OVAL, :2].mean(axis=0)
    lower = points[OVAL, 1] > middle[1]
    changed[OVAL[lower], :2] += (points[OVAL[lower], :2] - middle) * by
    return changed


def outside(shape: tuple[int, ...], *heads: Float) -> Float:
    """Distance in pixels of every pixel from the outlines."""
    free = np.full(shape[:2], 255, np.uint8)
    for points in heads:
        cv2.fillPoly(free, [np.round(points[OVAL, :2]).astype(np.int32)], 0)
    return np.asarray(cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE))


def test_an_unchanged_shape_leaves_every_pixel(noise: RGB) -> None:
    np.testing.assert_array_equal(bend(noise, head(), head(), 90), noise)


@pytest.mark.parametrize("eye_distance", [20.0, 90.0, 160.0])
def test_far_from_the_face_every_pixel_stays(noise: RGB, eye_distance: float) -> None:
    before = head(eye_distance=eye_distance)
    after = wider(before, 0.15)
    bent = bend(noise, before, after, eye_distance)
    far = outside(noise.shape, before, after) > FADE * eye_distance + max(3, 0.06 * eye_distance)
    np.testing.assert_array_equal(bent[far], noise[far])
    assert (bent != noise).any()


def test_what_lay_at_the_old_outline_lies_at_the_new_one() -> None:
    y, x = np.mgrid[:500, :420]
    slope = np.stack([x * 0.5, y * 0.5, np.full(x.shape, 9)], axis=-1).round().astype(np.uint8)
    before = head()
    after = wider(before, 0.12)
    bent = bend(slope, before, after, 90)
    moved = np.linalg.norm(after - before, axis=1) > 3
    assert moved.sum() > 5
    for (x0, y0, _), (x1, y1, _) in zip(before[moved], after[moved], strict=True):
        here = bent[round(float(y1)), round(float(x1))]
        assert here[0] / 0.5 == pytest.approx(x0, abs=4)
        assert here[1] / 0.5 == pytest.approx(y0, abs=4)


@pytest.mark.parametrize("yaw", [-1.0, 1.0])
def test_a_turned_heads_nose_moves_all_the_way(drawn_head: Heads, yaw: float) -> None:
    y, x = np.mgrid[:330, :290]
    slope = np.stack([x * 0.5, y * 0.5, np.full(x.shape, 9)], axis=-1).round().astype(np.uint8)
    before = drawn_head(yaw=yaw)
    after = before + np.array([8, 0, 0], np.float32)
    across, down = np.round(after[NOSE_TIP, :2]).astype(int)
    bent = bend(slope, before, after, 60)
    assert bent[down, across, 0] / 0.5 == pytest.approx(before[NOSE_TIP, 0], abs=1.5)


@given(
    centre=st.tuples(st.floats(-60, 260), st.floats(-60, 260)),
    eye_distance=st.floats(16, 150),
    by=st.floats(-0.2, 0.2),
)
def test_a_face_may_hang_over_the_border(centre: tuple[float, float], eye_distance: float, by: float) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (200, 200, 3), np.uint8)
    before = head(centre, eye_distance)
    bent = bend(picture, before, wider(before, by), eye_distance)
    assert bent.shape == picture.shape
    assert bent.dtype == np.uint8


@given(st.lists(st.floats(-2, 3), min_size=2, max_size=20))
def test_smoothstep_climbs_from_nought_to_one(values: list[float]) -> None:
    x = np.sort(np.array(values))
    climbed = smoothstep(x, 0.25, 0.75)
    assert (np.diff(climbed) >= 0).all()
    assert (climbed[x <= 0.25] == 0).all()
    assert (climbed[x >= 0.75] == 1).all()
