"""What administrators see and do: how the service stands, accounts, invites, orders, lists, settings."""

from fastapi import APIRouter

from mien.web.administration import (
    accounts,
    audit_log,
    do_not_swap,
    invites,
    orders,
    settings,
    standing,
)

router = APIRouter(include_in_schema=False)
for room in (standing, accounts, invites, orders, do_not_swap, audit_log, settings):
    router.routes.extend(room.router.routes)
