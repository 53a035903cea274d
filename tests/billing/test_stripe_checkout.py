"""Orders that are paid through Stripe: its double is asked for pages, and reports in signed webhooks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from mien.billing import ledger
from mien.billing.models import LedgerEntry

Clients = Any  # conftest's; test files share no modules
StripeDouble = Any
Sessions = async_sessionmaker[AsyncSession]
Standing = Callable[[UUID], Awaitable[Any]]

# Stripe's library hands httpx its forms in a way that httpx would like to see the last of.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning:httpx")


@pytest.fixture
def database_url(module_database_url: str) -> str:
    """One database for all: each test has accounts of its own."""
    return module_database_url


async def order(clients: Clients, credits: int = 1500) -> dict[str, Any]:
    response = await clients.customer.post("/api/v1/orders", json={"credits": credits})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()["data"]
    return found


async def status(clients: Clients, order: dict[str, Any]) -> str:
    response = await clients.customer.get(f"/api/v1/orders/{order['order_id']}")
    return str(response.json()["data"]["status"])


def session_of(order: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Stripe's checkout session of an order that was paid."""
    return {
        "id": "cs_1",
        "object": "checkout.session",
        "metadata": {"mien_order": order["order_id"]},
        "payment_status": "paid",
        "payment_intent": f"pi_{order['order_id']}",
        "amount_total": 300,
        "currency": "usd",
        **changes,
    }


async def paid_order(clients: Clients, double: StripeDouble) -> dict[str, Any]:
    """An order whose payment Stripe has reported."""
    placed = await order(clients)
    await double.report(clients.customer, "checkout.session.completed", session_of(placed))
    return placed


def charge_of(order: dict[str, Any], refunded: int) -> dict[str, Any]:
    return {
        "id": "ch_1",
        "object": "charge",
        "metadata": {"mien_order": order["order_id"]},
        "payment_intent": f"pi_{order['order_id']}",
        "amount": 300,
        "amount_refunded": refunded,
        "currency": "usd",
    }


def dispute_of(order: dict[str, Any], status: str, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"dp_{order['order_id']}",
        "object": "dispute",
        "status": status,
        "payment_intent": f"pi_{order['order_id']}",
        "amount": 300,
        "currency": "usd",
        "metadata": {},
        **changes,
    }


async def spend(sessions: Sessions, account_id: UUID, faces: int) -> None:
    async with sessions.begin() as session:
        await ledger.hold(session, account_id, uuid4().hex, None, faces, price_per_face=3)


async def entries(sessions: Sessions, account_id: UUID) -> list[tuple[str, int, int]]:
    async with sessions() as session:
        found = await session.scalars(
            select(LedgerEntry).where(LedgerEntry.account_id == account_id).order_by(LedgerEntry.id)
        )
        return [(entry.kind.value, entry.credits, entry.debt) for entry in found]


class TestCheckout:
    async def test_gives_stripes_page_for_the_order(
        self, stripe_clients: Clients, stripe_double: StripeDouble
    ) -> None:
        placed = await order(stripe_clients, 5000)
        assert placed["provider"] == "stripe"
        assert placed["status"] == "pending"
        assert placed["checkout_url"] == "https://checkout.example.com/1"
        (asked,) = stripe_double.requests
        assert asked["path"] == "/v1/checkout/sessions"
        assert asked["authorization"] == "Bearer sk_test_of_the_double"
        assert asked["idempotency_key"] == placed["order_id"]
        assert asked["mode"] == "payment"
        assert asked["line_items[0][price_data][unit_amount]"] == "1000"
        assert asked["line_items[0][price_data][currency]"] == "usd"
        assert asked["line_items[0][price_data][product_data][name]"] == "5000 credits"
        assert asked["metadata[mien_order]"] == placed["order_id"]
        assert asked["payment_intent_data[metadata][mien_order]"] == placed["order_id"]

    async def test_an_order_that_stripe_gives_no_page_for_is_canceled(
        self, stripe_clients: Clients, stripe_double: StripeDouble
    ) -> None:
        stripe_double.fails = True
        response = await stripe_clients.customer.post("/api/v1/orders", json={"credits": 5000})
        assert response.status_code == 503
        assert response.json()["error"]["type"] == "unavailable"
        (canceled,) = (await stripe_clients.customer.get("/api/v1/orders")).json()["data"]["orders"]
        assert canceled["status"] == "canceled"

    async def test_keeps_nobody_waiting(self, stripe_clients: Clients, stripe_double: StripeDouble) -> None:
        placed = await asyncio.gather(*(order(stripe_clients) for _ in range(5)))
        assert len({one["checkout_url"] for one in placed}) == 5


class TestPayment:
    async def test_is_credited(
        self, stripe_clients: Clients, stripe_double: StripeDouble, standing: Standing
    ) -> None:
        placed = await order(stripe_clients)
        response = await stripe_double.report(
            stripe_clients.customer, "checkout.session.completed", session_of(placed)
        )
        assert response.status_code == 204
        assert await status(stripe_clients, placed) == "paid"
        assert (await standing(stripe_clients.customer_id)).balance == 1500

    async def test_is_credited_once_however_often_it_is_reported(
        self, stripe_clients: Clients, stripe_double: StripeDouble, standing: Standing
    ) -> None:
        placed = await order(stripe_clients)
        responses = await asyncio.gather(
            *(
                stripe_double.report(stripe_clients.customer, type, session_of(placed))
                for type in ["checkout.session.completed", "checkout.session.async_payment_succeeded"] * 5
            )
        )
        assert {response.status_code for response in responses} == {204}
        assert (await standing(stripe_clients.customer_id)).balance == 1500

    async def test_that_is_still_under_way_is_waited_for(
        self, stripe_clients: Clients, stripe_double: StripeDouble, standing: Standing
    ) -> None:
        placed = await order(stripe_clients)
        unpaid = session_of(placed, payment_status="unpaid")
        await stripe_double.report(stripe_clients.customer, "checkout.session.completed", unpaid)
        assert await status(stripe_clients, placed) == "pending"
        paid = session_of(placed)
        await stripe_double.report(stripe_clients.customer, "checkout.session.async_payment_succeeded", paid)
        assert (await standing(stripe_clients.customer_id)).balance == 1500

    @pytest.mark.parametrize("type", ["checkout.session.expired", "checkout.session.async_payment_failed"])
    async def test_that_never_comes_cancels_the_order(
        self, stripe_clients: Clients, stripe_double: StripeDouble, type: str
    ) -> None:
        placed = await order(stripe_clients)
        await stripe_double.report(stripe_clients.customer, type, session_of(placed, payment_status="unpaid"))
        assert await status(stripe_clients, placed) == "canceled"
        shown = (await stripe_clients.customer.get(f"/api/v1/orders/{placed['order_id']}")).json()["data"]
        assert shown["checkout_url"] is None

    async def test_is_not_canceled_by_a_late_report(
        self, stripe_clients: Clients, stripe_double: StripeDouble
    ) -> None:
        placed = await order(stripe_clients)
        for type in ("checkout.session.completed", "checkout.session.expired"):
            await stripe_double.report(stripe_clients.customer, type, session_of(placed))
        assert await status(stripe_clients, placed) == "paid"

    @pytest.mark.parametrize(
        "changes",
        [
            {"amount_total": 299},
            {"currency": "jpy"},
            {"metadata": {"mien_order": "7b0e4a52-9c1d-4e3f-8a6b-2d5c7f9e1b30"}},
            {"metadata": {"mien_order": "not one of ours"}},
            {"metadata": {}},
            {"metadata": None},
        ],
    )
    async def test_of_something_else_changes_nothing(
        self,
        stripe_clients: Clients,
        stripe_double: StripeDouble,
        standing: Standing,
        changes: dict[str, Any],
    ) -> None:
        placed = await order(stripe_clients)
        response = await stripe_double.report(
            stripe_clients.customer, "checkout.session.completed", session_of(placed, **changes)
        )
        assert response.status_code == 204, "or Stripe would send it for days"
        assert (await standing(stripe_clients.customer_id)).balance == 0


class TestForgery:
    @pytest.mark.parametrize("sent", [{"secret": "whsec_of_another"}, {"age": 301}])
    async def test_with_another_secret_or_an_old_signature_is_refused(
        self,
        stripe_clients: Clients,
        stripe_double: StripeDouble,
        standing: Standing,
        sent: dict[str, Any],
    ) -> None:
        placed = await order(stripe_clients)
        response = await stripe_double.report(
            stripe_clients.customer, "checkout.session.completed", session_of(placed), **sent
        )
        assert response.status_code == 400
        assert response.json()["error"]["type"] == "invalid_request"
        assert (await standing(stripe_clients.customer_id)).balance == 0

    @pytest.mark.parametrize("signature", ["", "t=1,v1=00", "nonsense", "t=x", "v1=0" * 1000])
    @pytest.mark.parametrize("body", [b"{}", b"\xff\xfe", b""])
    async def test_without_a_signature_is_refused(
        self, stripe_clients: Clients, signature: str, body: bytes
    ) -> None:
        response = await stripe_clients.customer.post(
            "/webhooks/stripe", content=body, headers={"Stripe-Signature": signature}
        )
        assert response.status_code == 400

    async def test_of_a_body_that_was_signed_otherwise_is_refused(
        self, stripe_clients: Clients, stripe_double: StripeDouble, standing: Standing
    ) -> None:
        placed = await order(stripe_clients)
        honest = await stripe_double.report(stripe_clients.customer, "ping", {})
        response = await stripe_clients.customer.post(
            "/webhooks/stripe",
            json={"type": "checkout.session.completed", "data": {"object": session_of(placed)}},
            headers={"Stripe-Signature": honest.request.headers["Stripe-Signature"]},
        )
        assert response.status_code == 400
        assert (await standing(stripe_clients.customer_id)).balance == 0

    async def test_of_a_large_body_is_not_even_read(self, stripe_clients: Clients) -> None:
        response = await stripe_clients.customer.post("/webhooks/stripe", content=b"x" * 600_000)
        assert response.status_code == 413

    async def test_there_is_nothing_to_forge_without_stripe(self, clients: Clients) -> None:
        response = await clients.customer.post("/webhooks/stripe", content=b"{}")
        assert response.status_code == 404

    async def test_what_stripe_signed_and_nobody_understands_is_refused(
        self, stripe_clients: Clients, stripe_double: StripeDouble
    ) -> None:
        placed = await order(stripe_clients)
        response = await stripe_double.report(
            stripe_clients.customer,
            "checkout.session.completed",
            {"metadata": {"mien_order": placed["order_id"]}},
        )
        assert response.status_code == 400


class TestRefund:
    async def test_takes_the_credits_back(
        self, stripe_clients: Clients, stripe_double: StripeDouble, standing: Standing
    ) -> None:
        placed = await paid_order(stripe_clients, stripe_double)
        customer = stripe_clients.customer
        await stripe_double.report(customer, "charge.refunded", charge_of(placed, 100))
        assert (await standing(stripe_clients.customer_id)).balance == 1000
        for _ in range(2):
            await stripe_double.report(customer, "charge.refunded", charge_of(placed, 300))
        await stripe_double.report(customer, "charge.refunded", charge_of(placed, 100))
        assert (await standing(stripe_clients.customer_id)).balance == 0

    async def test_of_what_was_spent_becomes_debt(
        self,
        stripe_clients: Clients,
        stripe_double: StripeDouble,
        sessions: Sessions,
        standing: Standing,
    ) -> None:
        placed = await paid_order(stripe_clients, stripe_double)
        customer = stripe_clients.customer
        await spend(sessions, stripe_clients.customer_id, 200)
        await stripe_double.report(customer, "charge.refunded", charge_of(placed, 300))
        left = await standing(stripe_clients.customer_id)
        assert (left.balance, left.debt) == (0, 600)

    async def test_before_the_payment_is_reported_leaves_nothing_to_gain(
        self,
        stripe_clients: Clients,
        stripe_double: StripeDouble,
        sessions: Sessions,
        standing: Standing,
    ) -> None:
        placed = await order(stripe_clients)
        customer = stripe_clients.customer
        await stripe_double.report(customer, "charge.refunded", charge_of(placed, 300))
        await stripe_double.report(customer, "checkout.session.completed", session_of(placed))
        assert (await standing(stripe_clients.customer_id)).balance == 0
        assert await entries(sessions, stripe_clients.customer_id) == [
            ("purchase", 1500, 0),
            ("refund", -1500, 0),
        ]


class TestDispute:
    async def test_takes_the_credits_back_and_leaves_a_debt_that_blocks(
        self,
        stripe_clients: Clients,
        stripe_double: StripeDouble,
        sessions: Sessions,
        standing: Standing,
    ) -> None:
        placed = await paid_order(stripe_clients, stripe_double)
        customer = stripe_clients.customer
        await spend(sessions, stripe_clients.customer_id, 10)
        for type, now in (
            ("charge.dispute.created", "needs_response"),
            ("charge.dispute.funds_withdrawn", "needs_response"),
            ("charge.dispute.updated", "under_review"),
            ("charge.dispute.closed", "lost"),
        ):
            response = await stripe_double.report(customer, type, dispute_of(placed, now))
            assert response.status_code == 204
            left = await standing(stripe_clients.customer_id)
            assert (left.balance, left.debt) == (0, 30)
        refused = await customer.post(
            "/api/v1/images/tools/face-swap",
            json={
                "model": "face-swap",
                "image": "https://example.com/a.jpg",
                "face_image": "https://example.com/b.jpg",
            },
        )
        assert refused.status_code == 402
        error = refused.json()["error"]
        assert error["type"] == "insufficient_credits"
        assert "debt of 30 credits" in error["message"]

    async def test_that_is_won_gives_them_back(
        self,
        stripe_clients: Clients,
        stripe_double: StripeDouble,
        sessions: Sessions,
        standing: Standing,
    ) -> None:
        placed = await paid_order(stripe_clients, stripe_double)
        customer = stripe_clients.customer
        await spend(sessions, stripe_clients.customer_id, 10)
        await stripe_double.report(customer, "charge.dispute.created", dispute_of(placed, "needs_response"))
        for type in ("charge.dispute.closed", "charge.dispute.funds_reinstated"):
            await stripe_double.report(customer, type, dispute_of(placed, "won"))
        left = await standing(stripe_clients.customer_id)
        assert (left.balance, left.debt) == (1470, 0)

    async def test_in_the_wrong_order_ends_the_same(
        self, stripe_clients: Clients, stripe_double: StripeDouble, standing: Standing
    ) -> None:
        placed = await paid_order(stripe_clients, stripe_double)
        customer = stripe_clients.customer
        await stripe_double.report(customer, "charge.dispute.closed", dispute_of(placed, "won"))
        await stripe_double.report(customer, "charge.dispute.created", dispute_of(placed, "needs_response"))
        left = await standing(stripe_clients.customer_id)
        assert (left.balance, left.debt) == (1500, 0)

    @pytest.mark.parametrize("now", ["warning_needs_response", "warning_closed", "prevented"])
    async def test_that_takes_no_money_takes_no_credits(
        self, stripe_clients: Clients, stripe_double: StripeDouble, standing: Standing, now: str
    ) -> None:
        placed = await paid_order(stripe_clients, stripe_double)
        customer = stripe_clients.customer
        await stripe_double.report(customer, "charge.dispute.created", dispute_of(placed, now))
        assert (await standing(stripe_clients.customer_id)).balance == 1500

    @pytest.mark.parametrize("changes", [{"payment_intent": "pi_of_another_shop"}, {"payment_intent": None}])
    async def test_of_another_payment_is_of_no_concern(
        self,
        stripe_clients: Clients,
        stripe_double: StripeDouble,
        standing: Standing,
        changes: dict[str, Any],
    ) -> None:
        placed = await paid_order(stripe_clients, stripe_double)
        customer = stripe_clients.customer
        lost = dispute_of(placed, "lost", **changes)
        assert (await stripe_double.report(customer, "charge.dispute.closed", lost)).status_code == 204
        assert (await standing(stripe_clients.customer_id)).balance == 1500

    async def test_of_a_payment_that_nobody_knows_is_logged(
        self,
        stripe_clients: Clients,
        stripe_double: StripeDouble,
        caplog: pytest.LogCaptureFixture,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        placed = await order(stripe_clients)
        lost = dispute_of(placed, "lost", payment_intent="pi_of_another_shop")
        await stripe_double.report(stripe_clients.customer, "charge.dispute.closed", lost)
        logged = caplog.text + capsys.readouterr().out  # as logs are set up, or not, by tests before
        assert "dispute fits no order" in logged
        assert "pi_of_another_shop" in logged

    async def test_of_a_part_takes_that_part(
        self, stripe_clients: Clients, stripe_double: StripeDouble, standing: Standing
    ) -> None:
        placed = await paid_order(stripe_clients, stripe_double)
        customer = stripe_clients.customer
        await stripe_double.report(customer, "charge.dispute.created", dispute_of(placed, "lost", amount=100))
        assert (await standing(stripe_clients.customer_id)).balance == 1000

    async def test_takes_nothing_twice_that_was_refunded(
        self,
        stripe_clients: Clients,
        stripe_double: StripeDouble,
        standing: Standing,
    ) -> None:
        placed = await paid_order(stripe_clients, stripe_double)
        customer = stripe_clients.customer
        await stripe_double.report(customer, "charge.refunded", charge_of(placed, 200))
        await stripe_double.report(customer, "charge.dispute.created", dispute_of(placed, "lost"))
        left = await standing(stripe_clients.customer_id)
        assert (left.balance, left.debt) == (0, 0)

    async def test_debt_is_paid_off_by_the_next_purchase(
        self,
        stripe_clients: Clients,
        stripe_double: StripeDouble,
        sessions: Sessions,
        standing: Standing,
    ) -> None:
        customer = stripe_clients.customer
        first = await order(stripe_clients)
        await stripe_double.report(customer, "checkout.session.completed", session_of(first))
        await spend(sessions, stripe_clients.customer_id, 500)
        await stripe_double.report(customer, "charge.dispute.created", dispute_of(first, "lost"))
        second = await order(stripe_clients, 5000)
        paid = session_of(second, amount_total=1000)
        await stripe_double.report(customer, "checkout.session.completed", paid)
        left = await standing(stripe_clients.customer_id)
        assert (left.balance, left.debt) == (3500, 0)
        await spend(sessions, stripe_clients.customer_id, 1)
