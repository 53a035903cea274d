"""Tells requests that wait how their tasks change, without a database connection for each.

A process has one `Watch`. It listens for tasks that have changed, in whatever process, and reads all those
that somebody waits for in one query. What is heard is only a reason to read: the row is the truth.

    with watch.changes(task_id) as changes:
        task = await changes.get()        # as it is now, then after every change
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, NoReturn

import structlog
from sqlalchemy.exc import OperationalError

from mien.database.connection import database_url
from mien.database.listen import listen
from mien.resources import Resources
from mien.tasks import queries
from mien.tasks.models import TASKS_CHANGED, Task

logger = structlog.get_logger(__name__)

_BATCH: Final = 500  # tasks in one query
_PAUSE: Final = 0.5  # seconds before a failed query is tried again

Changes = asyncio.Queue[Task | None]
"""None says that this process is to end, and whoever waits should go."""


class Watch:
    """Knows nothing new unless `keep_watching` runs."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._waiting: defaultdict[str, set[Changes]] = defaultdict(set)
        self._unread: set[str] = set()
        self._something_unread = asyncio.Event()
        self._closed = False

    @contextmanager
    def changes(self, task_id: str) -> Iterator[Changes]:
        """A queue that gets the task as it is once it's read, and again after every change."""
        changes: Changes = asyncio.Queue()
        if self._closed:
            changes.put_nowait(None)
        self._waiting[task_id].add(changes)
        self._read_soon(task_id)
        try:
            yield changes
        finally:
            self._waiting[task_id].discard(changes)
            if not self._waiting[task_id]:
                del self._waiting[task_id]

    async def wait_for_end(self, task_id: str, seconds: float) -> Task | None:
        """The task once it has ended; None if it hasn't within `seconds`.

        Meanwhile nothing of it is held: many may be waiting.
        """
        with self.changes(task_id) as changes, suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while task := await changes.get():
                    if task.has_ended:
                        return task
                    del task  # before the next is waited for
        return None

    def close(self) -> None:
        """Let everybody go who waits, since this process is to end."""
        self._closed = True
        for waiting in self._waiting.values():
            for changes in waiting:
                changes.put_nowait(None)

    async def keep_watching(self) -> NoReturn:
        """Listen and read until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_reading())
            url = database_url(self._resources.settings)
            await listen(url, TASKS_CHANGED, self._heard, self._read_all)

    def _heard(self, task_id: str) -> None:
        if task_id in self._waiting:
            self._read_soon(task_id)

    def _read_all(self) -> None:
        """Something may have been missed."""
        self._unread.update(self._waiting)
        self._something_unread.set()

    def _read_soon(self, task_id: str) -> None:
        self._unread.add(task_id)
        self._something_unread.set()

    async def _keep_reading(self) -> NoReturn:
        while True:
            await self._something_unread.wait()
            task_ids = [self._unread.pop() for _ in range(min(_BATCH, len(self._unread)))]
            try:
                await self._read(task_ids)
            except Exception as error:
                if isinstance(error, OperationalError):
                    logger.warning("reading tasks failed", reason=str(error.orig))
                else:
                    logger.exception("reading tasks failed")
                self._unread.update(task_ids)
                await asyncio.sleep(_PAUSE)
            if not self._unread:
                self._something_unread.clear()

    async def _read(self, task_ids: list[str]) -> None:
        async with self._resources.autocommit() as session:
            tasks = await queries.find_all(session, task_ids)
        for task in tasks:
            for changes in self._waiting.get(task.id, ()):
                changes.put_nowait(task)
