"""An account's tasks, the newest first, page by page."""

from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from mien.database.paging import Page, read_page
from mien.http.moments import Moment
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
    created_after: Moment | None = Field(default=None, description="With its zone: `2026-12-24T00:00:00Z`.")
    created_before: Moment | None = Field(default=None, description="With its zone.")
    key_id: UUID | None = Field(default=None, description="The API key that they were created with.")
    limit: Annotated[int, Field(ge=1, le=100)] = Field(default=20, description="Tasks on a page.")
    cursor: Annotated[str, Field(max_length=200)] | None = Field(
        default=None, description="`next_cursor` of the page before."
    )


async def page(session: AsyncSession, account_id: UUID, wanted: TaskFilter) -> Page[Task]:
    """A page of tasks. Raises `InvalidRequest` for a cursor of elsewhere."""
    found = select(Task).where(Task.account_id == account_id)
    if wanted.status:
        found = found.where(Task.state.in_(_STATES[wanted.status]))
    if wanted.created_after:
        found = found.where(Task.created_at > wanted.created_after)
    if wanted.created_before:
        found = found.where(Task.created_at < wanted.created_before)
    if wanted.key_id:
        found = found.where(Task.key_id == wanted.key_id)
    return await read_page(
        session, found, (Task.created_at, Task.id), limit=wanted.limit, cursor=wanted.cursor
    )
