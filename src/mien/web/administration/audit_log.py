"""The page of the audit log: what administrators did, with filters, and as JSON lines."""

import json
from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from mien.accounts import audit_log
from mien.accounts import service as accounts
from mien.accounts.audit_log import COMMAND_LINE, LineFilter
from mien.accounts.models import Act, AuditLine
from mien.http.dependencies import Cursor, Shared
from mien.resources import Resources
from mien.web.forms import midnight, show, turning
from mien.web.visitors import SignedInAdministrator

router = APIRouter(include_in_schema=False)

_AUDIT_LOG = "/administration/audit-log"
_PER_PAGE = 50

Chosen = Annotated[str, Query(max_length=64)]


@router.get(_AUDIT_LOG)
async def read_audit_log(
    request: Request,
    shared: Shared,
    _: SignedInAdministrator,
    act: Chosen = "",
    actor: Chosen = "",
    account: Chosen = "",
    since: Chosen = "",
    until: Chosen = "",
    cursor: Cursor = None,
) -> Response:
    """What was done, the newest first."""
    chosen = {"act": act, "actor": actor, "account": account, "since": since, "until": until}
    wanted = _filter(chosen)
    async with shared.sessions() as session:
        page = await audit_log.newest(session, wanted, limit=_PER_PAGE, cursor=cursor)
        named = await accounts.find_accounts(session, audit_log.named(page.rows))
        administrators = await audit_log.administrators(session)
    kept = {name: value for name, value in chosen.items() if value}
    return await show(
        request,
        "administration/audit-log.html",
        lines=page.rows,
        named=named,
        acts=list(Act),
        administrators=administrators,
        command_line=COMMAND_LINE,
        chosen=chosen,
        kept=kept,
        **turning(_AUDIT_LOG, page, cursor, kept),
    )


@router.get(f"{_AUDIT_LOG}.jsonl")
async def export_audit_log(
    shared: Shared,
    _: SignedInAdministrator,
    act: Chosen = "",
    actor: Chosen = "",
    account: Chosen = "",
    since: Chosen = "",
    until: Chosen = "",
) -> Response:
    """The same lines for programs, all of them."""
    wanted = _filter({"act": act, "actor": actor, "account": account, "since": since, "until": until})
    return StreamingResponse(
        _written(shared, wanted),
        media_type="application/jsonl",
        headers={
            "Cache-Control": "no-store",
            "Content-Disposition": 'attachment; filename="audit-log.jsonl"',
            "X-Content-Type-Options": "nosniff",
        },
    )


async def _written(shared: Resources, wanted: LineFilter) -> AsyncIterator[str]:
    async for line in audit_log.every(shared.sessions, wanted):
        yield json.dumps(_fields(line), ensure_ascii=False) + "\n"


def _fields(line: AuditLine) -> dict[str, object]:
    return {
        "id": line.id,
        "at": line.created_at.isoformat(),
        "act": line.act.value,
        **{name: _id(getattr(line, name)) for name in ("actor_id", "key_id", "account_id")},
        "subject": line.subject,
        "details": line.details,
    }


def _id(value: UUID | None) -> str | None:
    return str(value) if value else None


def _filter(chosen: dict[str, str]) -> LineFilter:
    """What was chosen; what makes no sense is emptied: nobody types it, and an old link may hold it."""
    if chosen["act"] not in list(Act):
        chosen["act"] = ""
    ids = {}
    for name in ("actor", "account"):
        try:
            ids[name] = UUID(chosen[name])
        except ValueError:
            if (name, chosen[name]) != ("actor", COMMAND_LINE):
                chosen[name] = ""
    since, until = midnight(chosen["since"]), midnight(chosen["until"], days=1)
    chosen["since"], chosen["until"] = chosen["since"] if since else "", chosen["until"] if until else ""
    return LineFilter(
        act=Act(chosen["act"]) if chosen["act"] else None,
        actor=ids.get("actor", chosen["actor"]),
        account_id=ids.get("account"),
        since=since,
        until=until,
    )
