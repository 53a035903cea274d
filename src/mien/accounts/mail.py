"""Mail to people, through the operator's server."""

from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Final
from urllib.parse import unquote, urlsplit

from mien.settings import Settings

_TIMEOUT: Final = 20.0  # seconds


@dataclass(frozen=True)
class Mail:
    """A plain text mail."""

    to: str
    subject: str
    text: str = field(repr=False)


async def send(settings: Settings, mail: Mail) -> str | None:
    """Send a mail; None if the server took it, and else why not, in a few words that quote nothing of it.

    Passwords go to the server through TLS only: `smtps` begins with it, `smtp` asks for it.
    """
    import aiosmtplib  # which workers alone need

    if settings.smtp_url is None:
        raise RuntimeError("there is no mail server")
    server = urlsplit(settings.smtp_url.get_secret_value())
    message = EmailMessage()
    message["From"] = settings.mail_from or f"mien@{urlsplit(settings.public_url).hostname}"
    message["To"] = mail.to
    message["Subject"] = mail.subject
    message.set_content(mail.text)
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
    except aiosmtplib.SMTPResponseException as error:
        return f"{server.hostname} answered {error.code}"
    except (aiosmtplib.SMTPException, OSError) as error:
        # Its text may quote the message, which holds a link.
        return f"{server.hostname}: {type(error).__name__}"
    return None
