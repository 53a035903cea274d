"""What the supervisor's child processes run.

    python -m mien.child api LIFELINE SOCKET
    python -m mien.child worker LIFELINE [DIED]

LIFELINE is the reading end of a pipe whose other end the supervisor alone has, and never writes to: when it
ends, the supervisor is gone, however it went, and this process follows. SOCKET is the listening socket of the
API; DIED is the number of the worker that this one takes the place of. Settings come through the environment.

Each role imports what it needs when it's called: so a process that still imports watches its lifeline, too.
"""

import asyncio
import math
import os
import socket
import sys
import threading

import structlog

from mien.errors import SetupError
from mien.settings import Settings, load_settings
from mien.telemetry import configure_logging

logger = structlog.get_logger("mien.child")

_BURY_TIMEOUT = 10.0  # seconds


def main(role: str, lifeline: str, number: str = "") -> int:
    threading.Thread(target=_die_with_supervisor, args=[int(lifeline)], daemon=True).start()
    try:
        settings = load_settings()
        configure_logging(settings.log_level, settings.log_format)
        if role == "api":
            _serve(settings, _SharedSocket(fileno=int(number)))
        else:
            asyncio.run(_work(settings, int(number) if number else None))
    except SetupError as error:
        print(f"Error: {error.message}", file=sys.stderr)  # noqa: T201
        return os.EX_CONFIG
    return 0


class _SharedSocket(socket.socket):
    """The listening socket of several processes: how many connections wait at it is the supervisor's affair.

    uvicorn has one setting for that and for how many are accepted in one go, which is few here: else the
    first process to wake takes all.
    """

    def listen(self, backlog: int = 0) -> None:
        pass


def _serve(settings: Settings, listening: socket.socket) -> None:
    import uvicorn

    from mien.server import create_app

    app = create_app(settings)

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.watch.close()  # who waits for a task would keep us waiting
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app,
        log_config=None,  # ours
        access_log=False,
        server_header=False,
        backlog=1,  # connections that are accepted in one go
        proxy_headers=False,  # MIEN_PUBLIC_URL says what clients see
        timeout_graceful_shutdown=math.ceil(settings.stop_grace.total_seconds()),
    )
    Server(config).run(sockets=[listening])


async def _work(settings: Settings, died: int | None) -> None:
    from mien.tasks import worker

    if died:
        try:
            async with asyncio.timeout(_BURY_TIMEOUT):
                await _bury(settings, died)
        except Exception:
            logger.warning("a dead worker's tasks wait until its silence is noticed", exc_info=True)
    await worker.run(settings)


async def _bury(settings: Settings, died: int) -> None:
    from mien.resources import open_resources
    from mien.tasks import reaper

    resources = open_resources(settings)
    try:
        await reaper.bury(resources, died)
    finally:
        await resources.close()


def _die_with_supervisor(lifeline: int) -> None:
    os.read(lifeline, 1)
    # At once, since the next supervisor may be starting: tasks under way are queued again when it finds them.
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
