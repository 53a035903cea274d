"""From a picture to what can be said about its origin, and to whom."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from mien.http.principal import Principal
from mien.origin.checkers import OWN_KEY, OriginCheckers
from mien.origin.schemas import OriginData, SignatureFound, Verdict, WatermarkFound
from mien.resources import Resources
from mien.tasks import queries
from mien.tasks.models import Task

if TYPE_CHECKING:
    from mien.marks.origin import Origin

_LEAST_CHANCE: Final = 1e-30
"""It may be computed as less, or as none at all, but then other errors are likelier."""


async def check(
    resources: Resources,
    checkers: OriginCheckers,
    picture: bytes,
    asker: Principal | None,
    request_id: str,
) -> OriginData:
    """What the file `picture` tells `asker`, who may be nobody in particular.

    Raises `ImageInvalid`, `ImageTooLarge`, `Unavailable` and `InternalError`.
    """
    origin = await checkers.check(resources, picture, log={"request_id": request_id})
    async with resources.autocommit() as session:
        tasks = await queries.completed_with_tags(session, [*_own_tags(origin)])
    return OriginData(
        verdict=_verdict(origin),
        made_at=_made_at(origin, tasks),
        signature=SignatureFound(
            state=origin.signature,
            own=origin.signed_here,
            names_mien=origin.manifest,
            time_stamped=origin.time_stamped,
        ),
        metadata=origin.metadata,
        watermarks=_watermarks(origin, {task.tag for task in tasks}),
        task_id=_task_id(tasks, asker),
    )


def _own_tags(origin: "Origin") -> set[int]:
    """Tags that nobody else could have put there. Without a key anybody can, who has read a task's id."""
    return {found.tag for found in origin.watermarks if found.key == OWN_KEY}


def _verdict(origin: "Origin") -> Verdict:
    if (origin.signed_here and origin.manifest) or _own_tags(origin):
        return "this_service"
    if (origin.signature == "valid" and origin.manifest) or origin.watermarks:
        return "mien"
    return "claimed" if origin.made_by_mien else "no_evidence"


def _made_at(origin: "Origin", tasks: Sequence[Task]) -> datetime | None:
    if origin.time_stamped or not tasks:
        return origin.when
    return tasks[0].completed_at


def _watermarks(origin: "Origin", known: Collection[int]) -> list[WatermarkFound]:
    own = _own_tags(origin)
    return [
        WatermarkFound(
            own=found.key == OWN_KEY,
            chance=max(found.chance, _LEAST_CHANCE),
            task_found=found.tag in own and found.tag in known,
        )
        for found in origin.watermarks
    ]


def _task_id(tasks: Sequence[Task], asker: Principal | None) -> str | None:
    """The newest of them that `asker` may know of."""
    for task in tasks:
        if asker and (asker.is_administrator or asker.account_id == task.account_id):
            return task.id
    return None
