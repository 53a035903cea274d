"""Logs: one line per event on stderr, from us and from libraries alike; JSON, or plain on a terminal.

    log = structlog.get_logger(__name__)
    with structlog.contextvars.bound_contextvars(task_id=task_id):
        log.info("swap finished", seconds=0.4)

What is bound to the context (`request_id`, `task_id`) is on every line logged within, also by libraries.
Secrets and what is about people aren't given to logs. What gets there all the same, in an error's text or in
an address that somebody called, is blanked: keys, passwords, e-mail addresses, pictures, what opens a file.
"""

import logging
import os
import re
import sys

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

# Below a warning these talk about themselves, and some quote the arguments of their calls.
_QUIET = (
    "alembic",
    "asyncio",
    "httpcore",
    "httpx",
    "procrastinate",
    "psycopg",
    "sqlalchemy",
    "stripe",
    "uvicorn",
)
_BLANKED = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"aio_[A-Za-z0-9_-]{43}", "aio_…"),
        (r"whsec_[A-Za-z0-9+/=]{20,}", "whsec_…"),
        (r"data:[\w.+/-]*;base64,[A-Za-z0-9+/=_-]+", "data:…"),
        (r"(://[^\s:/@]*:)[^\s/@]+@", r"\1…@"),
        (r"[\w.+%-]+@[\w-]+(\.[\w-]+)+", "…@…"),
        # An address of a picture may open it by what is in its query.
        (r"(https?://[^\s\"'?#]+)\?[^\s\"'#]+", r"\1?…"),
        (r"(/(files|thumbnails)/\d+/)[\w-]{20,}", r"\1…"),
    )
)


def configure_logging(level: str, style: str) -> None:
    """Send all logs of this process to stderr, as the settings `log_level` and `log_format` say."""
    on_terminal = sys.stderr.isatty()
    render: list[Processor] = (
        [
            # Plain: rich ones print local variables, and with them secrets.
            structlog.dev.ConsoleRenderer(
                colors=on_terminal, exception_formatter=structlog.dev.plain_traceback
            )
        ]
        if style == "console" or (style == "auto" and on_terminal)
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    describe: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_process,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Formatter(
            foreign_pre_chain=describe,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *describe,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def _add_process(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["pid"] = os.getpid()
    return event


class _Formatter(structlog.stdlib.ProcessorFormatter):
    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        for pattern, replacement in _BLANKED:
            line = pattern.sub(replacement, line)
        return line
