"""`mien credits`: what accounts have, from the command line of the machine that the service runs on."""

from collections.abc import Sequence
from uuid import UUID

import click
from sqlalchemy import select

from mien.accounts.commands import find_named
from mien.accounts.models import Account
from mien.billing import ledger, orders
from mien.billing.audit import audit as find_faults
from mien.billing.models import Order
from mien.money import Money
from mien.options import data_dir_option
from mien.resources import Resources, run_once

account_argument = click.argument("account")


@click.group()
def group() -> None:
    """Credits of the service's accounts."""


@group.command()
@account_argument
@click.argument("credits", type=click.IntRange(1, ledger.MAX_GRANT))
@click.option(
    "--reason", default="Granted by the operator", show_default=True, help="Shown to the account's owner."
)
@data_dir_option
def grant(account: str, credits: int, reason: str, data_dir: str | None) -> None:
    """Give CREDITS to ACCOUNT, an e-mail address or an id."""

    async def give(resources: Resources) -> Account:
        async with resources.sessions.begin() as session:
            found = await find_named(session, account)
            await ledger.grant(session, found.id, credits, reason, by=None)
            await session.refresh(found)
            return found

    click.echo(_balance_line(run_once(data_dir, give)))


@group.command()
@click.argument("account", required=False)
@data_dir_option
def balance(account: str | None, data_dir: str | None) -> None:
    """Show what ACCOUNT has, an e-mail address or an id, or what all have."""

    async def read(resources: Resources) -> Sequence[Account]:
        async with resources.sessions() as session:
            if account:
                return [await find_named(session, account)]
            return (await session.scalars(select(Account).order_by(Account.created_at))).all()

    for found in run_once(data_dir, read):
        click.echo(_balance_line(found))


@group.command("orders")
@data_dir_option
def list_orders(data_dir: str | None) -> None:
    """Show the orders that wait for their payment, oldest first."""

    async def read(resources: Resources) -> Sequence[Order]:
        async with resources.sessions() as session:
            return await orders.pending(session)

    for order in run_once(data_dir, read):
        price = Money(order.units, order.currency)
        click.echo(
            f"{order.id}  {order.created_at:%Y-%m-%d}  {order.account_id}  {order.credits} for {price}"
        )


@group.command()
@click.argument("order", type=click.UUID)
@data_dir_option
def confirm(order: UUID, data_dir: str | None) -> None:
    """Add the credits of ORDER, whose payment has arrived. A second time changes nothing."""

    async def add(resources: Resources) -> Order:
        async with resources.sessions.begin() as session:
            return await orders.confirm(session, order, by=None)

    paid = run_once(data_dir, add)
    click.echo(f"{paid.credits} credits were added on {paid.paid_at:%Y-%m-%d} for order {paid.id}.")


@group.command()
@click.argument("order", type=click.UUID)
@data_dir_option
def cancel(order: UUID, data_dir: str | None) -> None:
    """Wait no longer for the payment of ORDER. If it still comes through Stripe, it is credited."""

    async def give_up(resources: Resources) -> Order:
        async with resources.sessions.begin() as session:
            return await orders.cancel(session, order, by=None)

    click.echo(f"Order {run_once(data_dir, give_up).id} is canceled.")


@group.command()
@click.argument("order", type=click.UUID)
@click.option("--credits", type=click.IntRange(1), help="How many.  [default: all that are left]")
@data_dir_option
def refund(order: UUID, credits: int | None, data_dir: str | None) -> None:
    """Take back the credits of ORDER, whose price you have returned. What is spent becomes a debt."""

    async def take_back(resources: Resources) -> Account:
        async with resources.sessions.begin() as session:
            entry = await orders.refund(session, order, credits, by=None)
            return await session.get_one(Account, entry.account_id, populate_existing=True)

    click.echo(_balance_line(run_once(data_dir, take_back)))


@group.command()
@data_dir_option
def audit(data_dir: str | None) -> None:
    """Check that the books add up; the exit code is 1 if they don't."""

    async def check(resources: Resources) -> Sequence[str]:
        async with resources.sessions() as session:
            return await find_faults(session)

    faults = run_once(data_dir, check)
    for fault in faults:
        click.echo(fault)
    if faults:
        raise click.exceptions.Exit(1)
    click.echo("The books add up.")


def _balance_line(account: Account) -> str:
    debt = f", and a debt of {account.debt}" if account.debt else ""
    return f"{account.id}  {account.email or f'({account.name})'}  {account.balance} credits{debt}"
