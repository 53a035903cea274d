"""What the documents say of the API is what the code does."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from mien import errors
from mien.detection.schemas import FaceDetectRequest, FaceFound, FacesAnswer, FacesData
from mien.errors import ApiError, TaskError
from mien.http.errors import ErrorAnswer
from mien.origin.schemas import CheckOriginRequest, OriginAnswer, OriginData, SignatureFound, WatermarkFound
from mien.server import create_app
from mien.settings import load_settings
from mien.tasks.requests import FaceSwapRequest
from mien.tasks.schemas import AcceptedAnswer, Failure, Output, TaskAnswer, TaskData
from mien.uploads.schemas import UploadAnswer, UploadData

DOCS = Path(__file__).parent.parent / "docs"
HTTP, ERRORS = (DOCS / "http.md").read_text(), (DOCS / "errors.md").read_text()


def section(document: str, title: str) -> str:
    return document.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all rows of a section's tables, without heads and rules."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line] for line in lines]


def names(text: str) -> set[str]:
    """What stands in backquotes in the first cells."""
    return {name for row in rows(text) for name in re.findall(r"`([^`]+)`", row[0])}


def examples(text: str) -> list[str]:
    return re.findall(r"```json\n(.*?)```", text, re.DOTALL)


def test_every_refusal_is_documented_with_its_status() -> None:
    documented = {
        (row[0].strip("`"), int(row[1])) for row in rows(section(ERRORS, "Requests that are refused"))
    }
    raised = {(error.type, error.status) for error in ApiError.__subclasses__()}
    assert documented == raised | {("invalid_request", status) for status in (405, 408, 416)}


def test_every_failure_is_documented() -> None:
    raised = {
        error.type
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, TaskError)
    }
    assert names(section(ERRORS, "Tasks that fail")) == raised


def test_every_field_of_the_request_is_documented() -> None:
    assert names(section(HTTP, "Create a face swap")) == set(FaceSwapRequest.model_fields)


def test_every_field_of_the_answer_is_documented() -> None:
    documented = names(section(HTTP, "Read a task"))
    output = {name.removeprefix("output.") for name in documented} - set(TaskData.model_fields)
    assert output == set(Output.model_fields) - {"image_url"}
    assert documented - output >= set(TaskData.model_fields) - output


def test_every_field_of_uploads_is_documented() -> None:
    assert names(section(HTTP, "Upload a picture")) == set(UploadData.model_fields)


def test_every_field_of_found_faces_is_documented() -> None:
    documented = names(section(HTTP, "Find faces"))
    of_faces = {name.removeprefix("faces[].") for name in documented if name.startswith("faces[].")}
    assert of_faces == set(FaceFound.model_fields)
    others = {name for name in documented if not name.startswith("faces[].")}
    assert others == set(FaceDetectRequest.model_fields) | set(FacesData.model_fields)


def test_every_field_of_an_origin_is_documented() -> None:
    documented = names(section(HTTP, "Check a picture's origin"))
    for prefix, model in (("signature.", SignatureFound), ("watermarks[].", WatermarkFound)):
        of_it = {name.removeprefix(prefix) for name in documented if name.startswith(prefix)}
        assert of_it == set(model.model_fields)
    others = {name for name in documented if "." not in name}
    assert others | {"signature"} == set(CheckOriginRequest.model_fields) | set(OriginData.model_fields)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The OpenAPI document."""
    folder = tmp_path_factory.mktemp("data")
    return create_app(load_settings(data_dir=folder, database_url="postgresql://unused/")).openapi()


def implied(method: str, path: str, who: str, takes: str) -> set[str]:
    """The statuses that go without saying, as http.md says below its table."""
    if not path.startswith("/api/"):
        return set()
    statuses = {"413", "429", "500", "503"}
    if who != "nobody":
        statuses.add("401")
    if method != "GET" or who in ("session", "administrator"):
        statuses.add("403")
    if takes:
        statuses |= {"400"} if takes == "query" else {"400", "408", "415"}
    if "{" in path:
        statuses.add("404")
    return statuses


def test_the_table_has_all_endpoints_and_their_statuses(document: dict[str, Any]) -> None:
    documented = {}
    for first, who, takes, _, answers in rows(section(HTTP, "Endpoints")):
        method, path = first.strip("`").split(" ")
        documented[method, path] = set(re.findall(r"\b[2-5]\d\d\b", answers)) | implied(
            method, path, who, takes
        )
    described = {
        (method.upper(), path): set(operation["responses"])
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }
    outside = {
        ("POST", "/webhooks/stripe"),
        ("GET", "/files/…"),
        ("GET", "/samples/{name}.jpg"),
    }
    assert {key: documented[key] for key in documented.keys() - outside} == described


def test_the_table_says_who_can_ask_and_what_is_taken(document: dict[str, Any]) -> None:
    kinds = {"application/json": "JSON", "multipart/form-data": "form", "image/*": "file"}
    table = {row[0].strip("`"): (row[1], row[2]) for row in rows(section(HTTP, "Endpoints"))}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            who, takes = table[f"{method.upper()} {path}"]
            assert (who == "nobody") is not bool(operation.get("security")), path
            sent = [
                kinds[kind] for kind in operation.get("requestBody", {}).get("content", {}) if kind in kinds
            ]
            if any(parameter["in"] == "query" for parameter in operation.get("parameters", [])):
                sent.append("query")
            assert takes == ", ".join(sent), path


def properties(schema: dict[str, Any]) -> Iterator[str]:
    """The names of all fields in a schema, however deep."""
    for name, inner in schema.get("properties", {}).items():
        yield name
        yield from properties(inner)
    for inner in (schema.get("items"), schema.get("itemSchema")):
        if isinstance(inner, dict):
            yield from properties(inner)
    for option in schema.get("anyOf", []):
        yield from properties(option)


def test_every_field_parameter_and_header_is_documented(document: dict[str, Any]) -> None:
    named = {field for schema in document["components"]["schemas"].values() for field in properties(schema)}
    for operations in document["paths"].values():
        for operation in operations.values():
            named |= {parameter["name"] for parameter in operation.get("parameters", [])}
            for content in operation.get("requestBody", {}).get("content", {}).values():
                named |= set(properties(content["schema"]))
            for response in operation["responses"].values():
                named |= set(response.get("headers", {}))
                for content in response.get("content", {}).values():
                    named |= set(properties(content.get("itemSchema", {})))
    texts = [
        (DOCS / f"{name}.md").read_text()
        for name in ("http", "errors", "accounts", "credits", "webhooks", "safety")
    ]
    quoted = {
        word
        for text in texts
        for quotation in re.findall(r"`([^`\n]+)`", text)
        for word in re.findall(r"[A-Za-z_][\w-]*", quotation)
    }
    assert named - quoted == set()


def test_every_header_that_pages_may_send_or_read_is_documented(tmp_path: Path) -> None:
    app = create_app(load_settings(data_dir=tmp_path, database_url="postgresql://unused/", cors_origins="*"))
    allowed: list[Any] = [each.kwargs for each in app.user_middleware if "allow_headers" in each.kwargs]
    for name in (*allowed[0]["allow_headers"], *allowed[0]["expose_headers"]):
        assert re.search(rf"`{name}\b", section(HTTP, "Headers")), name


def test_the_envelopes_are_shown() -> None:
    success, refusal = (json.loads(example) for example in examples(section(HTTP, "Requests and answers")))
    assert success == {"code": 200, "message": "success", "data": {}}
    assert ErrorAnswer.model_validate(refusal).model_dump() == refusal


def test_links_between_documents_lead_somewhere() -> None:
    for page in DOCS.glob("*.md"):
        for target, anchor in re.findall(r"\]\(([\w./-]*)(?:#([\w-]*))?\)", page.read_text()):
            other = page.parent / target if target else page
            assert other.exists(), (page.name, target)
            if anchor:
                heads = re.findall(r"^#+ (.*)$", other.read_text(), re.MULTILINE)
                anchors = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
                assert anchor in anchors, (page.name, target, anchor)


@pytest.mark.parametrize(
    ("title", "model"),
    [
        ("Create a face swap", AcceptedAnswer),
        ("Upload a picture", UploadAnswer),
        ("Find faces", FacesAnswer),
        ("Check a picture's origin", OriginAnswer),
        ("Read a task", TaskAnswer),
    ],
)
def test_the_examples_are_answers(title: str, model: type[BaseModel]) -> None:
    (example,) = examples(section(HTTP, title))
    assert model.model_validate_json(example).model_dump(mode="json") == json.loads(example)


def test_the_answer_to_a_creation_is_shown_byte_for_byte() -> None:
    (example,) = examples(section(HTTP, "Create a face swap"))
    assert AcceptedAnswer.model_validate_json(example).model_dump_json() == example.rstrip()


def test_the_examples_of_errors_are_errors() -> None:
    refusal, failure = examples(ERRORS)
    assert ErrorAnswer.model_validate_json(refusal).model_dump() == json.loads(refusal)
    assert Failure.model_validate_json(failure).model_dump() == json.loads(failure)
