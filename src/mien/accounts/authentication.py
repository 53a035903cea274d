"""From what a request carries to who makes it, each time by the database: what is revoked stops at once."""

from mien.accounts import people, service
from mien.errors import AuthenticationError
from mien.http.authentication import Authenticate
from mien.http.principal import Principal
from mien.resources import Resources


def by_key(resources: Resources) -> Authenticate:
    """Knows who has a key."""

    async def authenticate(key: str) -> Principal:
        async with resources.autocommit() as session:
            principal = await service.authenticate(session, resources.settings, key)
        if principal is None:
            raise AuthenticationError(
                "The API key is not valid: it is mistyped, revoked, has expired, or is from elsewhere."
            )
        return principal

    return authenticate


def by_session(resources: Resources) -> Authenticate:
    """Knows whose session a token belongs to."""

    async def authenticate(token: str) -> Principal:
        async with resources.autocommit() as session:
            principal = await people.resume(session, resources.settings, token)
        if principal is None:
            raise AuthenticationError("The session has ended. Sign in again.")
        return principal

    return authenticate
