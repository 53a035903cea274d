"""The dashboard's first page: how the account stands, and what it used."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from mien.billing import usage
from mien.billing.usage import Used
from mien.http.dependencies import Shared
from mien.tasks import listing
from mien.tasks.listing import TaskFilter
from mien.web.charts import stacked_bars
from mien.web.dashboard.tasks import shown
from mien.web.forms import show
from mien.web.visitors import SignedIn

router = APIRouter(include_in_schema=False)

_DAYS = 30
_LATEST = 6


@dataclass
class Day:
    """What was done on a day (UTC)."""

    date: date
    completed: int = 0
    failed: int = 0
    """With those that were canceled."""
    in_progress: int = 0
    credits: int = 0


@router.get("/dashboard")
async def overview(request: Request, shared: Shared, visitor: SignedIn) -> Response:
    """Balance, use per day, and the latest tasks."""
    account_id = visitor.account.id
    today = datetime.now(UTC).date()
    first = today - timedelta(days=_DAYS - 1)
    async with shared.sessions() as session:
        activity = await usage.activity(session, account_id)
        used = await usage.per_day(session, account_id, first, today)
        latest = await listing.page(session, account_id, TaskFilter(limit=_LATEST))
    return await show(
        request,
        "dashboard/overview.html",
        activity=activity,
        days=_by_day(used, first, today),
        chart=stacked_bars,
        tasks=[shown(request, shared, task) for task in latest.rows],
    )


def _by_day(used: Sequence[Used], first: date, last: date) -> list[Day]:
    days = {
        day.date: day
        for day in (Day(first + timedelta(days=number)) for number in range((last - first).days + 1))
    }
    for row in used:
        day = days[row.date]
        day.credits += row.credits
        match row.status:
            case "completed":
                day.completed += row.tasks
            case usage.IN_PROGRESS:
                day.in_progress += row.tasks
            case _:
                day.failed += row.tasks
    return list(days.values())
