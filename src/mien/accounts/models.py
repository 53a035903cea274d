"""Tables: who may use the API, the keys and sessions they do it with, how they come in, and the audit log."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, CheckConstraint, Enum, ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from mien.database.connection import Base


class _Limited:
    """Limits of a row's own; null where the settings' apply."""

    requests_per_minute: Mapped[int | None]
    tasks_in_flight: Mapped[int | None]
    tasks_per_day: Mapped[int | None]


_LIMITS_ARE_POSITIVE = "requests_per_minute > 0 AND tasks_in_flight > 0 AND tasks_per_day > 0"


class Account(_Limited, Base):
    """Who owns keys and tasks. Neither keys nor sessions of a disabled account work."""

    __tablename__ = "accounts"
    __table_args__ = (
        CheckConstraint("(password_hash IS NULL) = (email IS NULL)", name="email_has_password"),
        CheckConstraint(_LIMITS_ARE_POSITIVE, name="limits_are_positive"),
        CheckConstraint("balance >= 0", name="balance"),
        CheckConstraint("debt >= 0", name="debt"),
        CheckConstraint(
            "deleted_at IS NULL OR (email IS NULL AND disabled_at IS NOT NULL AND NOT is_administrator)",
            name="deleted_is_nobodys",
        ),
        CheckConstraint("erased_at IS NULL OR deleted_at IS NOT NULL", name="erased_after_deleted"),
        Index(
            "ix_accounts_to_erase",
            "deleted_at",
            postgresql_where=text("deleted_at IS NOT NULL AND erased_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str]
    email: Mapped[str | None] = mapped_column(unique=True)
    """In lower case; null for an account that has keys only."""
    password_hash: Mapped[str | None]
    """Argon2id, with its parameters."""
    is_administrator: Mapped[bool] = mapped_column(server_default=text("false"))
    retention: Mapped[timedelta | None]
    """How long results are kept; null for the setting `result_retention`, which is also the most."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    disabled_at: Mapped[datetime | None]
    balance: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """What the account's entries in the ledger add up to. A new account's is entered there by a trigger; from
    then on `mien.billing.ledger` alone changes it."""
    debt: Mapped[int] = mapped_column(BigInteger, server_default="0")
    deleted_at: Mapped[datetime | None]
    """Since when it's nobody's. Its row stays for the ledger; a trigger (in revision 0009) lets nothing else
    be added to it."""
    erased_at: Mapped[datetime | None]
    """Since when nothing is left of it but what has to be kept."""


class ApiKey(_Limited, Base):
    """A key, known by its SHA-256 only; `prefix` are the first characters, to tell keys apart on a page.

    Its limits are at most the account's.
    """

    __tablename__ = "api_keys"
    __table_args__ = (CheckConstraint(_LIMITS_ARE_POSITIVE, name="limits_are_positive"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    key_hash: Mapped[bytes] = mapped_column(unique=True)
    prefix: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    last_used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class SignIn(Base):
    """A signed-in browser. Its cookie holds a random token, which is known here by its SHA-256 only."""

    __tablename__ = "sign_ins"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Invite(Base):
    """Lets one person sign up, once. Its link's token follows from the row's id and the service's secret."""

    __tablename__ = "invites"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    email: Mapped[str | None]
    """Who may use it; null for whoever has the link."""
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(index=True)


class PasswordReset(Base):
    """Somebody forgot a password. The link's token follows from the row's id and the service's secret."""

    __tablename__ = "password_resets"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Letter(Base):
    """Mail to a person that is still to be sent. It goes with what it is about."""

    __tablename__ = "letters"
    __table_args__ = (
        CheckConstraint("(invite_id IS NULL) <> (reset_id IS NULL)", name="about_one"),
        CheckConstraint("given_up_at IS NULL OR failure IS NOT NULL", name="given_up_has_failure"),
        Index("ix_letters_due", "next_try_at", postgresql_where=text("given_up_at IS NULL")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    invite_id: Mapped[UUID | None] = mapped_column(ForeignKey("invites.id", ondelete="CASCADE"), index=True)
    reset_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("password_resets.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    tries: Mapped[int] = mapped_column(server_default="0")
    """Number of the latest; who ends a try names it, so that a late one changes nothing."""
    next_try_at: Mapped[datetime] = mapped_column(server_default=func.now())
    tried_until: Mapped[datetime]
    failure: Mapped[str | None]
    """Why the latest try failed."""
    given_up_at: Mapped[datetime | None]

    @property
    def about(self) -> str:
        """In a word."""
        return "invite" if self.invite_id else "password reset"


class Throttle(Base):
    """How often something was tried in a span of time that began with its first try."""

    __tablename__ = "throttles"

    subject: Mapped[str] = mapped_column(primary_key=True)
    tries: Mapped[int]
    ends_at: Mapped[datetime] = mapped_column(index=True)


class Act(StrEnum):
    """What administrators do."""

    ACCOUNT_CREATED = "account.created"
    ACCOUNT_DISABLED = "account.disabled"
    ACCOUNT_ENABLED = "account.enabled"
    ACCOUNT_DELETED = "account.deleted"
    ACCOUNT_EXPORTED = "account.exported"
    """All that is kept of it was written out."""
    LIMITS_CHANGED = "limits.changed"
    KEY_REVOKED = "key.revoked"
    INVITE_CREATED = "invite.created"
    INVITE_WITHDRAWN = "invite.withdrawn"
    RESET_SHOWN = "reset.shown"
    """The link that resets somebody's password was looked at."""
    CREDITS_GRANTED = "credits.granted"
    ORDER_CONFIRMED = "order.confirmed"
    ORDER_CANCELED = "order.canceled"
    ORDER_REFUNDED = "order.refunded"
    FACE_LISTED = "face.listed"
    FACE_UNLISTED = "face.unlisted"
    TRAIL_READ = "trail.read"
    """Who made what was looked at."""


class AuditLine(Base):
    """Something that an administrator did. A trigger (in revision 0010) refuses to change or delete a line.

    Since a line stays for good, it names people by their accounts' ids alone, which outlive the accounts.
    """

    __tablename__ = "audit_log"
    __table_args__ = (Index("ix_audit_log_account_id_id", "account_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    act: Mapped[Act] = mapped_column(
        Enum(Act, native_enum=False, create_constraint=False, values_callable=list, length=32)
    )
    actor_id: Mapped[UUID | None]
    """The administrator's account; null for the command line."""
    key_id: Mapped[UUID | None]
    """The key they did it with; null in a browser and on the command line."""
    account_id: Mapped[UUID | None]
    """The account that it was done to, if to any."""
    subject: Mapped[str | None]
    """The id of what it was done to: an order, an invite, a key, a link."""
    details: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))
