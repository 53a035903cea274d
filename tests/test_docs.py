"""What the documents say of the API is what the code does."""

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from mien import errors
from mien.detection.schemas import FaceDetectRequest, FaceFound, FacesAnswer, FacesData
from mien.errors import ApiError, TaskError
from mien.http.errors import ErrorAnswer
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


def test_every_endpoint_is_documented_with_its_statuses(tmp_path: Path) -> None:
    table = HTTP.split("\n## ")[0]
    documented = {
        tuple(row[0].strip("`").split(" ")): set(re.findall(r"\b[2-5]\d\d\b", row[2])) for row in rows(table)
    }
    settings = load_settings(data_dir=tmp_path, database_url="postgresql://unused/")
    for path, operations in create_app(settings).openapi()["paths"].items():
        for method, operation in operations.items():
            assert documented[method.upper(), path] == set(operation["responses"])


@pytest.mark.parametrize(
    ("title", "model"),
    [
        ("Create a face swap", AcceptedAnswer),
        ("Upload a picture", UploadAnswer),
        ("Find faces", FacesAnswer),
        ("Read a task", TaskAnswer),
    ],
)
def test_the_examples_are_answers(title: str, model: type[BaseModel]) -> None:
    (example,) = examples(section(HTTP, title))
    assert model.model_validate_json(example).model_dump(mode="json") == json.loads(example)


def test_the_examples_of_errors_are_errors() -> None:
    refusal, failure = examples(ERRORS)
    assert ErrorAnswer.model_validate_json(refusal).model_dump() == json.loads(refusal)
    assert Failure.model_validate_json(failure).model_dump() == json.loads(failure)
