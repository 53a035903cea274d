from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from mien.storage.addresses import is_valid, key_of_path, signed_path

SECRET = b"a secret of at least thirty-two characters"
KEY = "results/abc_faceswap/1/face-swap.png"
EXPIRES = datetime(2030, 1, 1, tzinfo=UTC)
BEFORE, AFTER = EXPIRES.timestamp() - 1, EXPIRES.timestamp() + 1


Parts = tuple[str, str, str]


def parts(path: str) -> Parts:
    _, _, expires, signature, key = path.split("/", 4)
    return key, expires, signature


def test_an_address_is_valid_until_it_expires() -> None:
    path = signed_path(KEY, EXPIRES, SECRET)
    assert parts(path)[0] == KEY
    assert is_valid(*parts(path), SECRET, now=BEFORE)
    assert not is_valid(*parts(path), SECRET, now=AFTER)


def test_an_address_is_the_same_each_time_it_is_made() -> None:
    assert signed_path(KEY, EXPIRES, SECRET) == signed_path(KEY, EXPIRES, SECRET)


@pytest.mark.parametrize(
    "change",
    [
        lambda key, expires, signature: (key.replace("/1/", "/2/"), expires, signature),
        lambda key, expires, signature: (key, str(int(expires) + 1), signature),
        lambda key, expires, signature: (key, "0" + expires, signature),
        lambda key, expires, signature: (
            key,
            expires,
            signature[:-1] + ("A" if signature[-1] != "A" else "B"),
        ),
        lambda key, expires, signature: (key, expires, signature[:8]),
        lambda key, expires, signature: (key, expires, ""),
        lambda key, expires, signature: (key, expires, "ü"),
        lambda key, expires, signature: (key, "never", signature),
        lambda key, expires, signature: (key, "²", signature),
    ],
)
def test_nothing_in_an_address_can_be_changed(change: Callable[[str, str, str], Parts]) -> None:
    path = signed_path(KEY, EXPIRES, SECRET)
    assert not is_valid(*change(*parts(path)), SECRET, now=BEFORE)


def test_another_secret_signs_another_address() -> None:
    path = signed_path(KEY, EXPIRES, b"another secret, of just as many characters")
    assert not is_valid(*parts(path), SECRET, now=BEFORE)
    assert key_of_path(path, SECRET) is None


def test_a_path_of_ours_names_its_key() -> None:
    assert key_of_path(signed_path(KEY, EXPIRES, SECRET), SECRET) == KEY


@pytest.mark.parametrize(
    "path", ["", "/", "/files/", f"/files/1/x/{KEY}", f"/other/1/x/{KEY}", "/samples/a.jpg"]
)
def test_any_other_path_names_none(path: str) -> None:
    assert key_of_path(path, SECRET) is None
