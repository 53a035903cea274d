"""What a request for a face swap may hold, as JSON and as a form."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from mien.errors import InvalidRequest
from mien.tasks.forms import unfold
from mien.tasks.requests import FaceSwapRequest

A, B, C = (f"https://example.com/{name}.jpg" for name in "abc")
MINIMAL = {"model": "face-swap", "image": A, "face_image": B}
WITHOUT_FACE = {"model": "face-swap", "image": A}


def read(**fields: Any) -> FaceSwapRequest:
    return FaceSwapRequest.model_validate(fields, strict=True)


class TestFaces:
    def test_one_picture(self) -> None:
        request = read(**MINIMAL)
        assert request.pictures() == {"image": A, "face_image": B}
        assert request.faces == 1

    def test_several_pictures_of_one_person(self) -> None:
        request = read(**WITHOUT_FACE, face_images=[B, C], target_index=2, face_index=1)
        assert request.pictures() == {"image": A, "face_images[0]": B, "face_images[1]": C}
        assert request.parameters()["swaps"] == [
            {"target_index": 2, "face_index": 1, "pictures": ["face_images[0]", "face_images[1]"]}
        ]
        assert request.faces == 1

    def test_several_faces_on_one_canvas(self) -> None:
        swaps = [
            {"target_index": 1, "face_image": B},
            {"target_index": 0, "face_images": [C], "face_index": 3},
        ]
        request = read(**WITHOUT_FACE, swaps=swaps)
        assert request.pictures() == {
            "image": A,
            "swaps[0].face_image": B,
            "swaps[1].face_images[0]": C,
        }
        assert request.parameters()["swaps"] == [
            {"target_index": 1, "face_index": 0, "pictures": ["swaps[0].face_image"]},
            {"target_index": 0, "face_index": 3, "pictures": ["swaps[1].face_images[0]"]},
        ]
        assert request.faces == 2


class TestContradictions:
    @pytest.mark.parametrize(
        ("fields", "param", "hint"),
        [
            (WITHOUT_FACE, "face_image", "missing"),
            (MINIMAL | {"face_images": [B]}, "face_images", "can't be sent together"),
            (MINIMAL | {"label_language": "es"}, "label_language", "set `label` to true"),
            (MINIMAL | {"swaps": [{"target_index": 0, "face_image": B}]}, "face_image", "Move"),
            (
                WITHOUT_FACE | {"target_index": 1, "swaps": [{"target_index": 0, "face_image": B}]},
                "target_index",
                "Move",
            ),
            (WITHOUT_FACE | {"swaps": [{"target_index": 0}]}, "swaps[0].face_image", "missing"),
            (
                WITHOUT_FACE | {"swaps": [{"target_index": 0, "face_image": B, "face_images": [C]}]},
                "swaps[0].face_images",
                "can't be sent together",
            ),
            (
                WITHOUT_FACE | {"swaps": [{"target_index": 3, "face_image": B}] * 2},
                "swaps[1].target_index",
                "once",
            ),
            (
                WITHOUT_FACE
                | {"swaps": [{"target_index": index, "face_images": [B] * 5} for index in range(5)]},
                "swaps",
                "more than 20",
            ),
            (MINIMAL | {"quality": 80}, "quality", "output_format"),
        ],
    )
    def test_name_the_field_and_say_what_to_do(self, fields: dict[str, Any], param: str, hint: str) -> None:
        with pytest.raises(InvalidRequest) as refused:
            read(**fields)
        assert refused.value.param == param
        assert hint in refused.value.message

    @pytest.mark.parametrize(
        "fields",
        [
            {"face_images": []},
            {"face_images": [B] * 6},
            {"face_index": 11},
            {"swaps": []},
            {"swaps": [{"target_index": index, "face_image": B} for index in range(11)]},
            {"swaps": [{"face_image": B}]},
            {"swaps": [{"target_index": 0, "face_image": B, "strength": 1}]},
            {"quality": 0, "output_format": "jpg"},
            {"quality": 101, "output_format": "jpg"},
            {"max_size": 31},
            {"metadata": {"a": 1}},
            {"metadata": {"a": {}}},
            {"metadata": []},
            {"metadata": {"a": "\0"}},
            {"metadata": {"a": "x" * 4096}},
            {"metadata": {"a": "ü" * 2048}},
            {"label": "en"},
            {"label": True, "label_language": "tlh"},
            {"exif": "all"},
            {"consent": True},
            {"consent": " "},
            {"consent": "a" * 501},
            {"consent": "a\0"},
            {"callback_url": "ftp://example.com/"},
            {"callback_url": "example.com"},
        ],
    )
    def test_what_is_out_of_range_is_refused(self, fields: dict[str, Any]) -> None:
        face = {} if {"face_images", "swaps"} & set(fields) else {"face_image": B}
        with pytest.raises(ValidationError):
            read(**WITHOUT_FACE, **face, **fields)


class TestMarks:
    def test_nothing_is_shown_and_no_exif_kept_unless_asked_for(self) -> None:
        kept = read(**MINIMAL).parameters()
        assert (kept["label"], kept["exif"]) == (None, "drop")

    def test_a_label_is_english_unless_another_language_is_asked_for(self) -> None:
        assert read(**MINIMAL, label=True).parameters()["label"] == "en"
        assert read(**MINIMAL, label=True, label_language="es").parameters()["label"] == "es"

    def test_a_consent_makes_another_request(self) -> None:
        said = read(**MINIMAL, consent=" Both are me.\n")
        assert said.consent == "Both are me."
        assert said.fingerprint() != read(**MINIMAL).fingerprint()


class TestForms:
    def read(self, *parts: tuple[str, str | bytes]) -> FaceSwapRequest:
        return FaceSwapRequest.model_validate(unfold([("model", "face-swap"), ("image", b"image"), *parts]))

    def test_a_part_that_comes_several_times_is_a_list_of_pictures(self) -> None:
        request = self.read(("face_images", b"one"), ("face_images", b"two"))
        assert request.face_images == [b"one", b"two"]

    def test_what_nests_is_json(self) -> None:
        request = self.read(
            ("metadata", '{"order": "17"}'), ("swaps", json.dumps([{"target_index": 1, "face_image": B}]))
        )
        assert request.metadata == {"order": "17"}
        assert request.pictures() == {"image": b"image", "swaps[0].face_image": B}

    def test_pictures_of_swaps_are_parts_that_say_where_they_belong_wherever_they_stand(self) -> None:
        request = self.read(
            ("swaps[1].face_images", b"one"),
            ("swaps[0].face_image", b"two"),
            ("swaps", '[{"target_index": 0}, {"target_index": 1}]'),
            ("swaps[1].face_images", b"three"),
        )
        assert request.pictures() == {
            "image": b"image",
            "swaps[0].face_image": b"two",
            "swaps[1].face_images[0]": b"one",
            "swaps[1].face_images[1]": b"three",
        }

    @pytest.mark.parametrize(
        ("parts", "param", "hint"),
        [
            ([("face_image", b"1"), ("face_image", b"2")], "face_image", "twice"),
            ([("metadata", "{")], "metadata", "JSON"),
            ([("metadata", "[" * 100_000)], "metadata", "JSON"),
            ([("metadata", '{"a": "\\ud800"}')], "metadata", "JSON"),
            ([("swaps", b"\xff")], "swaps", "JSON"),
            ([("swaps[0].face_image", b"1")], "swaps[0].face_image", "swap that isn't there"),
            ([("swaps", "[]"), ("swaps[0].face_image", b"1")], "swaps[0].face_image", "at least 1"),
            (
                [("swaps", "{}"), ("swaps[0].face_image", b"1")],
                "swaps[0].face_image",
                "swap that isn't there",
            ),
            (
                [("swaps", "[1]"), ("swaps[0].face_image", b"1")],
                "swaps[0].face_image",
                "swap that isn't there",
            ),
            (
                [
                    ("swaps", '[{"target_index": 0, "face_image": "https://example.com/"}]'),
                    ("swaps[0].face_image", b"1"),
                ],
                "swaps[0].face_image",
                "twice",
            ),
            (
                [("swaps", '[{"target_index": 0, "face_images": 1}]'), ("swaps[0].face_images", b"1")],
                "swaps[0].face_images",
                "one way",
            ),
        ],
    )
    def test_what_does_not_fit_is_named(
        self, parts: list[tuple[str, str | bytes]], param: str, hint: str
    ) -> None:
        with pytest.raises(InvalidRequest) as refused:
            self.read(*parts)
        assert refused.value.param == param
        assert hint in refused.value.message

    @pytest.mark.parametrize("part", ["swaps[0].strength", "swaps[100].face_image", "swaps.0", "picture"])
    def test_an_unknown_part_is_refused_by_name(self, part: str) -> None:
        with pytest.raises(ValidationError, match="Extra inputs") as refused:
            self.read(("face_image", b"1"), (part, b"2"))
        assert refused.value.errors()[0]["loc"] == (part,)
