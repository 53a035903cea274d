"""What doesn't add up is found, and nothing else."""

from collections.abc import Sequence
from uuid import UUID

import httpx
import pytest
from sqlalchemy import select, text

from mien.accounts.models import Account
from mien.billing import ledger, orders
from mien.billing.audit import audit
from mien.billing.models import Order, OrderState
from mien.database.connection import table_of
from mien.resources import Resources
from mien.tasks.models import Task

WANTED = {
    "model": "face-swap",
    "image": "https://example.com/target.jpg",
    "face_image": "https://example.com/face.jpg",
}


@pytest.fixture
async def account_id(resources: Resources, api: httpx.AsyncClient) -> UUID:
    """The account of `api`."""
    async with resources.sessions() as session:
        return (await session.scalars(select(Account.id))).one()


async def create_task(api: httpx.AsyncClient) -> str:
    response = await api.post("/api/v1/images/tools/face-swap", json=WANTED)
    assert response.status_code == 200
    return str(response.json()["data"]["task_id"])


async def change(resources: Resources, statement: str, **values: object) -> None:
    async with resources.sessions.begin() as session:
        await session.execute(text(statement), values)


async def faults(resources: Resources) -> Sequence[str]:
    async with resources.sessions() as session:
        return await audit(session)


async def test_nothing_is_wrong_with_an_empty_service(resources: Resources) -> None:
    assert await faults(resources) == []


async def test_nothing_is_wrong_with_tasks_in_all_states(
    resources: Resources, api: httpx.AsyncClient
) -> None:
    first, _ = await create_task(api), await create_task(api)
    assert (await api.post(f"/api/v1/tasks/{first}/cancel")).status_code == 200
    assert await faults(resources) == []


async def test_nothing_is_wrong_with_orders(resources: Resources, account_id: UUID) -> None:
    async with resources.sessions.begin() as session:
        for _ in range(2):
            order = Order(
                account_id=account_id,
                credits=1500,
                units=300,
                currency="USD",
                provider="manual",
                state=OrderState.PENDING,
            )
            session.add(order)
            await session.flush()
        await orders.confirm(session, order.id, by=None)
    assert await faults(resources) == []


async def test_a_balance_that_was_tampered_with_is_found(resources: Resources, account_id: UUID) -> None:
    await change(resources, "UPDATE accounts SET balance = balance + 1")
    (fault,) = await faults(resources)
    assert str(account_id) in fault
    assert "balance of 1001" in fault
    assert "add up to 1000" in fault


async def test_a_hold_that_was_left_open_is_found(resources: Resources, api: httpx.AsyncClient) -> None:
    task_id = await create_task(api)
    await change(
        resources,
        "UPDATE tasks SET state = 'failed', error = '{}', completed_at = now() WHERE id = :id",
        id=task_id,
    )
    assert await faults(resources) == [f"Task {task_id} has ended, but its hold is open."]


async def test_a_hold_that_was_closed_too_early_is_found(
    resources: Resources, api: httpx.AsyncClient
) -> None:
    task_id = await create_task(api)
    async with resources.sessions.begin() as session:
        await ledger.settle(session, task_id)
    (fault,) = await faults(resources)
    assert f"Task {task_id} is queued, but its hold was closed as completed" in fault


async def test_a_task_that_was_not_paid_for_is_found(resources: Resources, api: httpx.AsyncClient) -> None:
    task_id = await create_task(api)
    await change(resources, "CREATE TABLE copy AS SELECT * FROM tasks")
    await change(resources, "UPDATE copy SET id = 'unpaid_faceswap'")
    columns = ", ".join(column.name for column in table_of(Task).columns if column.computed is None)
    await change(resources, f"INSERT INTO tasks ({columns}) SELECT {columns} FROM copy")
    assert await faults(resources) == ["Task unpaid_faceswap has no hold."]
    assert task_id != "unpaid_faceswap"


async def test_an_order_that_was_paid_and_not_credited_is_found(
    resources: Resources, account_id: UUID
) -> None:
    await change(
        resources,
        "INSERT INTO orders (id, account_id, credits, units, currency, provider, state, paid_at)"
        " VALUES (gen_random_uuid(), :account_id, 1500, 300, 'USD', 'manual', 'paid', now())",
        account_id=account_id,
    )
    (fault,) = await faults(resources)
    assert "is paid, and 0 credits were added" in fault
