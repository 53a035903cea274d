import base64
import os
import struct

import pytest

from mien.sealing import (
    HEAD,
    MAGIC,
    PIECE,
    SEALED_PIECE,
    SealBroken,
    Sealing,
    is_sealed,
    new_key,
    parse_keys,
    plain_size,
)

OLD, NEW = parse_keys(f"{new_key()},{new_key()}")
SIZES = (0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE)


@pytest.mark.parametrize("size", SIZES)
def test_what_is_sealed_comes_back_as_it_was_and_its_size_is_known_before(size: int) -> None:
    sealing, data = Sealing((OLD,)), os.urandom(size)
    sealed = sealing.seal(data)
    assert sealing.open(sealed) == data
    assert plain_size(len(sealed)) == size


def test_nothing_of_the_content_is_left_in_what_is_sealed() -> None:
    data = b"a face" * 20_000
    sealed = Sealing((OLD,)).seal(data)
    assert is_sealed(sealed)
    assert b"a face" not in sealed
    assert Sealing((OLD,)).seal(data) != sealed


def test_without_a_key_nothing_is_sealed_and_a_key_reads_it_all_the_same() -> None:
    assert Sealing().seal(b"pixels") == b"pixels"
    assert Sealing((OLD,)).open(b"pixels") == b"pixels"


def test_old_keys_open_and_the_first_one_seals() -> None:
    before, after = Sealing((OLD,)), Sealing((NEW, OLD))
    assert after.open(before.seal(b"pixels")) == b"pixels"
    assert Sealing((NEW,)).open(after.seal(b"pixels")) == b"pixels"
    assert after.is_current(after.seal(b"pixels"))
    assert not after.is_current(before.seal(b"pixels"))
    assert not after.is_current(b"pixels")
    assert Sealing().is_current(b"pixels")


@pytest.mark.parametrize("without", [(), (NEW,)])
def test_without_its_key_the_error_names_the_key_and_says_what_to_do(without: tuple[object, ...]) -> None:
    sealed = Sealing((OLD,)).seal(b"pixels")
    with pytest.raises(SealBroken, match=f"{OLD.id.hex()}.*MIEN_STORAGE_KEY.*Add it"):
        Sealing(without).open(sealed)  # type: ignore[arg-type]


def test_what_was_changed_cut_short_or_put_in_another_order_is_refused() -> None:
    sealing = Sealing((OLD,))
    sealed = sealing.seal(os.urandom(3 * PIECE))
    first, second = sealed[HEAD : HEAD + SEALED_PIECE], sealed[HEAD + SEALED_PIECE : HEAD + 2 * SEALED_PIECE]
    rest = sealed[HEAD + 2 * SEALED_PIECE :]
    for broken in (
        sealed[:-1],
        sealed[:-SEALED_PIECE],
        sealed[:HEAD],
        sealed[: HEAD + 100] + b"!" + sealed[HEAD + 101 :],
        sealed[:HEAD] + second + first + rest,
        sealed + sealed[HEAD:],
    ):
        with pytest.raises(SealBroken, match="changed or cut short"):
            sealing.open(broken)


def test_content_that_looks_sealed_comes_back_also_where_there_is_no_key() -> None:
    pretender = MAGIC + bytes(100)
    assert Sealing().open(Sealing().seal(pretender)) == pretender
    assert Sealing((OLD,)).open(Sealing().seal(pretender)) == pretender


def test_text_is_sealed_as_text() -> None:
    sealing = Sealing((OLD,))
    for text in ("whsec_abc", "sealed: not really", "Zoë", ""):
        sealed = sealing.seal_text(text)
        assert sealed.startswith("sealed:")
        assert sealing.open_text(sealed) == text
        assert Sealing().open_text(Sealing().seal_text(text)) == text
    assert Sealing().seal_text("whsec_abc") == "whsec_abc"
    assert sealing.open_text("whsec_abc") == "whsec_abc"


def test_a_vector_of_numbers_grows_by_its_head_and_one_tag() -> None:
    embedding = struct.pack("<512f", *range(512))
    assert len(Sealing((OLD,)).seal(embedding)) == len(embedding) + HEAD + 16


def test_keys_are_read_with_commas_lines_and_either_alphabet_between_them() -> None:
    raw = [bytes(range(n, n + 32)) for n in (0, 224, 100)]
    texts = [base64.b64encode(raw[0]).decode(), base64.urlsafe_b64encode(raw[1]).decode()]
    keys = parse_keys(f"{texts[0]}, {texts[1]}\n{base64.b64encode(raw[2]).decode()}\n")
    assert [key.secret for key in keys] == raw


@pytest.mark.parametrize("text", ["", "short", base64.b64encode(bytes(32)).decode(), "x" * 44, new_key()[4:]])
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="32 random bytes in base64") as refused:
        parse_keys(text)
    assert not text or text not in str(refused.value)


def test_a_key_is_never_shown() -> None:
    assert OLD.secret.hex() not in repr(Sealing((OLD,)))
    assert "secret" not in repr(OLD)
