"""What administrators see and do: how the service stands, accounts, invites, orders, audit log, settings."""

from fastapi import APIRouter

from mien.web.administration import accounts, audit_log, invites, orders, settings, standing

router = APIRouter(include_in_schema=False)
for room in (standing, accounts, invites, orders, audit_log, settings):
    router.routes.extend(room.router.routes)
