"""Pages with plain forms: what they send, how a refusal is shown, where one goes when it's done.

A form carries the session's CSRF token in a hidden field. It is answered with a redirect, or with its page
again that says what is wrong and keeps what was typed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Depends, HTTPException, Request
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from mien.database.paging import Page
from mien.errors import ApiError
from mien.http import sessions
from mien.http.dependencies import Shared
from mien.http.errors import invalid_request
from mien.web.addresses import own_path, page_path
from mien.web.pages import render
from mien.web.visitors import Visitor, check_administrator, visitor_of

CSRF_FIELD = "csrf_token"

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Form:
    """What a signed-in visitor sent from one of our own pages."""

    visitor: Visitor
    data: FormData

    @property
    def fields(self) -> Mapping[str, str]:
        """By name, without the space around them."""
        return {name: value.strip() for name, value in self.data.items() if isinstance(value, str)}

    def choices(self, name: str) -> list[str]:
        """The values of the boxes called `name` that are ticked."""
        return [value for value in self.data.getlist(name) if isinstance(value, str)]

    def read(self, model: type[Model], **given: Any) -> Model:
        """The fields as `model`, with `given` in their place; an optional one that is left empty has its
        default.

        Raises `InvalidRequest` that names the field at fault.
        """
        fields: dict[str, Any] = {
            name: value or model.model_fields[name].get_default()
            for name, value in self.fields.items()
            if name in model.model_fields and (value or not model.model_fields[name].is_required())
        }
        try:
            return model.model_validate(fields | given)
        except ValidationError as error:
            raise invalid_request(error.errors(include_url=False, include_input=False)) from None


async def _form(request: Request, shared: Shared) -> Form:
    visitor = await visitor_of(request)
    if visitor is None:
        query = urlencode({"to": page_path(request), "ended": "yes"})
        raise HTTPException(303, headers={"Location": own_path(request, f"/sign-in?{query}")})
    sessions.check_origin(request.headers, shared.settings.public_url)
    async with request.form(max_files=0) as data:
        sessions.check_csrf_field(str(data.get(CSRF_FIELD, "")), visitor.csrf_token)
        return Form(visitor, data)


async def _administrators_form(request: Request, shared: Shared) -> Form:
    form = await _form(request, shared)
    check_administrator(form.visitor)
    return form


PostedForm = Annotated[Form, Depends(_form)]
"""For what signed-in people do on pages. Refuses what another site sent, and all without the token."""

AdministratorsForm = Annotated[Form, Depends(_administrators_form)]
"""For what administrators do on pages."""


async def show(
    request: Request,
    template: str,
    *,
    refusal: ApiError | None = None,
    form: Form | None = None,
    is_secret: bool = False,
    **context: Any,
) -> Response:
    """A page that may say why its form was refused; `is_secret` if nobody may keep it.

    Its template gets `refusal`, `given` (what was typed) and `done`, the name of what was just done.
    """
    response = await render(
        request,
        template,
        status=refusal.status if refusal else 200,
        refusal=refusal,
        given=form.fields if form and refusal else {},
        done=request.query_params.get("done", ""),
        **context,
    )
    if is_secret:
        response.headers["Cache-Control"] = "no-store"
    return response


def midnight(day: str, days: int = 0) -> datetime | None:
    """When a day that a filter names begins (UTC), or the one so many `days` later; None for no day."""
    try:
        return datetime.combine(datetime.fromisoformat(day).date() + timedelta(days=days), time.min, UTC)
    except (ValueError, OverflowError):
        return None


def turning(
    path: str, page: Page[Any], cursor: str | None, kept: Mapping[str, str] | None = None
) -> Mapping[str, Any]:
    """What a list's page needs to lead to the others; it was asked with `cursor` and the filters `kept`."""
    filters = dict(kept or {})
    following = filters | {"cursor": page.next_cursor}
    return {
        "is_first": cursor is None,
        "first_page": f"{path}?{urlencode(filters)}" if filters else path,
        "next_page": f"{path}?{urlencode(following)}" if page.next_cursor else None,
    }


def go(request: Request, path: str, done: str = "") -> RedirectResponse:
    """On to a page, which says what was done."""
    query = f"?{urlencode({'done': done})}" if done else ""
    return RedirectResponse(own_path(request, path) + query, 303)
