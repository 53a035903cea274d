"""The API reference: our OpenAPI document in a form that a template can show."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

Schema = Mapping[str, Any]

_FIRST = ("tasks", "faces", "uploads", "webhooks", "account", "keys", "credits", "usage")
_DEEPEST = 4  # levels of objects in objects
_MOST_CHOICES = 12


@dataclass(frozen=True, slots=True)
class Field:
    """One value of a request or an answer; `name` has dots and brackets where it's inside of another."""

    name: str
    type: str
    required: bool
    default: str | None
    """As JSON; None if there is none."""
    range: str
    """What values it may have: `0 to 10`, or empty."""
    description: str


@dataclass(frozen=True, slots=True)
class Answer:
    status: str
    phrase: str
    description: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Operation:
    id: str
    method: str
    path: str
    summary: str
    description: str
    needs_key: bool
    parameters: tuple[tuple[str, Field], ...]
    """Each with its place: path, query or header."""
    body_types: tuple[str, ...]
    body: tuple[Field, ...]
    example: str | None
    """The body of a request, as JSON."""
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    operations: tuple[Operation, ...]


def groups(document: Schema) -> list[Group]:
    """All operations of an OpenAPI document, by their first tag: what people come for first."""
    found: dict[str, list[Operation]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            tag = (operation.get("tags") or ["other"])[0]
            found.setdefault(tag, []).append(_operation(document, method, path, operation))
    names = [name for name in _FIRST if name in found] + [name for name in found if name not in _FIRST]
    return [Group(name, tuple(found[name])) for name in names]


def fields(schema: Schema, document: Schema | None = None) -> tuple[Field, ...]:
    """The fields of an object's JSON schema, also those of objects in it."""
    return tuple(_fields(schema, document or {}, "", 0))


def _operation(document: Schema, method: str, path: str, operation: Schema) -> Operation:
    content = operation.get("requestBody", {}).get("content", {})
    body: Schema = next((each["schema"] for each in content.values()), {})
    examples = _resolved(body, document).get("examples")
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation.get("summary", path),
        description=operation.get("description", ""),
        needs_key=bool(operation.get("security")),
        parameters=tuple(
            (each["in"], _field(each["name"], each["schema"], document, each.get("required", False), each))
            for each in operation.get("parameters", [])
        ),
        body_types=tuple(content),
        body=fields(body, document) if "application/json" in content else (),
        example=json.dumps(examples[0], indent=2, ensure_ascii=False) if examples else None,
        answers=tuple(_answer(document, status, answer) for status, answer in operation["responses"].items()),
    )


def _answer(document: Schema, status: str, answer: Schema) -> Answer:
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return Answer(
        status=status,
        phrase=HTTPStatus(int(status)).phrase,
        description=answer.get("description", ""),
        fields=fields(schema, document) if status.startswith("2") else (),
    )


def _fields(schema: Schema, document: Schema, prefix: str, depth: int) -> Iterator[Field]:
    schema = _object_in(schema, document)
    required = schema.get("required", [])
    for name, each in schema.get("properties", {}).items():
        yield _field(prefix + name, each, document, name in required, each)
        if depth < _DEEPEST:
            inner = _resolved(each, document)
            listed = next((one["items"] for one in _choices(inner, document) if "items" in one), None)
            where = f"{prefix}{name}[]." if listed else f"{prefix}{name}."
            yield from _fields(listed or inner, document, where, depth + 1)


def _field(name: str, schema: Schema, document: Schema, required: bool, described: Schema) -> Field:
    resolved = _resolved(schema, document)
    has_default = "default" in schema and schema["default"] is not None
    return Field(
        name=name,
        type=_type(resolved, document),
        required=required,
        default=json.dumps(schema["default"], ensure_ascii=False) if has_default else None,
        range=_range(resolved, document),
        description=described.get("description") or resolved.get("description", ""),
    )


def _resolved(schema: Schema, document: Schema) -> Schema:
    while "$ref" in schema:
        found: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        schema = found
    return schema


def _choices(schema: Schema, document: Schema) -> list[Schema]:
    """What a value may be, without null."""
    choices = schema.get("anyOf") or schema.get("oneOf") or [schema]
    resolved = [_resolved(choice, document) for choice in choices]
    return [choice for choice in resolved if choice.get("type") != "null"]


def _object_in(schema: Schema, document: Schema) -> Schema:
    choices = _choices(_resolved(schema, document), document)
    return next((choice for choice in choices if "properties" in choice), {})


def _type(schema: Schema, document: Schema) -> str:
    choices = _choices(schema, document)
    names = list(dict.fromkeys(_type_name(choice, document) for choice in choices))
    is_nullable = len(choices) < len(schema.get("anyOf", choices))
    return " or ".join([*names, *(["null"] if is_nullable else [])])


def _type_name(schema: Schema, document: Schema) -> str:
    kind = schema.get("type", "any")
    if kind == "array":
        items = schema.get("items", {})
        return f"list of {_type(_resolved(items, document), document)}" if items else "list"
    if schema.get("format") == "binary":
        return "file"
    if schema.get("format") == "date-time":
        return "time"
    return str(kind)


def _range(schema: Schema, document: Schema) -> str:
    said = [_range_of(choice) for choice in _choices(schema, document)]
    return "; ".join(filter(None, dict.fromkeys(said)))


def _range_of(schema: Schema) -> str:
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return _listed(schema["enum"])
    for least, most, unit in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
    ):
        if least in schema and most in schema:
            return f"{schema[least]:,} to {schema[most]:,}{unit}".replace(",", " ")
        if most in schema:
            return f"up to {schema[most]:,}{unit}".replace(",", " ")
        if least in schema:
            return f"from {schema[least]:,}{unit}".replace(",", " ")
    return ""


def _listed(values: Sequence[Any]) -> str:
    shown = ", ".join(json.dumps(value, ensure_ascii=False) for value in values[:_MOST_CHOICES])
    return shown + (", …" if len(values) > _MOST_CHOICES else "")
