"""An account's tasks, the newest first, page by page.

A cursor names the last task of a page by its time and id, so that tasks that come meanwhile move nothing.
"""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from mien.errors import InvalidRequest
from mien.tasks.models import State, Task

_STATES: Final = {
    "IN_PROGRESS": (State.QUEUED, State.RUNNING),
    "completed": (State.COMPLETED,),
    "failed": (State.FAILED, State.CANCELED),
    "canceled": (State.CANCELED,),
}


class TaskFilter(BaseModel):
    """Which tasks are wanted."""

    model_config = ConfigDict(extra="forbid")

    status: Literal["IN_PROGRESS", "completed", "failed", "canceled"] | None = Field(
        default=None, description="`failed` includes those that were canceled."
    )
    created_after: AwareDatetime | None = Field(
        default=None, description="With its zone: `2026-12-24T00:00:00Z`."
    )
    created_before: AwareDatetime | None = Field(default=None, description="With its zone.")
    key: UUID | None = Field(default=None, description="The id of the API key that they were created with.")
    limit: Annotated[int, Field(ge=1, le=100)] = Field(default=20, description="Tasks on a page.")
    cursor: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )


async def page(
    session: AsyncSession, account_id: UUID, wanted: TaskFilter
) -> tuple[Sequence[Task], str | None]:
    """A page of tasks, and the cursor of the next one. Raises `InvalidRequest` for a cursor of elsewhere."""
    found = select(Task).where(Task.account_id == account_id)
    if wanted.status:
        found = found.where(Task.state.in_(_STATES[wanted.status]))
    if wanted.created_after:
        found = found.where(Task.created_at > wanted.created_after)
    if wanted.created_before:
        found = found.where(Task.created_at < wanted.created_before)
    if wanted.key:
        found = found.where(Task.key_id == wanted.key)
    if wanted.cursor:
        found = found.where(tuple_(Task.created_at, Task.id) < _place(wanted.cursor))
    newest_first = found.order_by(Task.created_at.desc(), Task.id.desc()).limit(wanted.limit + 1)
    tasks = (await session.scalars(newest_first)).all()
    if len(tasks) <= wanted.limit:
        return tasks, None
    return tasks[: wanted.limit], _cursor(tasks[wanted.limit - 1])


def _cursor(task: Task) -> str:
    place = f"{task.created_at.isoformat()} {task.id}"
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
        time, _, task_id = text.partition(" ")
        created_at = datetime.fromisoformat(time)
        if created_at.tzinfo is None or "\0" in task_id:
            raise ValueError
    except (ValueError, binascii.Error):
        raise InvalidRequest(
            "`cursor` is none of ours. Send `next_cursor` of the page before as it is.", param="cursor"
        ) from None
    return created_at, task_id
