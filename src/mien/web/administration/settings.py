"""The page of the settings in force. Secrets are said to be set, and no more."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Request
from pydantic import SecretStr
from starlette.responses import Response

from mien.http.dependencies import Shared
from mien.money import Pack
from mien.settings import Settings
from mien.web.forms import show
from mien.web.visitors import SignedInAdministrator

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class InForce:
    """A setting by its name in the environment; `value` is empty where it's unset or secret."""

    name: str
    value: str
    is_secret: bool
    is_set: bool
    is_default: bool


@router.get("/administration/settings")
async def read_settings(request: Request, shared: Shared, _: SignedInAdministrator) -> Response:
    """Every setting as this process has it."""
    return await show(request, "administration/settings.html", in_force=list(in_force(shared.settings)))


def in_force(settings: Settings) -> Iterator[InForce]:
    """All settings, without what is secret."""
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        is_secret = isinstance(value, SecretStr)
        yield InForce(
            name=f"MIEN_{name.upper()}",
            value="" if is_secret or value is None else _written(value),
            is_secret=is_secret,
            is_set=value is not None,
            is_default=name not in settings.model_fields_set or value == field.get_default(),
        )


def _written(value: Any) -> str:
    """As one would write it in the environment."""
    match value:
        case bool():
            return str(value).lower()
        case timedelta():
            return _duration(value)
        case tuple():
            return ", ".join(map(_written, value))
        case Pack():
            return f"{value.credits}={value.price}"
        case _:
            return str(value)


def _duration(value: timedelta) -> str:
    """Such as 90s, 2h or 7d, in the largest unit that makes it whole."""
    seconds = value.total_seconds()
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"
