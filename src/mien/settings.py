"""Every setting of the service, read from the environment: `MIEN_` plus the name.

    settings = load_settings()                   # environment and defaults
    settings = load_settings(port=9000)          # the command line wins over the environment

`docs/settings.md` lists them for operators. The library and the engine don't read settings.
"""

import hmac
import os
import re
import secrets
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from mien import data_folder
from mien.cores import available_cores
from mien.errors import SetupError
from mien.money import Pack, parse_packs
from mien.sealing import Sealing, parse_keys

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def _parse_duration(value: object) -> object:
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", value.strip())):
        return timedelta(**{_UNITS[match[2]]: float(match[1])})
    return value


def _split_by_comma(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Duration = Annotated[timedelta, BeforeValidator(_parse_duration), Field(gt=timedelta(0))]
"""A positive time span; in the environment `30s`, `10m`, `2h`, `7d` or ISO 8601."""

Packs = Annotated[tuple[Pack, ...], NoDecode, BeforeValidator(parse_packs)]

Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_by_comma)]

Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split_by_comma)]


class Settings(BaseSettings):
    """What the operator decides. Immutable; every value that can be derived is filled in."""

    model_config = SettingsConfigDict(
        env_prefix="MIEN_", env_ignore_empty=True, extra="forbid", frozen=True, hide_input_in_errors=True
    )

    data_dir: Path = Field(
        default_factory=lambda: Path("/var/lib/mien" if os.geteuid() == 0 else "~/.local/share/mien"),
        validate_default=True,
        description="Folder that holds everything: database, results, first key.",
    )
    host: str = Field(default="127.0.0.1", description="Address that the API listens on.")
    port: int = Field(default=8080, ge=1, le=65535, description="Port that the API listens on.")
    public_url: str = Field(
        default="",
        description="Address that clients reach the API under; every address it hands out starts with it.",
    )
    api_processes: int = Field(
        default=1,
        ge=1,
        description="Processes that answer requests, on one port; each uses up to one core.",
    )
    workers: int = Field(
        default=1,
        ge=1,
        description="Swaps made at the same time, each by a process of its own. Workers × threads may not "
        "exceed the cores.",
    )
    threads: int = Field(default=1, ge=1, description="Threads of each of them.")

    database_url: SecretStr | None = Field(
        default=None,
        description="A PostgreSQL server of your own: `postgresql://user:password@host/name`. Unset, Mien "
        "runs one in the data folder.",
    )
    storage_url: str | None = Field(
        default=None,
        description="Where pictures are kept: a folder, or a bucket such as `s3://name/prefix` (also `gs://` "
        "and `az://`). Unset, a folder in the data folder.",
    )
    storage_key: SecretStr | None = Field(
        default=None,
        description="Encrypts pictures and secrets at rest: 32 random bytes in base64, as `mien storage "
        "new-key` makes them. Behind it, after commas, keys that only read what they encrypted before.",
    )
    storage_key_file: Path | None = Field(
        default=None, description="A file that holds these keys instead, one a line."
    )
    secret: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Signs the addresses of files; at least 32 characters. Unset, a random one is kept in "
        "the file `secret` of the data folder.",
    )

    signup: Literal["closed", "invite", "open"] = Field(
        default="closed",
        description="Who can sign up: nobody, who has an invite, or everybody. `mien accounts create` always "
        "works.",
    )
    session_lifetime: Duration = Field(
        default=timedelta(days=14), description="How long somebody stays signed in to the site."
    )
    smtp_url: SecretStr | None = Field(
        default=None,
        description="Server that sends mail: `smtps://user:password@host`, or `smtp://…` with STARTTLS. "
        "Unset, links to reset a password are in the log and on the administrators' list.",
    )
    mail_from: str | None = Field(
        default=None,
        description="Sender of that mail. Unset, `mien@` and the host of `MIEN_PUBLIC_URL`.",
    )
    trusted_proxies: Networks = Field(
        default=(),
        description="Proxies whose `X-Forwarded-For` is believed, as comma-separated CIDRs. Behind others, "
        "all clients share the tries to sign in that one address has.",
    )

    demo: bool = Field(
        default=False,
        description="Whether the site's tester works without an account: for free, up to 1024 pixels, and "
        "kept for an hour.",
    )
    demo_swaps_per_address: int = Field(
        default=5,
        gt=0,
        description="Swaps that the demo gives to one address in a day. Behind a proxy that isn't trusted, "
        "all visitors have the same.",
    )
    demo_swaps_per_day: int = Field(
        default=200, gt=0, description="Swaps that the demo gives to all visitors in a day (UTC)."
    )

    fetch_allowed_networks: Networks = Field(
        default=(),
        description="Private networks that pictures may be fetched from, as comma-separated CIDRs. For "
        "development: everyone with a key can reach them.",
    )
    fetch_timeout: Duration = Field(
        default=timedelta(seconds=15), description="Time to fetch one picture, redirects included."
    )
    webhook_allowed_networks: Networks = Field(
        default=(),
        description="Private networks that webhooks may be sent to, as comma-separated CIDRs: everyone with "
        "a key can send into them, and read the first kilobyte of an answer.",
    )
    webhook_retention: Duration = Field(
        default=timedelta(days=7), description="How long a webhook's delivery is kept after it has ended."
    )
    max_image_bytes: int = Field(default=20_000_000, gt=0, description="Size of one picture's file.")
    max_pixels: int = Field(default=40_000_000, gt=0, description="Pixels of one picture.")
    # Two pictures of 20 MB inside JSON grow by a third as base64.
    max_body_bytes: int = Field(default=56_000_000, gt=0, description="Size of one request's body.")

    max_bytes_in_flight: int = Field(
        default=256_000_000,
        gt=0,
        description="Bodies that one API process holds at once; more are asked to come back later.",
    )

    cors_origins: Origins = Field(
        default=(),
        description="Web origins whose pages may call the API with a key, as a comma-separated list such as "
        "`https://app.example.com`; `*` for all.",
    )
    requests_per_minute: int = Field(
        default=3000,
        gt=0,
        description="Requests of one account in a minute, counted by each API process, unless the account "
        "has a limit of its own.",
    )
    tasks_in_flight: int = Field(
        default=100,
        gt=0,
        description="Tasks of one account that are queued or running at once, unless it has a limit of its "
        "own.",
    )
    tasks_per_day: int = Field(
        default=10_000,
        gt=0,
        description="Tasks that one account creates in a day (UTC), unless it has a limit of its own.",
    )

    body_timeout: Duration = Field(
        default=timedelta(seconds=30),
        description="How long a body may keep the API waiting; every 16 kB that come give it a second more.",
    )

    task_deadline: Duration = Field(
        default=timedelta(hours=1), description="A task that isn't done this long after its creation fails."
    )
    swap_timeout: Duration = Field(
        default=timedelta(minutes=2),
        description="A swap that isn't done this long after an engine began it fails its task.",
    )
    detectors: int = Field(
        default=1,
        ge=1,
        description="Pictures that one API process looks at (face-detect) at the same time, each in a "
        "process of its own; and as many whose origin it checks.",
    )
    detect_timeout: Duration = Field(
        default=timedelta(seconds=20),
        description="Time to decode one picture and find its faces, or check its origin.",
    )
    worker_heartbeat: Duration = Field(
        default=timedelta(seconds=5), description="How often a worker says that it's alive."
    )
    worker_timeout: Duration = Field(
        default=timedelta(seconds=20),
        description="A worker that has been silent this long is taken for dead, and others do its tasks.",
    )
    result_retention: Duration = Field(
        default=timedelta(days=7), description="How long results are kept after the task is done."
    )
    upload_retention: Duration = Field(
        default=timedelta(hours=24),
        description="How long an upload is kept, but never longer than the account's results.",
    )
    stop_grace: Duration = Field(
        default=timedelta(seconds=30),
        description="How long a stopping service waits for swaps and requests under way.",
    )

    watermark: bool = Field(
        default=True,
        description="Whether results carry an invisible watermark that leads to their task.",
    )
    watermark_key: SecretStr | None = Field(
        default=None,
        min_length=32,
        description="Who has it can read, forge and erase these watermarks; at least 32 characters. With "
        "another one, earlier watermarks aren't read any more. Unset, one that follows from `MIEN_SECRET`.",
    )
    provenance: bool = Field(
        default=True,
        description="Whether results carry a signed C2PA manifest, and say in XMP what made them.",
    )
    signing_certificates: Path | None = Field(
        default=None,
        description="PEM file of the certificate chain that manifests are signed with, the signer's first. "
        "Unset, a chain of one's own that nobody trusts is kept in the file `provenance` of the data folder.",
    )
    signing_key: Path | None = Field(
        default=None, description="PEM file of the private key that belongs to it, not encrypted."
    )
    require_consent: bool = Field(
        default=False,
        description="Whether a face swap is refused unless its request says, in `consent`, how the people "
        "who are shown have agreed.",
    )
    adult_content: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="`refuse` lets tasks fail whose picture or result seems to show adult content.",
    )
    do_not_swap: Literal["closed", "open"] = Field(
        default="closed",
        description="Who puts faces on the do-not-swap list: the operator alone, or everybody who visits the "
        "site. Whoever is on it is protected either way.",
    )
    do_not_swap_similarity: float = Field(
        default=0.78,
        ge=0.5,
        le=1,
        description="From which similarity on a face is taken for one of that list. A higher one refuses "
        "fewer strangers and misses more of those who are listed.",
    )
    content_policy_url: str | None = Field(
        default=None,
        description="Address of your own rules about what may be swapped, which people agree to when they "
        "sign up. Unset, the site's own page `/content-policy`.",
    )
    trail_retention: Duration = Field(
        default=timedelta(days=365),
        description="How long the trail of who made what is kept, which has no pictures in it.",
    )
    trust_anchors: Path | None = Field(
        default=None,
        description="PEM file of the authorities whose signatures a check of a picture's origin believes, "
        "such as those of the C2PA trust list. Unset, it believes in none but its own.",
    )
    time_stamp_authority: str | None = Field(
        default=None,
        description="Address of an RFC 3161 time-stamp authority, which is then asked for every result. If "
        "it doesn't answer, results are signed without.",
    )

    price_per_face: int = Field(
        default=3,
        ge=0,
        description="Credits that a swapped face costs. With 0 swaps are free, and credits are neither "
        "needed nor sold.",
    )
    first_account_credits: int = Field(
        default=1_000_000,
        ge=0,
        description="Credits that the first account starts with, which `mien serve` makes for its operator.",
    )
    new_account_credits: int = Field(
        default=30, ge=0, description="Credits that every other account starts with."
    )
    packs: Packs = Field(
        default="1500=3.00 USD, 5000=10.00 USD, 25000=50.00 USD",
        validate_default=True,
        description="What is sold: credits and their price, comma-separated. Empty: nothing.",
    )
    stripe_key: SecretStr | None = Field(
        default=None,
        description="Secret key of a Stripe account, which payments then go through. Unset, an administrator "
        "confirms them.",
    )
    stripe_webhook_secret: SecretStr | None = Field(
        default=None,
        description="Signing secret of the Stripe webhook at `<public URL>/webhooks/stripe`.",
    )
    stripe_api_base: str = Field(
        default="https://api.stripe.com", description="Address of Stripe's API; another one is for tests."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level that is logged."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="`auto` is `console` on a terminal and `json` elsewhere."
    )

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Whichever of workers and threads isn't given follows from the other and the cores."""
        cores = available_cores()
        filled = dict(given)
        if "threads" not in given:
            filled["threads"] = max(1, min(2, cores // _count(given.get("workers"), default=1)))
        if "workers" not in given:
            filled["workers"] = max(1, cores // _count(filled["threads"], default=1))
        if not given.get("public_url"):
            host = str(given.get("host", cls.model_fields["host"].default))
            # Listening everywhere is not an address to call.
            host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
            port = given.get("port", cls.model_fields["port"].default)
            filled["public_url"] = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        return filled

    @field_validator("public_url")
    @classmethod
    def _is_web_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError("must look like https://swap.example.com")
        return value.rstrip("/")

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = urlsplit(origin)
            whole = f"{parts.scheme}://{parts.netloc}"
            if origin != "*" and (parts.scheme not in ("http", "https") or origin != whole):
                raise ValueError("must look like https://app.example.com, without a path, or be *")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: SecretStr | None) -> SecretStr | None:
        if value and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("must look like postgresql://user:password@host/name")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _is_smtp(cls, value: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(value.get_secret_value()) if value else None
        if parts and (parts.scheme not in ("smtp", "smtps") or not parts.hostname):
            raise ValueError("must look like smtps://user:password@host")
        return value

    @field_validator("storage_url")
    @classmethod
    def _is_folder_or_bucket(cls, value: str | None) -> str | None:
        if value and "://" in value and not value.startswith(("s3://", "gs://", "az://")):
            raise ValueError("must be a folder, or look like s3://name/prefix")
        return value

    @field_validator("storage_key")
    @classmethod
    def _are_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            parse_keys(value.get_secret_value())
        return value

    @field_validator("content_policy_url")
    @classmethod
    def _is_page(cls, value: str | None) -> str | None:
        return _address(value, "https://example.com/rules")

    @field_validator("time_stamp_authority")
    @classmethod
    def _is_authority(cls, value: str | None) -> str | None:
        return _address(value, "http://timestamp.example.com")

    @model_validator(mode="after")
    def _key_goes_with_certificates(self) -> Self:
        if bool(self.signing_certificates) != bool(self.signing_key):
            raise ValueError("MIEN_SIGNING_CERTIFICATES and MIEN_SIGNING_KEY need each other: set both")
        return self

    @model_validator(mode="after")
    def _keys_are_in_one_place(self) -> Self:
        if self.storage_key and self.storage_key_file:
            raise ValueError("MIEN_STORAGE_KEY and MIEN_STORAGE_KEY_FILE say the same: set one of them")
        return self

    @model_validator(mode="after")
    def _stripe_can_report_payments(self) -> Self:
        if bool(self.stripe_key) != bool(self.stripe_webhook_secret):
            raise ValueError("MIEN_STRIPE_KEY and MIEN_STRIPE_WEBHOOK_SECRET need each other: set both")
        return self

    @model_validator(mode="after")
    def _fits_the_cores(self) -> Self:
        cores = available_cores()
        if self.workers * self.threads > cores:
            raise ValueError(
                f"MIEN_WORKERS × MIEN_THREADS is {self.workers} × {self.threads}, but there are only {cores} "
                "cores: lower one of them"
            )
        return self


def load_settings(**overrides: Any) -> Settings:
    """Settings from the environment, with `overrides` on top where they aren't None.

    Raises `SetupError` that names the setting at fault and never shows its value.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        fault = error.errors(include_input=False, include_url=False)[0]
        message = fault["msg"].removeprefix("Value error, ")
        name = f"MIEN_{str(fault['loc'][0]).upper()}: " if fault["loc"] else ""
        raise SetupError(f"{name}{message}") from None


def signing_secret(settings: Settings) -> bytes:
    """The secret that signs addresses: the setting, or the one kept in the data folder, made on first use.

    Raises `SetupError` if the data folder can't be written or read.
    """
    if settings.secret:
        return settings.secret.get_secret_value().encode()
    data_folder.prepare(settings.data_dir)
    return data_folder.keep_secret(settings.data_dir / "secret", lambda: secrets.token_urlsafe(32)).encode()


def watermark_key(settings: Settings, secret: bytes) -> bytes:
    """The key that watermarks are made and read with: the setting, or what follows from `signing_secret`."""
    if settings.watermark_key:
        return settings.watermark_key.get_secret_value().encode()
    return hmac.digest(secret, b"watermark", "sha256")


def sealing_of(settings: Settings) -> Sealing:
    """What seals pictures and secrets at rest.

    Raises `SetupError` if the file of keys can't be read.
    """
    if settings.storage_key:
        return Sealing(parse_keys(settings.storage_key.get_secret_value()))
    if settings.storage_key_file is None:
        return Sealing()
    try:
        return Sealing(parse_keys(settings.storage_key_file.read_text()))
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"MIEN_STORAGE_KEY_FILE can't be read: {error}") from error
    except ValueError as error:
        raise SetupError(f"MIEN_STORAGE_KEY_FILE: {error}") from None


def _address(value: str | None, example: str) -> str | None:
    parts = urlsplit(value or example)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"must look like {example}")
    return value


def _count(value: Any, *, default: int) -> int:
    try:
        return max(1, int(value))
    except (TypeError, ValueError):
        return default  # the field's own validation reports it
