"""What requests about accounts hold, and what is answered."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, WithJsonSchema

from mien.accounts import invites
from mien.accounts.models import Account, ApiKey, Invite
from mien.accounts.people import Session
from mien.accounts.resets import ShownReset
from mien.http.answers import Answer
from mien.http.sessions import csrf_token
from mien.resources import Resources
from mien.settings import Settings

# As browsers check <input type="email">, apart from dots in odd places.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = rf"{_ATOM}(\.{_ATOM})*@{_LABEL}(\.{_LABEL})*"
_MAX_EMAIL = 254  # RFC 5321: what fits between the brackets of a path
_MAX_LIMIT = 2**31 - 1
_LAST_YEAR = 9000

_EXAMPLE_EMAIL = "ada@example.com"
_EXAMPLE_PASSWORD = "correct horse battery staple"  # noqa: S105
_OTHER_PASSWORD = "battery staple correct horse"  # noqa: S105
_EXAMPLE_TOKEN = "Zm9yIGV4YW1wbGUgb25seSwgbm90IGEgdG9rZW4h"  # noqa: S105


def _email(value: str) -> str:
    if len(value) > _MAX_EMAIL or not re.fullmatch(_EMAIL, value):
        raise ValueError("must be an e-mail address, such as ada@example.com")
    return value.lower()


def _is_to_come(value: datetime) -> datetime:
    if value.year > _LAST_YEAR or value <= datetime.now(UTC):
        raise ValueError(f"must be in the future, and before the year {_LAST_YEAR}")
    return value


Email = Annotated[
    str,
    AfterValidator(_email),
    WithJsonSchema({"type": "string", "pattern": f"^{_EMAIL}$", "maxLength": _MAX_EMAIL}),
]
# Its length is what makes a password good (NIST SP 800-63B); hashing bounds it.
NewPassword = Annotated[str, Field(min_length=10, max_length=256)]
KnownPassword = Annotated[str, Field(max_length=256)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")]
Token = Annotated[str, Field(max_length=256)]
Moment = Annotated[AwareDatetime, AfterValidator(_is_to_come)]
Limit = Annotated[int, Field(ge=1, le=_MAX_LIMIT)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _example(**fields: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [fields]})


# Sign-in --------------------------------------------------------------------------------------------------


class SignUpRequest(_Request):
    """Makes an account and signs its person in."""

    model_config = _example(email=_EXAMPLE_EMAIL, password=_EXAMPLE_PASSWORD, name="Ada")

    email: Email = Field(description="Upper and lower case are the same.")
    password: NewPassword = Field(description="10 to 256 characters.")
    name: Name | None = Field(default=None, description="Of the account; its e-mail address if not given.")
    invite: Token | None = Field(
        default=None, description="What follows the # of an invite's link, where signing up needs one."
    )


class SignInRequest(_Request):
    """Signs a person in."""

    model_config = _example(email=_EXAMPLE_EMAIL, password=_EXAMPLE_PASSWORD)

    email: Email
    password: KnownPassword


class PasswordChange(_Request):
    """Gives the account another password."""

    model_config = _example(current_password=_EXAMPLE_PASSWORD, new_password=_OTHER_PASSWORD)

    current_password: KnownPassword
    new_password: NewPassword = Field(description="10 to 256 characters.")


class ResetRequest(_Request):
    """Asks for a link that resets the password."""

    model_config = _example(email=_EXAMPLE_EMAIL)

    email: Email


class ResetConfirmation(_Request):
    """Gives the account whose link this is another password."""

    model_config = _example(token=_EXAMPLE_TOKEN, new_password=_OTHER_PASSWORD)

    token: Token = Field(description="What follows the # of the link.")
    new_password: NewPassword = Field(description="10 to 256 characters.")


class SessionData(BaseModel):
    account_id: UUID
    name: str = Field(examples=["Ada"])
    email: str | None = Field(examples=[_EXAMPLE_EMAIL])
    is_administrator: bool
    csrf_token: str = Field(
        description="To be sent as `X-CSRF-Token` with all requests of this session but GET and HEAD.",
        examples=[_EXAMPLE_TOKEN],
    )
    expires_at: datetime = Field(description="When the session ends.")


class SessionAnswer(Answer[SessionData]):
    """Who is signed in."""


def session_answer(session: Session) -> SessionAnswer:
    account = session.account
    return SessionAnswer(
        data=SessionData(
            account_id=account.id,
            name=account.name,
            email=account.email,
            is_administrator=account.is_administrator,
            csrf_token=csrf_token(session.token),
            expires_at=session.expires_at,
        )
    )


# Keys -----------------------------------------------------------------------------------------------------


class KeyRequest(_Request):
    """Makes an API key."""

    model_config = _example(name="Shop", requests_per_minute=600, expires_at="2027-12-31T00:00:00Z")

    name: Name = Field(description="For you, to tell keys apart.")
    expires_at: Moment | None = Field(
        default=None, description="When it stops working, with a time zone; null for never."
    )
    requests_per_minute: Limit | None = Field(
        default=None, description="The key's own limit, at most the account's; null for none of its own."
    )
    tasks_in_flight: Limit | None = Field(default=None, description="As `requests_per_minute`.")
    tasks_per_day: Limit | None = Field(default=None, description="As `requests_per_minute`.")


class KeyChange(KeyRequest):
    """What is to be changed about a key; all else stays as it is."""

    model_config = _example(name="Shop, old", tasks_per_day=100)

    name: Name = Field(default="", description="For you, to tell keys apart.")


class KeyData(BaseModel):
    key_id: UUID
    name: str = Field(examples=["Shop"])
    prefix: str = Field(description="The key's first characters.", examples=["aio_Zm9yIGV4"])
    created_at: datetime
    last_used_at: datetime | None = Field(description="To the minute.")
    expires_at: datetime | None = Field(description="When it stops working; null for never.")
    requests_per_minute: int | None = Field(description="The key's own limit; null for none of its own.")
    tasks_in_flight: int | None
    tasks_per_day: int | None


class KeyAnswer(Answer[KeyData]):
    """A key, without the key itself."""


class NewKeyData(KeyData):
    key: str = Field(
        description="The key itself. It is shown only now.",
        examples=["aio_Zm9yIGV4YW1wbGUgb25seSwgbm90IGEgcmVhbCBrZXk"],
    )


class NewKeyAnswer(Answer[NewKeyData]):
    """A new key, and the key itself."""


class KeyList(BaseModel):
    keys: list[KeyData] = Field(description="Newest first; revoked ones are gone.")


class KeyListAnswer(Answer[KeyList]):
    """All keys of the account."""


def key_data(key: ApiKey) -> KeyData:
    return KeyData(key_id=key.id, **_fields(key, KeyData, "key_id"))


def new_key_answer(key: ApiKey, plain: str) -> NewKeyAnswer:
    return NewKeyAnswer(data=NewKeyData(key=plain, **key_data(key).model_dump()))


# Accounts -------------------------------------------------------------------------------------------------


class AccountSettingsChange(_Request):
    """What is to be changed about the account; all else stays as it is."""

    model_config = _example(retention_seconds=86_400)

    name: Name = Field(default="", description="How the account is called.")
    retention_seconds: int | None = Field(
        default=None,
        ge=60,
        le=_MAX_LIMIT,
        description="How long results of tasks that end from now on are kept. The operator's time is the "
        "most, and what null stands for.",
    )


class AccountSettingsData(BaseModel):
    account_id: UUID
    name: str = Field(examples=["Ada"])
    email: str | None = Field(examples=[_EXAMPLE_EMAIL])
    retention_seconds: int = Field(description="How long results are kept.", examples=[604_800])


class AccountSettingsAnswer(Answer[AccountSettingsData]):
    """What the account has chosen."""


def account_settings_answer(settings: Settings, account: Account) -> AccountSettingsAnswer:
    retention = account.retention or settings.result_retention
    return AccountSettingsAnswer(
        data=AccountSettingsData(
            account_id=account.id,
            name=account.name,
            email=account.email,
            retention_seconds=round(min(retention, settings.result_retention).total_seconds()),
        )
    )


# Administration -------------------------------------------------------------------------------------------


class AccountChange(_Request):
    """What is to be changed about an account; all else stays as it is."""

    model_config = _example(enabled=False)

    enabled: bool = Field(default=True, description="False to let its keys and sessions stop working.")
    requests_per_minute: Limit | None = Field(
        default=None, description="The account's own limit; null for the setting `MIEN_REQUESTS_PER_MINUTE`."
    )
    tasks_in_flight: Limit | None = Field(default=None, description="As `requests_per_minute`.")
    tasks_per_day: Limit | None = Field(default=None, description="As `requests_per_minute`.")


class AccountData(BaseModel):
    account_id: UUID
    name: str = Field(examples=["Ada"])
    email: str | None = Field(examples=[_EXAMPLE_EMAIL])
    is_administrator: bool
    created_at: datetime
    enabled: bool
    disabled_at: datetime | None
    requests_per_minute: int | None = Field(description="The account's own limit; null for the setting's.")
    tasks_in_flight: int | None
    tasks_per_day: int | None


class AccountAnswer(Answer[AccountData]):
    """An account, as administrators see it."""


class AccountList(BaseModel):
    accounts: list[AccountData] = Field(description="Newest first.")
    next_cursor: str | None = Field(description="The next page's `cursor`; null on the last one.")


class AccountListAnswer(Answer[AccountList]):
    """A page of accounts."""


class InviteRequest(_Request):
    """Lets one person sign up."""

    model_config = _example(email=_EXAMPLE_EMAIL)

    email: Email | None = Field(
        default=None, description="Who may use it, and gets it by mail if a server is set; null for anybody."
    )


class InviteData(BaseModel):
    invite_id: UUID
    email: str | None = Field(examples=[_EXAMPLE_EMAIL])
    created_at: datetime
    expires_at: datetime


class NewInviteData(InviteData):
    link: str = Field(
        description="Where the person signs up. It is shown only now.",
        examples=[f"https://swap.example.com/sign-up#{_EXAMPLE_TOKEN}"],
    )


class NewInviteAnswer(Answer[NewInviteData]):
    """A new invite, and its link."""


class InviteList(BaseModel):
    invites: list[InviteData] = Field(description="Those that can still be used, newest first.")


class InviteListAnswer(Answer[InviteList]):
    """The invites that can still be used."""


class ResetData(BaseModel):
    email: str = Field(examples=[_EXAMPLE_EMAIL])
    link: str = Field(
        description="To be given to this person, and nobody else.",
        examples=[f"https://swap.example.com/reset-password#{_EXAMPLE_TOKEN}"],
    )
    created_at: datetime
    expires_at: datetime


class ResetList(BaseModel):
    password_resets: list[ResetData] = Field(description="Newest first; none where mail is sent.")


class ResetListAnswer(Answer[ResetList]):
    """Who waits for a link that resets a password."""


def account_data(account: Account) -> AccountData:
    return AccountData(
        account_id=account.id,
        enabled=account.disabled_at is None,
        **_fields(account, AccountData, "account_id", "enabled"),
    )


def invite_data(invite: Invite) -> InviteData:
    return InviteData(invite_id=invite.id, **_fields(invite, InviteData, "invite_id"))


def new_invite_answer(resources: Resources, invite: Invite) -> NewInviteAnswer:
    link = invites.link(resources, invite)
    return NewInviteAnswer(data=NewInviteData(link=link, **invite_data(invite).model_dump()))


def reset_data(waiting: ShownReset) -> ResetData:
    return ResetData(
        email=waiting.email,
        link=waiting.link,
        created_at=waiting.reset.created_at,
        expires_at=waiting.reset.expires_at,
    )


def _fields(row: object, model: type[BaseModel], *but_not: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in model.model_fields if name not in but_not}
