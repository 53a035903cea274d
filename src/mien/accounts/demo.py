"""The account that everything belongs to which is made without one. It has neither password nor keys."""

from datetime import timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from mien.accounts.models import Account

DEMO_ACCOUNT: Final = UUID("6d69656e-0000-4000-8000-64656d6f0000")
RETENTION: Final = timedelta(hours=1)
"""How long results are kept that nobody's account has."""


async def open_demo_account(session: AsyncSession) -> Account:
    """The account, which is made when it's first needed. An administrator may have disabled it."""
    new = insert(Account).values(id=DEMO_ACCOUNT, name="Demo", retention=RETENTION)
    await session.execute(new.on_conflict_do_nothing(index_elements=[Account.id]))
    return await session.get_one(Account, DEMO_ACCOUNT)
