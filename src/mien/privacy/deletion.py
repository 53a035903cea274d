"""Deleting an account with all that it owns: at once for whoever has it, and finished whatever happens.

First the account is closed, in one transaction: from then on it's nobody's, and nothing can be added to it.
Then each room erases what it keeps of it. That can be cut off at any moment; every API process looks for what
was left (`finish`).
"""

from uuid import UUID

import structlog

from mien.accounts import closing
from mien.billing import orders
from mien.resources import Resources
from mien.safety import trail
from mien.tasks import erasure
from mien.uploads import service as uploads
from mien.webhooks import queries as webhooks

logger = structlog.get_logger(__name__)


async def delete(resources: Resources, account_id: UUID, *, by_operator: bool = False) -> None:
    """Delete an account; once this is done, nothing is left of it but what has to be kept.

    `by_operator` if it isn't its owner who wants it. Raises `NotFound`, and `Conflict` for what can't be
    deleted.
    """
    async with resources.sessions.begin() as session:
        await closing.close(session, account_id, by_operator=by_operator)
    await erase(resources, account_id)


async def finish(resources: Resources) -> None:
    """Erase what is left of accounts whose deletion was cut off."""
    async with resources.sessions() as session:
        left = await closing.unerased(session)
    for account_id in left:
        await erase(resources, account_id)


async def erase(resources: Resources, account_id: UUID) -> None:
    """Erase all that a closed account owns. A second time changes nothing."""
    # Ending tasks makes deliveries, so that webhooks go after them.
    await erasure.erase(resources, account_id)
    await uploads.erase(resources, account_id)
    async with resources.sessions.begin() as session:
        await webhooks.erase(session, account_id)
        await orders.erase(session, account_id)
        await trail.forget_words(session, account_id)
        await closing.set_erased(session, account_id)
    logger.info("account erased", account_id=str(account_id))
