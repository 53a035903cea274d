"""Synthetic people, reduced so that tests stay fast, and what the engine sees in them."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import openpeople
import pytest
from PIL import Image
from tests.engine.lit import Lit, lit_face

from mien import Face, FaceSwapper, SwapResult
from mien.engine.arrays import RGB, Float
from mien.engine.models import Network, load_table

Kind = Literal["studio_portrait", "amateur_selfie", "amateur_posture"]
Photo = tuple[RGB, Face]
"""A picture with one face, and that face."""

PEOPLE = Path(openpeople.__file__).parent / "data" / "curated"
LONG_SIDE = 800
PICTURE = (330, 290)

EXPRESSIONS = (
    ("neutral", "happy", "sad", "angry"),
    ("surprised", "disgusted", "scared", "confused"),
    ("smug", "flirty", "thoughtful", "pensive"),
    ("exhausted", "shocked", "playful", "determined"),
)
"""Tiles of an expression sheet. Person 6 winks in "flirty", shuts both eyes in "pensive" and "exhausted",
looks aside in "thoughtful" and shows the tongue in "playful"."""
TILE, TILE_STEP, TILE_ORIGIN = (352, 544), (437, 586), (64, 52)


@pytest.fixture(scope="session")
def swapper() -> FaceSwapper:
    return FaceSwapper(threads=2)


@pytest.fixture(scope="session")
def detector() -> Network:
    return Network("centerface.onnx", 2)


@pytest.fixture(scope="session")
def mesh() -> Network:
    return Network("face_landmarks_478.onnx", 2)


@pytest.fixture(scope="session")
def photo(swapper: FaceSwapper) -> Callable[[int, Kind], Photo]:
    """Photo of a person, 1 to 10."""

    @cache
    def take(person: int, kind: Kind) -> Photo:
        full = _read(f"P{person:03}/assets/{kind}.jpg")
        scale = LONG_SIDE / max(full.shape[:2])
        picture = np.asarray(
            cv2.resize(full, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8
        )
        return _frozen(picture), _only_face(swapper, picture)

    return take


@pytest.fixture(scope="session")
def expression(swapper: FaceSwapper) -> Callable[[str], Photo]:
    """Photo of person 6, whose face shows one of `EXPRESSIONS`."""

    @cache
    def take(name: str) -> Photo:
        row = next(row for row, names in enumerate(EXPRESSIONS) if name in names)
        column = EXPRESSIONS[row].index(name)
        top, left = (TILE_ORIGIN[0] + row * TILE_STEP[0], TILE_ORIGIN[1] + column * TILE_STEP[1])
        picture = _expression_sheet()[top : top + TILE[0], left : left + TILE[1]].copy()
        return _frozen(picture), _only_face(swapper, picture)

    return take


LIT = [(1, "studio_portrait"), (6, "amateur_selfie"), (9, "amateur_selfie")]


@pytest.fixture(params=LIT, ids=lambda subject: f"{subject[0]}-{subject[1]}")
def lit(request: pytest.FixtureRequest, photo: Callable[[int, Kind], Photo]) -> Lit:
    return lit_face(*photo(*request.param))


@pytest.fixture(scope="session")
def turned_head(swapper: FaceSwapper) -> Photo:
    """Person 1, turned by about 50° to the picture's right."""
    picture = _read("P001/assets/character_sheet.jpg")[160:560, 760:1160].copy()
    return _frozen(picture), _only_face(swapper, picture)


@pytest.fixture(scope="session")
def swapped(swapper: FaceSwapper, photo: Callable[[int, Kind], Photo]) -> Callable[[int, int], SwapResult]:
    """The face of one person's portrait in another's selfie."""

    @cache
    def swap(source: int, target: int) -> SwapResult:
        return swapper.swap(photo(target, "amateur_selfie")[0], photo(source, "studio_portrait")[0])

    return swap


@pytest.fixture(scope="session")
def drawn_head() -> Callable[..., Float]:
    """The canonical face in the middle of a picture of `PICTURE` pixels, float32[478, 3]."""

    def draw(width: float = 240, yaw: float = 0.0) -> Float:
        """width: in pixels, before the head is turned to the picture's right by `yaw` radians."""
        vertices = load_table("canonical_face_468.npz")["vertices_cm"] * [1.0, -1, -1]
        cos, sin = np.cos(-yaw), np.sin(-yaw)
        turned = vertices @ np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]]).T
        middle = (turned.max(axis=0) + turned.min(axis=0)) / 2
        points = (turned - middle) * (width / np.ptp(vertices[:, 0])) + [PICTURE[1] / 2, PICTURE[0] / 2, 0]
        return np.concatenate([points, np.zeros((10, 3))]).astype(np.float32)

    return draw


def _read(name: str) -> RGB:
    with Image.open(PEOPLE / name) as picture:
        return np.array(picture.convert("RGB"))


@cache
def _expression_sheet() -> RGB:
    return _read("P006/assets/emotions_sheet.jpg")


def _frozen(picture: RGB) -> RGB:
    picture.flags.writeable = False
    return picture


def _only_face(swapper: FaceSwapper, picture: RGB) -> Face:
    (face,) = swapper.detect(picture)
    return face
