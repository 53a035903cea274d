"""The manual and the reference."""

import json
import re

import httpx
import pytest

from mien.server import create_app
from mien.settings import Settings
from mien.tasks.request_schema import JSON_SCHEMA
from mien.tasks.requests import FaceSwapRequest
from mien.web import documents, reference
from mien.web.documents import _read


class TestMarkdown:
    def test_html_and_bad_links_do_not_pass(self) -> None:
        text = "# T\n\n<script>alert(1)</script>\n\n[a](javascript:alert(1)) [b](../secret.md) [c](x.md#y)\n"
        body = str(_read("t", text, {"t", "x"}, "/base").body)
        assert "<script" not in body
        assert "javascript:" not in body or "href" not in body.split("javascript:")[0][-8:]
        assert "secret" not in body
        assert 'href="/base/docs/x#y"' in body

    def test_code_has_colours_without_styles(self) -> None:
        body = str(_read("t", "# T\n\n```json\n{}\n```\n\n    indented <b>\n", set(), "").body)
        assert body.count('<pre class="code hl"') == 2
        assert "style=" not in body
        assert "<b>" not in body

    def test_a_part_ends_before_the_next_heading(self) -> None:
        part = documents.part("", "errors", "tasks-that-fail")
        assert "no_face_found" in part
        assert "unsupported_media_type" not in part


async def test_every_picture_that_a_page_shows_is_sent_as_what_it_is(visitor: httpx.AsyncClient) -> None:
    bodies = [str(document.body) for document in documents.documents("").values()]
    shown = {picture for body in bodies for picture in re.findall(r'<img src="([^"]+)"', body)}
    assert {path.rpartition(".")[2] for path in shown} == {"jpg", "svg"}
    for path in shown:
        answer = await visitor.get(path)
        kind = "image/svg+xml" if path.endswith(".svg") else "image/jpeg"
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind), path


class TestSearch:
    def test_finds_what_has_all_words_and_headings_first(self) -> None:
        found = documents.search("webhook signature", "")
        assert found[0].section.document == "webhooks"
        for one in found:
            text = f"{one.section.title} {one.section.heading} {one.section.text}".lower()
            assert "webhook" in text
            assert "signature" in text
        assert any("<mark>" in one.snippet for one in found)

    @pytest.mark.parametrize("query", ["", "  ", "zzzzqqqq", "...", "<b>"])
    def test_finds_nothing_for_nothing(self, query: str) -> None:
        assert documents.search(query, "") == [] or query == "<b>"


class TestReference:
    def test_has_every_operation_of_the_document(self, settings: Settings) -> None:
        document = create_app(settings).openapi()
        shown = {(one.method, one.path) for group in reference.groups(document) for one in group.operations}
        wanted = {
            (method.upper(), path) for path, operations in document["paths"].items() for method in operations
        }
        assert shown == wanted

    def test_names_fields_in_objects_in_lists(self, settings: Settings) -> None:
        document = create_app(settings).openapi()
        operations = {one.id: one for group in reference.groups(document) for one in group.operations}
        faces = operations["detect_faces"]
        names = {field.name for answer in faces.answers for field in answer.fields}
        assert {"data.width", "data.faces[].box", "data.faces[].size.width"} <= names

    def test_the_parameters_are_those_of_the_request(self) -> None:
        fields = {field.name: field for field in reference.fields(JSON_SCHEMA)}
        assert {name for name in fields if "." not in name} == set(FaceSwapRequest.model_fields)
        assert (fields["target_index"].range, fields["target_index"].default) == ("0 to 10", "0")
        assert fields["output_format"].range == '"png", "jpg", "webp"'
        assert fields["image"].required
        assert fields["quality"].type == "integer or null"
        assert "swaps[].target_index" in fields

    async def test_the_model_page_says_what_the_api_takes(self, visitor: httpx.AsyncClient) -> None:
        page = (await visitor.get("/models/face-swap")).text
        for name in FaceSwapRequest.model_fields:
            assert f"<code>{name}</code>" in page
        assert "http://mien.test/api/v1/images/tools/face-swap" in page
        assert json.dumps(JSON_SCHEMA["examples"][0]["image"]).strip('"') in page
