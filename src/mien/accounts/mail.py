"""Mail to people, through the operator's server."""

from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import aiosmtplib
import structlog

from mien.settings import Settings

logger = structlog.get_logger(__name__)

_TIMEOUT = 20.0  # seconds


async def send(settings: Settings, to: str, subject: str, text: str) -> bool:
    """Send a plain text mail; False if the server doesn't take it, which is logged.

    Passwords go to the server through TLS only: `smtps` begins with it, `smtp` asks for it.
    """
    if settings.smtp_url is None:
        raise RuntimeError("there is no mail server")
    server = urlsplit(settings.smtp_url.get_secret_value())
    message = EmailMessage()
    message["From"] = settings.mail_from or f"mien@{urlsplit(settings.public_url).hostname}"
    message["To"] = to
    message["Subject"] = subject
    message.set_content(text)
    try:
        await aiosmtplib.send(
            message,
            hostname=server.hostname,
            port=server.port,
            username=unquote(server.username) if server.username else None,
            password=unquote(server.password) if server.password else None,
            use_tls=server.scheme == "smtps",
            # None: if the server offers it
            start_tls=True if server.scheme == "smtp" and server.username else None,
            timeout=_TIMEOUT,
        )
    except (aiosmtplib.SMTPException, OSError) as error:
        # Its text may quote the message, which holds a link.
        logger.error("mail was not sent", host=server.hostname, reason=type(error).__name__)
        return False
    return True
