"""What the deletion of accounts asks of the tables."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

_OF_ACCOUNTS = (
    "api_keys",
    "sign_ins",
    "password_resets",
    "tasks",
    "uploads",
    "webhook_endpoints",
    "webhook_callback_secrets",
    "orders",
)


def upgrade() -> None:
    op.add_column("accounts", sa.Column("deleted_at", sa.DateTime(timezone=True)))
    op.add_column("accounts", sa.Column("erased_at", sa.DateTime(timezone=True)))
    op.create_check_constraint(
        "ck_accounts_deleted_is_nobodys",
        "accounts",
        "deleted_at IS NULL OR (email IS NULL AND disabled_at IS NOT NULL AND NOT is_administrator)",
    )
    op.create_check_constraint(
        "ck_accounts_erased_after_deleted", "accounts", "erased_at IS NULL OR deleted_at IS NOT NULL"
    )
    op.create_index(
        "ix_accounts_to_erase",
        "accounts",
        ["deleted_at"],
        postgresql_where=sa.text("deleted_at IS NOT NULL AND erased_at IS NULL"),
    )
    # A request that was let in before its account was deleted must not leave anything behind. The lock waits
    # for a deletion under way, and a deletion for this one's commit: whoever comes later sees the other.
    op.execute(
        """
        CREATE FUNCTION refuse_deleted_account() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM 1 FROM accounts WHERE id = NEW.account_id AND deleted_at IS NULL FOR KEY SHARE;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'The account % has been deleted.', NEW.account_id
                    USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'account_is_deleted';
            END IF;
            RETURN NULL;
        END
        $$
        """
    )
    for table in _OF_ACCOUNTS:
        op.execute(
            f"""
            CREATE TRIGGER {table}_are_of_accounts AFTER INSERT ON {table}
            FOR EACH ROW EXECUTE FUNCTION refuse_deleted_account()
            """
        )
