"""`mien credits`, on a database that a service has set up."""

from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from click.testing import CliRunner, Result

from mien.cli import main


@pytest.fixture
def account_id(database_url: str) -> UUID:
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "INSERT INTO accounts (id, name, email, password_hash)"
            " VALUES (gen_random_uuid(), 'Ada', 'ada@example.com', 'x') RETURNING id"
        )
        row = found.fetchone()
        assert row
        return UUID(str(row[0]))


@pytest.fixture(autouse=True)
def service(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_DATABASE_URL", database_url)
    monkeypatch.setenv("MIEN_DATA_DIR", str(tmp_path))


def credits(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["credits", *map(str, arguments)])


def place_order(database_url: str, account_id: UUID) -> UUID:
    order_id = uuid4()
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO orders (id, account_id, credits, units, currency, provider, state)"
            " VALUES (%s, %s, 5000, 1000, 'USD', 'manual', 'pending')",
            [order_id, account_id],
        )
    return order_id


@pytest.mark.parametrize("name", ["ada@example.com", "ADA@example.com", None])
def test_grant_takes_an_email_address_or_an_id(account_id: UUID, name: str | None) -> None:
    result = credits("grant", name or account_id, 300, "--reason", "Welcome")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{account_id}  ada@example.com  300 credits\n"
    assert credits("balance", "ada@example.com").stdout == result.stdout
    assert credits("balance").stdout == result.stdout


@pytest.mark.parametrize("name", ["eve@example.com", uuid4()])
@pytest.mark.usefixtures("account_id")
def test_an_unknown_account_is_one_line(name: object) -> None:
    for result in (credits("grant", name, 1), credits("balance", name)):
        assert result.exit_code == 1
        assert result.stderr.startswith("Error: There is no")
        assert result.stdout == ""


def test_nothing_is_no_grant(account_id: UUID) -> None:
    assert credits("grant", account_id, 0).exit_code == 2


def test_orders_are_shown_and_confirmed_once(database_url: str, account_id: UUID) -> None:
    order_id = place_order(database_url, account_id)
    (line,) = credits("orders").stdout.splitlines()
    assert str(order_id) in line
    assert "5000 for 10.00 USD" in line
    for _ in range(2):
        confirmed = credits("confirm", order_id)
        assert confirmed.stdout.startswith("5000 credits were added")
    assert credits("balance", account_id).stdout.endswith("  5000 credits\n")
    assert credits("orders").stdout == ""


def test_a_refund_takes_credits_back_until_none_are_left(database_url: str, account_id: UUID) -> None:
    order_id = place_order(database_url, account_id)
    assert "has not been paid" in credits("refund", order_id).stderr
    credits("confirm", order_id)
    assert credits("refund", order_id, "--credits", 2000).stdout.endswith("  3000 credits\n")
    assert "3000 credits are left" in credits("refund", order_id, "--credits", 3001).stderr
    assert credits("refund", order_id).stdout.endswith("  0 credits\n")
    assert "taken back before" in credits("refund", order_id).stderr
    assert credits("audit").exit_code == 0


def test_a_refund_of_what_is_spent_becomes_a_debt(database_url: str, account_id: UUID) -> None:
    order_id = place_order(database_url, account_id)
    credits("confirm", order_id)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO ledger_entries (account_id, kind, credits, task_id, faces)"
            " VALUES (%s, 'hold', -4000, 'task', 1)",
            [account_id],
        )
        connection.execute("UPDATE accounts SET balance = balance - 4000")
    assert credits("refund", order_id).stdout.endswith("  0 credits, and a debt of 4000\n")


def test_what_stripe_was_paid_is_refunded_there(database_url: str, account_id: UUID) -> None:
    order_id = place_order(database_url, account_id)
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE orders SET state = 'paid', paid_at = now(), provider = 'stripe', payment_id = 'pi_1'"
        )
    result = credits("refund", order_id)
    assert result.exit_code == 1
    assert "paid through Stripe" in result.stderr


@pytest.mark.parametrize(("order", "status"), [(uuid4(), 1), ("nonsense", 2)])
def test_an_unknown_order_is_refused(order: object, status: int) -> None:
    assert credits("confirm", order).exit_code == status
    assert credits("refund", order).exit_code == status


def test_audit_tells_whether_the_books_add_up(database_url: str, account_id: UUID) -> None:
    assert credits("audit").stdout == "The books add up.\n"
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE accounts SET balance = 7")
    result = credits("audit")
    assert result.exit_code == 1
    assert f"Account {account_id} has a balance of 7" in result.stdout
