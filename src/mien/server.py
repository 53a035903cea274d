"""The HTTP API and the site: puts the rooms together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from mien.accounts import administration, authentication, letters, upkeep
from mien.accounts import endpoints as accounts
from mien.billing import endpoints as billing
from mien.billing.payments import open_payments
from mien.database.repeat import repeat
from mien.detection import endpoints as detection
from mien.detection import sweeper as annotated
from mien.detection.detectors import Detectors
from mien.http import files, health, thumbnails
from mien.http.authentication import Authentication
from mien.http.errors import add_error_handlers
from mien.http.middleware import BodyLimits, RequestContext
from mien.http.openapi import describe
from mien.origin import endpoints as origin
from mien.origin.checkers import OriginCheckers
from mien.privacy import deletion
from mien.privacy import endpoints as privacy
from mien.resources import Resources, open_resources
from mien.safety import administration as safety_administration
from mien.safety import endpoints as safety
from mien.safety import trail
from mien.settings import Settings
from mien.tasks import announcements as task_announcements
from mien.tasks import endpoints as tasks
from mien.tasks import reaper, sweeper
from mien.tasks.watch import Watch
from mien.uploads import endpoints as uploads
from mien.web import administration as administrators_pages
from mien.web import assets, dashboard, do_not_swap
from mien.web import endpoints as site
from mien.web import origin as origin_page
from mien.web.demo import endpoints as demo
from mien.web.failures import answer_unexpected, show_failures
from mien.webhooks import announcements as webhook_announcements
from mien.webhooks import endpoints as webhooks
from mien.webhooks import reaper as deliveries

_SWEEP = timedelta(minutes=10)
_TIDY = timedelta(hours=1)
_FINISH = timedelta(minutes=1)
# Requests without pictures are small.
_BODY_LIMIT = 64_000


def create_app(settings: Settings) -> FastAPI:
    """The application of one API process; while it runs, it also reaps and sweeps.

    Raises `SetupError` if there is no database address or the data folder can't be used.
    """
    resources = open_resources(settings)
    app = FastAPI(
        title="Mien",
        summary="Natural face swaps.",
        version=version("mien"),
        servers=[{"url": settings.public_url}],
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # behind a proxy it would lead from https to http
        lifespan=_lifespan,
        middleware=[
            Middleware(RequestContext, answer=answer_unexpected),
            *_cors(settings),
            Middleware(
                Authentication,
                by_key=authentication.by_key(resources),
                by_session=authentication.by_session(resources),
                public_url=settings.public_url,
                open_paths=accounts.OPEN_PATHS | safety.OPEN_PATHS,
            ),
            Middleware(
                BodyLimits,
                limits={
                    tasks.FACE_SWAP: settings.max_body_bytes,
                    detection.FACE_DETECT: settings.max_body_bytes,
                    origin.CHECK_ORIGIN: settings.max_body_bytes,
                    origin_page.CHECK_ORIGIN: settings.max_image_bytes + uploads.FORM_OVERHEAD,
                    demo.FACE_SWAP: demo.MAX_BODY,
                    demo.FACE_DETECT: demo.MAX_BODY,
                    safety.DO_NOT_SWAP: settings.max_body_bytes,
                    safety_administration.DO_NOT_SWAP: settings.max_body_bytes,
                    billing.STRIPE_WEBHOOK: billing.MAX_EVENT,
                    uploads.UPLOADS: settings.max_image_bytes + uploads.FORM_OVERHEAD,
                },
                default=_BODY_LIMIT,
                in_flight=settings.max_bytes_in_flight,
                timeout=settings.body_timeout.total_seconds(),
            ),
        ],
    )
    app.state.resources = resources
    app.state.payments = open_payments(settings)
    app.state.watch = Watch(resources)
    app.state.detectors = Detectors(settings)
    app.state.origin_checkers = OriginCheckers(settings)
    for router in (
        accounts.open_router,
        accounts.router,
        administration.router,
        tasks.router,
        detection.router,
        origin.router,
        origin_page.router,
        uploads.router,
        safety.router,
        safety_administration.router,
        webhooks.router,
        billing.router,
        privacy.router,
        billing.webhook_router,
        files.router,
        thumbnails.router,
        health.router,
        assets.router,
        site.router,
        do_not_swap.router,
        demo.router,
        dashboard.router,
        administrators_pages.router,
    ):
        # Not include_router, which takes every route apart again at the first request.
        app.router.routes.extend(router.routes)
    for announced in (task_announcements.router, webhook_announcements.router):
        app.webhooks.routes.extend(announced.routes)
    add_error_handlers(app)
    show_failures(app)
    describe(app, settings.public_url)
    return app


def _cors(settings: Settings) -> list[Middleware]:
    """Lets pages of the origins that the operator names call the API with a key; without cookies."""
    if not settings.cors_origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST", "PATCH", "PUT", "DELETE"],
            allow_headers=[
                "Authorization",
                "Content-Type",
                "Idempotency-Key",
                "Last-Event-ID",
                "Prefer",
                "X-Request-Id",
            ],
            expose_headers=[
                "Idempotency-Replayed",
                "Preference-Applied",
                "RateLimit",
                "RateLimit-Policy",
                "Retry-After",
                "X-Request-Id",
            ],
        )
    ]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    resources: Resources = app.state.resources
    heartbeat = resources.settings.worker_heartbeat
    keepers = [
        asyncio.create_task(repeat(work.__module__, partial(work, resources), every=every))
        for work, every in (
            (reaper.reap, heartbeat),
            (deliveries.reap, heartbeat),
            (letters.reap, heartbeat),
            (sweeper.clean, _SWEEP),
            (annotated.sweep, _SWEEP),
            (upkeep.tidy, _TIDY),
            (trail.forget_old, _TIDY),
            (deletion.finish, _FINISH),
        )
    ]
    keepers.append(asyncio.create_task(app.state.watch.keep_watching()))
    yield
    for keeper in keepers:
        keeper.cancel()
    await asyncio.gather(*keepers, return_exceptions=True)
    await app.state.detectors.close()
    await app.state.origin_checkers.close()
    await app.state.payments.close()
    await resources.close()
