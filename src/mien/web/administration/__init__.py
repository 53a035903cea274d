"""What administrators see and do: how the service stands, accounts, invites, orders, settings in force."""

from fastapi import APIRouter

from mien.web.administration import accounts, invites, orders, settings, standing

router = APIRouter(include_in_schema=False)
for room in (standing, accounts, invites, orders, settings):
    router.routes.extend(room.router.routes)
