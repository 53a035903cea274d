"""Pictures inside the request."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import ImageInvalid, ImageTooLarge
from mien.images.data_uri import decode_data_uri


class TestDecodeDataUri:
    @given(st.binary(max_size=200))
    def test_gives_back_what_was_encoded(self, data: bytes) -> None:
        text = base64.b64encode(data).decode()
        assert decode_data_uri(f"data:image/png;base64,{text}") == data
        assert decode_data_uri(f"data:;base64,{text.rstrip('=')}") == data
        assert decode_data_uri(f"data:image/png,{quote(data)}") == data
        assert decode_data_uri(f"data:image/png;base64,{quote(text)}") == data

    @pytest.mark.parametrize(
        ("text", "data"),
        [
            ("DATA:image/PNG;BASE64,YWJj", b"abc"),
            ("data:image/svg+xml;charset=utf-8;base64,YWJj", b"abc"),
            ("data:image/png;name=a.png; base64,YWJj", b"abc"),
            ("data:,abc%20d", b"abc d"),
            ("data:text/plain,a,b", b"a,b"),
            ("data:image/png;base64,YW\r\nJj\n", b"abc"),
            ("data:image/png;base64,YQ==", b"a"),
            ("data:image/png;base64,", b""),
        ],
    )
    def test_accepts_the_forms_of_the_standard(self, text: str, data: bytes) -> None:
        assert decode_data_uri(text) == data

    @pytest.mark.parametrize(
        "text", ["", "data:", "data:image/png;base64", "image/png;base64,YWJj", "http://a/,b"]
    )
    def test_refuses_what_is_no_data_uri(self, text: str) -> None:
        with pytest.raises(ImageInvalid, match="is not a data: URI") as caught:
            decode_data_uri(text, param="image")
        assert caught.value.param == "image"

    @pytest.mark.parametrize(
        "text",
        [
            "data:;base64,Y",
            "data:;base64,YW*j",
            "data:;base64,YWJj-_",
            "data:;base64,YW=Jj",
            "data:;base64,é",
            "data:;base64,YWJj%3",
            "data:,abc%2",
            "data:,abc%zz",
            "data:,é",
        ],
    )
    def test_refuses_broken_data(self, text: str) -> None:
        with pytest.raises(ImageInvalid, match="is not valid"):
            decode_data_uri(text)

    def test_refuses_too_much_by_the_length_of_the_text(self) -> None:
        assert len(decode_data_uri("data:;base64," + "A" * 400, max_bytes=300)) == 300
        assert len(decode_data_uri("data:," + "%41" * 300, max_bytes=300)) == 300
        for text in ("data:;base64," + "A" * 402, "data:," + "%41" * 301, "data:;base64," + "*" * 404):
            with pytest.raises(ImageTooLarge, match="Send a smaller"):
                decode_data_uri(text, max_bytes=300)
