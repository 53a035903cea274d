"""The credit ledger, orders and payments."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("accounts", sa.Column("balance", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("accounts", sa.Column("debt", sa.BigInteger(), server_default="0", nullable=False))
    op.create_check_constraint("ck_accounts_balance", "accounts", "balance >= 0")
    op.create_check_constraint("ck_accounts_debt", "accounts", "debt >= 0")
    _create_orders()
    _create_ledger()


def _create_orders() -> None:
    op.create_table(
        "orders",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("checkout_url", sa.String()),
        sa.Column("payment_id", sa.String()),
        sa.Column("paid_at", sa.DateTime(timezone=True)),
        sa.Column("confirmed_by", sa.String()),
        sa.PrimaryKeyConstraint("id", name="pk_orders"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="fk_orders_account_id_accounts"),
        sa.UniqueConstraint("payment_id", name="uq_orders_payment_id"),
        sa.CheckConstraint("credits > 0", name="ck_orders_credits"),
        sa.CheckConstraint("units > 0", name="ck_orders_units"),
        sa.CheckConstraint("state IN ('pending', 'paid', 'canceled')", name="ck_orders_state"),
        sa.CheckConstraint("(state = 'paid') = (paid_at IS NOT NULL)", name="ck_orders_paid_at"),
    )
    op.create_index("ix_orders_account_id_created_at", "orders", ["account_id", "created_at"])


def _create_ledger() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("credits", sa.BigInteger(), nullable=False),
        sa.Column("debt", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("task_id", sa.String()),
        sa.Column("key_id", sa.Uuid()),
        sa.Column("faces", sa.Integer()),
        sa.Column("outcome", sa.String(16)),
        sa.Column("order_id", sa.Uuid()),
        sa.Column("reference", sa.String()),
        sa.Column("reason", sa.String()),
        sa.Column("made_by", sa.String()),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_entries"),
        sa.ForeignKeyConstraint(
            ["account_id"], ["accounts.id"], name="fk_ledger_entries_account_id_accounts"
        ),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name="fk_ledger_entries_order_id_orders"),
        sa.CheckConstraint(
            "CASE kind"
            " WHEN 'hold' THEN credits <= 0 AND debt = 0"
            " WHEN 'settle' THEN credits = 0 AND debt = 0"
            " WHEN 'refund' THEN credits <= 0 AND debt >= 0"
            " WHEN 'chargeback' THEN credits <= 0 AND debt >= 0"
            " ELSE credits >= 0 AND debt <= 0 END",
            name="ck_ledger_entries_signs",
        ),
        sa.CheckConstraint(
            "kind IN ('hold', 'settle', 'release', 'grant', 'purchase', 'refund', 'chargeback',"
            " 'reinstatement')",
            name="ck_ledger_entries_kind",
        ),
        sa.CheckConstraint(
            "(kind IN ('hold', 'settle', 'release')) = (task_id IS NOT NULL AND faces IS NOT NULL)",
            name="ck_ledger_entries_task",
        ),
        sa.CheckConstraint(
            "CASE kind WHEN 'settle' THEN outcome IS NOT DISTINCT FROM 'completed'"
            " WHEN 'release' THEN coalesce(outcome IN ('failed', 'canceled'), false)"
            " ELSE outcome IS NULL END",
            name="ck_ledger_entries_outcome",
        ),
        sa.CheckConstraint(
            "(kind IN ('purchase', 'refund', 'chargeback', 'reinstatement')) = (order_id IS NOT NULL)",
            name="ck_ledger_entries_order",
        ),
    )
    op.create_index("ix_ledger_entries_account_id_id", "ledger_entries", ["account_id", "id"])
    for name, columns, unique, where in (
        ("ix_ledger_entries_holds", ["account_id", "created_at"], False, "kind = 'hold'"),
        ("uq_ledger_entries_hold", ["task_id"], True, "kind = 'hold'"),
        ("uq_ledger_entries_closing", ["task_id"], True, "kind IN ('settle', 'release')"),
        ("uq_ledger_entries_purchase", ["order_id"], True, "kind = 'purchase'"),
        ("ix_ledger_entries_order_id", ["order_id"], False, "order_id IS NOT NULL"),
        ("uq_ledger_entries_reference", ["kind", "reference"], True, "reference IS NOT NULL"),
    ):
        op.create_index(name, "ledger_entries", columns, unique=unique, postgresql_where=sa.text(where))
    # A trigger, since privileges don't bind the tables' owner, and that is who the service connects as.
    op.execute(
        """
        CREATE FUNCTION refuse_to_change_the_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'The ledger is only added to: write an entry that makes up for the wrong one.'
                USING ERRCODE = 'restrict_violation';
        END
        $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER ledger_entries_are_only_added
        BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_change_the_ledger()
        """
    )
    # So that an account can't come with credits that the ledger doesn't know of.
    op.execute(
        """
        CREATE FUNCTION enter_starting_credits() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO ledger_entries (account_id, kind, credits, reason)
            VALUES (NEW.id, 'grant', NEW.balance, 'Starting credits');
            RETURN NULL;
        END
        $$
        """
    )
    op.execute(
        """
        CREATE TRIGGER accounts_start_with_an_entry AFTER INSERT ON accounts
        FOR EACH ROW WHEN (NEW.balance > 0) EXECUTE FUNCTION enter_starting_credits()
        """
    )
