"""All marks together, as an independent reader and `check` see them."""

import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import c2pa
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.time_stamping import time_stamp_authority

from mien.errors import ImageInvalid, SetupError
from mien.images.codec import decode, encode
from mien.images.headers import OutputFormat
from mien.marks.certificates import (
    SigningIdentity,
    Trust,
    make_development_identity,
    read_development_identity,
)
from mien.marks.marking import Making, Marks, mark
from mien.marks.metadata import SOURCE_TYPE, insert
from mien.marks.origin import check
from mien.marks.provenance import Signer
from mien.marks.tags import tag_of

Pixels = NDArray[np.uint8]

FORMATS: tuple[OutputFormat, ...] = ("png", "jpg", "webp")
MIME = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
TASK = "0190a0_faceswap"
WHEN = datetime(2026, 8, 2, 12, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def making(photo: Pixels) -> Making:
    target, face = encode(photo, "jpg"), encode(photo[:300, :300].copy(), "png")
    return Making(TASK, WHEN, "1.2.3", target, [face])


@pytest.fixture(scope="module")
def marked(photo: Pixels, making: Making, signer: Signer) -> dict[str, bytes]:
    return {format: mark(photo, format, making, Marks(signing=signer)) for format in FORMATS}


def read_by_others(data: bytes, format: str) -> tuple[str, dict[str, Any]]:
    """The state of the manifest store and its active manifest, as the stock reader tells them."""
    reader = c2pa.Reader(MIME[format], io.BytesIO(data))
    store = json.loads(reader.json())
    return store["validation_state"], store["manifests"][store["active_manifest"]]


@pytest.mark.parametrize("format", FORMATS)
def test_the_stock_reader_finds_a_manifest_that_holds(format: str, marked: dict[str, bytes]) -> None:
    state, manifest = read_by_others(marked[format], format)
    assert state == "Valid"
    assert manifest["claim_generator_info"][0]["name"] == "Mien"
    assert manifest["claim_generator_info"][0]["version"] == "1.2.3"


def test_the_manifest_tells_what_was_done(marked: dict[str, bytes]) -> None:
    _, manifest = read_by_others(marked["png"], "png")
    actions = next(each for each in manifest["assertions"] if each["label"] == "c2pa.actions.v2")["data"][
        "actions"
    ]
    assert [each["action"] for each in actions] == [
        "c2pa.opened",
        "c2pa.placed",
        "c2pa.edited",
        "c2pa.watermarked.unbound",
    ]
    assert actions[2]["digitalSourceType"] == SOURCE_TYPE
    assert [each["relationship"] for each in manifest["ingredients"]] == ["parentOf", "componentOf"]


def test_the_manifest_names_nobody_and_shows_no_face(marked: dict[str, bytes]) -> None:
    _, manifest = read_by_others(marked["png"], "png")
    assert "thumbnail" not in json.dumps(manifest)
    assert {each["title"] for each in manifest["ingredients"]} == {"Target picture", "Face picture"}


def test_thumbnails_are_added_on_request(photo: Pixels, making: Making, signer: Signer) -> None:
    data = mark(photo, "jpg", making, Marks(signing=signer, thumbnails=True))
    assert "thumbnail" in json.dumps(read_by_others(data, "jpg")[1])


@pytest.mark.parametrize("format", FORMATS)
def test_our_own_check_finds_everything(
    format: str, marked: dict[str, bytes], identity: SigningIdentity
) -> None:
    origin = check(marked[format], trust=Trust.of(identity))
    assert origin.made_by_mien
    assert (origin.signature, origin.signed_here) == ("untrusted", True)
    assert (origin.manifest, origin.metadata) == (True, True)
    assert [each.tag for each in origin.watermarks] == [tag_of(TASK)]
    assert (origin.task_id, origin.when) == (TASK, WHEN)


def test_somebody_elses_signature_is_not_ours(marked: dict[str, bytes]) -> None:
    other = read_development_identity(make_development_identity())
    origin = check(marked["jpg"], trust=Trust.of(other))
    assert (origin.signature, origin.signed_here) == ("untrusted", False)


def test_a_signature_is_valid_where_its_authority_is_trusted(
    marked: dict[str, bytes], identity: SigningIdentity
) -> None:
    assert check(marked["jpg"], trust=Trust(anchors=identity.certificates)).signature == "valid"
    bought = replace(identity, development=False)
    assert check(marked["jpg"], trust=Trust.of(bought)).signature == "valid"


def test_changed_pixels_make_the_signature_invalid(
    marked: dict[str, bytes], identity: SigningIdentity
) -> None:
    changed = bytearray(marked["jpg"])
    changed[-2000] ^= 1
    origin = check(bytes(changed), trust=Trust.of(identity))
    assert (origin.signature, origin.signed_here) == ("invalid", False)
    assert read_by_others(bytes(changed), "jpg")[0] == "Invalid"


@pytest.mark.parametrize("format", FORMATS)
def test_after_our_own_coding_only_the_watermark_is_left(
    format: OutputFormat, marked: dict[str, bytes], identity: SigningIdentity
) -> None:
    origin = check(encode(decode(marked[format]).rgb, "jpg", quality=80), trust=Trust.of(identity))
    assert (origin.signature, origin.manifest, origin.metadata) == ("absent", False, False)
    assert [each.tag for each in origin.watermarks] == [tag_of(TASK)]
    assert origin.task_id is None


def test_after_another_programs_coding_only_the_watermark_is_left(marked: dict[str, bytes]) -> None:
    image = Image.open(io.BytesIO(marked["png"])).convert("RGB")
    image = image.resize((image.width * 2 // 3, image.height * 2 // 3))
    data = io.BytesIO()
    image.save(data, "WEBP", quality=80)
    origin = check(data.getvalue())
    assert (origin.signature, origin.manifest, origin.metadata) == ("absent", False, False)
    assert [each.tag for each in origin.watermarks] == [tag_of(TASK)]


def test_a_picture_of_others_is_not_ours(photo: Pixels) -> None:
    origin = check(encode(photo, "jpg"))
    assert not origin.made_by_mien
    assert origin.signature == "absent"
    with pytest.raises(ImageInvalid):
        check(b"hello")


def test_manifests_of_the_inputs_become_ingredients(
    photo: Pixels, marked: dict[str, bytes], making: Making, identity: SigningIdentity, signer: Signer
) -> None:
    again = replace(making, task_id="second", target=marked["webp"], faces=[marked["jpg"], making.faces[0]])
    data = mark(photo, "png", again, Marks(signing=signer))
    state, manifest = read_by_others(data, "png")
    assert state == "Valid"
    assert ["active_manifest" in each for each in manifest["ingredients"]] == [True, True, False]
    assert check(data, trust=Trust.of(identity)).task_id == "second"


def test_a_tampered_input_does_not_hurt_the_result(
    photo: Pixels, marked: dict[str, bytes], making: Making, signer: Signer
) -> None:
    tampered = bytearray(marked["jpg"])
    tampered[-2000] ^= 1
    data = mark(photo, "jpg", replace(making, target=bytes(tampered)), Marks(signing=signer))
    assert read_by_others(data, "jpg")[0] == "Valid"


@pytest.mark.parametrize("target", [b"", b"hello", b"\xff\xd8\xff\xe0\x00\x10JFIF"])
def test_an_unreadable_input_is_named_without_its_history(
    target: bytes, photo: Pixels, making: Making, signer: Signer
) -> None:
    data = mark(photo, "jpg", replace(making, target=target), Marks(signing=signer))
    state, manifest = read_by_others(data, "jpg")
    assert (state, len(manifest["ingredients"])) == ("Valid", 2)


@contextmanager
def listening() -> Iterator[tuple[str, list[str]]]:
    """An address, and who has come to it."""
    visitors: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, visitor = server.accept()
                except OSError:
                    return
                visitors.append(str(visitor))
                connection.close()

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/manifest", visitors
        finally:
            server.shutdown(socket.SHUT_RDWR)
            server.close()
            thread.join()


def test_nothing_is_fetched_from_where_a_picture_says(
    photo: Pixels, making: Making, identity: SigningIdentity, signer: Signer
) -> None:
    with listening() as (address, visitors):
        packet = (
            "<x:xmpmeta xmlns:x='adobe:ns:meta/'>"
            "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
            "<rdf:Description rdf:about='' xmlns:dcterms='http://purl.org/dc/terms/'"
            f" dcterms:provenance='{address}'/></rdf:RDF></x:xmpmeta>"
        )
        elsewhere = insert(encode(photo, "jpg"), "jpg", xmp=packet.encode())
        # The stock reader would go there: the address is where it looks for it.
        with pytest.raises(c2pa.C2paError):
            c2pa.Reader("image/jpeg", io.BytesIO(elsewhere)).json()
        assert visitors
        visitors.clear()

        data = mark(photo, "jpg", replace(making, target=elsewhere), Marks(signing=signer))
        assert check(elsewhere, trust=Trust.of(identity)).signature in ("absent", "invalid")
        assert check(data, trust=Trust.of(identity)).signed_here
        assert not visitors


def test_a_time_stamp_authority_that_fails_is_told(photo: Pixels, making: Making, signer: Signer) -> None:
    with listening() as (address, visitors):
        stamped = replace(signer, time_stamp_authority=address)
        with pytest.raises(SetupError, match="time-stamp"):
            mark(photo, "jpg", making, Marks(signing=stamped))
        assert visitors


@pytest.mark.parametrize("format", FORMATS)
def test_a_time_stamp_authority_says_when(
    format: OutputFormat, photo: Pixels, making: Making, identity: SigningIdentity, signer: Signer
) -> None:
    stamped_at = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)
    with time_stamp_authority(stamped_at) as authority:
        signing = replace(signer, time_stamp_authority=authority.address)
        data = mark(photo, format, making, Marks(signing=signing))
    assert len(authority.stamped) == 1
    state, manifest = read_by_others(data, format)
    assert (state, manifest["signature_info"]["time"]) == ("Valid", stamped_at.isoformat())

    unknown = check(data, trust=Trust.of(identity))
    assert (unknown.signed_here, unknown.time_stamped, unknown.when) == (True, False, WHEN)
    known = check(data, trust=Trust.of(identity, authority.certificate))
    assert (known.signed_here, known.time_stamped, known.when) == (True, True, stamped_at)


def test_another_signer_of_the_same_authority_is_not_oneself(
    marked: dict[str, bytes], identity: SigningIdentity
) -> None:
    _, authority = identity.certificates.split("-----END CERTIFICATE-----\n", 1)
    other = read_development_identity(make_development_identity()).certificates
    sibling, _ = other.split("-----END CERTIFICATE-----\n", 1)
    trust = Trust(own=f"{sibling}-----END CERTIFICATE-----\n{authority}")
    origin = check(marked["jpg"], trust=trust)
    assert (origin.signature, origin.signed_here) == ("valid", False)


def test_marks_can_be_left_out(photo: Pixels, making: Making) -> None:
    plain = mark(photo, "png", making, Marks(watermark=False, xmp=False))
    assert plain == encode(photo, "png")


def test_alpha_stays_as_it_was(photo: Pixels, making: Making, signer: Signer) -> None:
    alpha = np.broadcast_to(np.linspace(0, 255, photo.shape[1]).astype(np.uint8), photo.shape[:2]).copy()
    data = mark(photo, "png", making, Marks(signing=signer), alpha=alpha)
    kept = decode(data).alpha
    assert kept is not None
    assert np.array_equal(kept, alpha)


def test_the_same_task_gives_the_same_pixels(
    photo: Pixels, making: Making, marked: dict[str, bytes], signer: Signer
) -> None:
    again = mark(photo, "png", making, Marks(signing=signer))
    assert np.array_equal(decode(again).rgb, decode(marked["png"]).rgb)


def test_no_place_is_told_unless_asked_for(photo: Pixels, making: Making) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    exif.get_ifd(0x8825)[1] = "N"
    located = replace(making, exif=exif.tobytes().removeprefix(b"Exif\0\0"))
    for marks, camera, place in (
        (Marks(), False, False),
        (Marks(exif="keep"), True, False),
        (Marks(exif="keep-with-gps"), True, True),
    ):
        found = Image.open(io.BytesIO(mark(photo, "webp", located, marks))).getexif()
        assert (0x010F in found, bool(found.get_ifd(0x8825))) == (camera, place)


def test_the_label_is_under_the_watermark_and_over_the_picture(photo: Pixels, making: Making) -> None:
    labelled = mark(photo, "png", making, Marks(label="KI-generiert"))
    bare = mark(photo, "png", making, Marks())
    changed = (decode(labelled).rgb != decode(bare).rgb).any(axis=-1)
    assert changed[700:, 700:].any()
    assert not changed[:400].any()
    assert check(labelled).watermarks[0].tag == tag_of(TASK)
