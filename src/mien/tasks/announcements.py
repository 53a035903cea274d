"""What webhooks are told of tasks, for the OpenAPI document. Nobody calls these functions.

What is really sent is made in `mien.tasks.endings` and `mien.webhooks.service`.
"""

from datetime import datetime
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from mien.tasks.schemas import TaskData
from mien.webhooks.announcements import RECEIVER, Id, Signature, Timestamp

router = APIRouter(tags=["webhooks"])


class TaskCompleted(BaseModel):
    """A task's result is there."""

    type: Literal["task.completed"]
    timestamp: datetime
    data: TaskData


class TaskFailed(BaseModel):
    """A task failed; `data.error` says why."""

    type: Literal["task.failed"]
    timestamp: datetime
    data: TaskData


class TaskCanceled(BaseModel):
    """A task was canceled: it has failed, with the error's type `canceled`."""

    type: Literal["task.canceled"]
    timestamp: datetime
    data: TaskData


@router.post("task.completed", summary="A task was completed", **RECEIVER)
async def task_completed(sent: TaskCompleted, id: Id, timestamp: Timestamp, signature: Signature) -> None:
    """Sent to the task's `callback_url` and to webhooks that want to hear of it."""


@router.post("task.failed", summary="A task failed", **RECEIVER)
async def task_failed(sent: TaskFailed, id: Id, timestamp: Timestamp, signature: Signature) -> None:
    """Sent to the task's `callback_url` and to webhooks that want to hear of it."""


@router.post("task.canceled", summary="A task was canceled", **RECEIVER)
async def task_canceled(sent: TaskCanceled, id: Id, timestamp: Timestamp, signature: Signature) -> None:
    """Sent to the task's `callback_url` and to webhooks that want to hear of it."""
