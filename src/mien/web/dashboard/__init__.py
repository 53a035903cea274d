"""What a signed-in person sees and does: their tasks, keys, webhooks, credits and settings."""

from fastapi import APIRouter

from mien.web.dashboard import credits, keys, overview, settings, tasks, webhooks

router = APIRouter(include_in_schema=False)
for room in (overview, tasks, keys, webhooks, credits, settings):
    router.routes.extend(room.router.routes)
