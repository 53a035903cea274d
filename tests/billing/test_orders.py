"""Orders where swaps are free."""

from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import func, select

from mien.billing import ledger, orders
from mien.billing.models import Order
from mien.billing.payments import ManualPayments
from mien.errors import Conflict
from mien.resources import Resources
from mien.settings import Settings, load_settings


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return load_settings(database_url=database_url, data_dir=tmp_path, price_per_face=0)


async def test_nothing_is_sold(resources: Resources, account_id: UUID) -> None:
    assert orders.packs_for_sale(resources.settings) == ()
    with pytest.raises(Conflict, match="No credits are sold here"):
        await orders.place(resources, ManualPayments(), account_id, 1500)
    async with resources.sessions() as session:
        assert await session.scalar(select(func.count()).select_from(Order)) == 0


async def test_a_debt_is_in_nobodys_way(resources: Resources, account_id: UUID) -> None:
    async with resources.sessions.begin() as session:
        order = Order(
            account_id=account_id, credits=5, units=1, currency="USD", provider="manual", state="pending"
        )
        session.add(order)
        await session.flush()
        await ledger.refund(session, order, 5)
        await ledger.hold(
            session, account_id, "task", None, 1, price_per_face=resources.settings.price_per_face
        )
