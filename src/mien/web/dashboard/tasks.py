"""Pages of tasks: a list with filters, and one task with all there is to know about it."""

import json
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from mien.accounts import service as accounts
from mien.errors import ApiError
from mien.http import thumbnails
from mien.http.dependencies import Cursor, Shared
from mien.resources import Resources
from mien.tasks import listing, service
from mien.tasks.listing import TaskFilter
from mien.tasks.models import Task
from mien.tasks.schemas import TaskData, task_answer
from mien.web.addresses import own_path
from mien.web.forms import PostedForm, go, midnight, show, turning
from mien.web.visitors import SignedIn

router = APIRouter(include_in_schema=False)

_TASKS = "/dashboard/tasks"
_PER_PAGE = 24

Chosen = Annotated[str, Query(max_length=64)]


@dataclass(frozen=True)
class Shown:
    """A task as pages show it."""

    task: Task
    data: TaskData
    picture: str | None
    """Where this site has the result: pages may load pictures from nowhere else."""
    thumbnail: str | None
    """Where it has the same in small."""


def shown(request: Request, shared: Resources, task: Task) -> Shown:
    data = task_answer(shared, task).data
    if data.image_url is None:
        return Shown(task, data, None, None)
    path = data.image_url.removeprefix(shared.settings.public_url)
    return Shown(task, data, own_path(request, path), own_path(request, thumbnails.path_of(path)))


@router.get(_TASKS)
async def list_tasks(
    request: Request,
    shared: Shared,
    visitor: SignedIn,
    status: Chosen = "",
    key: Chosen = "",
    since: Chosen = "",
    until: Chosen = "",
    cursor: Cursor = None,
) -> Response:
    """The account's tasks, the newest first."""
    chosen = {"status": status, "key": key, "since": since, "until": until}
    async with shared.sessions() as session:
        page = await listing.page(session, visitor.account.id, _filter(chosen, cursor))
        keys = await accounts.list_keys(session, visitor.account.id)
    kept = {name: value for name, value in chosen.items() if value}
    return await show(
        request,
        "dashboard/tasks.html",
        tasks=[shown(request, shared, task) for task in page.rows],
        chosen=chosen,
        keys=keys,
        is_filtered=bool(kept),
        **turning(_TASKS, page, cursor, kept),
    )


@router.get(f"{_TASKS}/{{task_id}}")
async def read_task(request: Request, shared: Shared, visitor: SignedIn, task_id: str) -> Response:
    """All about a task."""
    task = await service.find(shared, visitor.account.id, task_id)
    return await _task_page(request, shared, task)


@router.post(f"{_TASKS}/{{task_id}}/cancel")
async def cancel_task(request: Request, shared: Shared, form: PostedForm, task_id: str) -> Response:
    """Cancel a task in progress."""
    account_id = form.visitor.account.id
    try:
        await service.cancel(shared, account_id, task_id)
    except ApiError as refusal:
        return await _task_page(request, shared, await service.find(shared, account_id, task_id), refusal)
    return go(request, f"{_TASKS}/{task_id}", "canceled")


@router.post(f"{_TASKS}/{{task_id}}/delete")
async def delete_pictures(request: Request, shared: Shared, form: PostedForm, task_id: str) -> Response:
    """Delete the pictures of a task that has ended."""
    account_id = form.visitor.account.id
    try:
        await service.delete_pictures(shared, account_id, task_id)
    except ApiError as refusal:
        return await _task_page(request, shared, await service.find(shared, account_id, task_id), refusal)
    return go(request, f"{_TASKS}/{task_id}", "deleted")


async def _task_page(
    request: Request, shared: Resources, task: Task, refusal: ApiError | None = None
) -> Response:
    answer = task_answer(shared, task)
    async with shared.sessions() as session:
        keys = await accounts.list_keys(session, task.account_id)
    return await show(
        request,
        "dashboard/task.html",
        refusal=refusal,
        task=shown(request, shared, task),
        key=next((key for key in keys if key.id == task.key_id), None),
        answer=json.dumps(answer.model_dump(mode="json"), indent=2, ensure_ascii=False),
    )


def _filter(chosen: dict[str, str], cursor: str | None) -> TaskFilter:
    """What was chosen, without what makes no sense: nobody types it, and an old link may hold it."""
    fields: dict[str, Any] = {"limit": _PER_PAGE, "cursor": cursor}
    wanted = TaskFilter.model_validate(fields)
    for name, field, value in (
        ("status", "status", chosen["status"]),
        ("key", "key", chosen["key"]),
        ("since", "created_after", midnight(chosen["since"])),
        ("until", "created_before", midnight(chosen["until"], days=1)),
    ):
        if not value:
            chosen[name] = ""
            continue
        try:
            wanted = TaskFilter.model_validate(fields | {field: value})
            fields[field] = value
        except ValidationError:
            chosen[name] = ""
    return wanted
