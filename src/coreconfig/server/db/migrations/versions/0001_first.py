"""The log, change requests, tokens and the audit."""

from __future__ import annotations

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_C_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def _text(name: str, *, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=nullable)


def _number(name: str, *, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable, autoincrement=False)


def upgrade() -> None:
    _revisions()
    _changes()
    _access()
    _begin_log()


def _revisions() -> None:
    op.create_table(
        "head",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        _number("epoch"),
        _number("revision"),
        _text("hash"),
        _text("installation"),
        sa.PrimaryKeyConstraint("id", name="pk_head"),
    )
    op.create_table(
        "log",
        sa.Column("revision", _ROW_NUMBER, nullable=False, autoincrement=False),
        _number("epoch"),
        _text("kind"),
        _text("change_id"),
        _text("author"),
        _text("reason", nullable=True),
        _text("committed_at"),
        _text("edits"),
        _text("previous"),
        _text("hash"),
        sa.PrimaryKeyConstraint("revision", name="pk_log"),
    )
    op.create_table(
        "checkpoint",
        sa.Column("revision", _ROW_NUMBER, nullable=False, autoincrement=False),
        _number("epoch"),
        _text("hash"),
        _text("taken_at"),
        _text("checksum"),
        sa.Column("world", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_checkpoint"),
    )
    op.create_table(
        "movement",
        _text("environment"),
        sa.Column("key", _C_TEXT, nullable=False),
        _number("revision"),
        _number("epoch"),
        _text("services"),
        _text("entries"),
        sa.PrimaryKeyConstraint("environment", "key", "revision", name="pk_movement"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_movement_environment_revision", "movement", ["environment", "revision"])


def _changes() -> None:
    op.create_table(
        "change_request",
        _text("id"),
        _text("state"),
        _text("author"),
        _text("reason", nullable=True),
        _text("source"),
        _text("created_at"),
        _text("updated_at"),
        _number("revision", nullable=True),
        _text("subject"),
        _text("body"),
        _text("affected"),
        _text("effective"),
        _text("issues"),
        sa.PrimaryKeyConstraint("id", name="pk_change_request"),
    )
    op.create_index("ix_change_request_created_at_id", "change_request", ["created_at", "id"])
    op.create_table(
        "idempotency",
        _text("principal"),
        _text("key"),
        _text("request_hash"),
        sa.Column("status", sa.Integer(), nullable=False),
        _text("response"),
        _text("created_at"),
        sa.PrimaryKeyConstraint("principal", "key", name="pk_idempotency"),
    )
    op.create_index("ix_idempotency_created_at", "idempotency", ["created_at"])


def _access() -> None:
    op.create_table(
        "token",
        _text("id"),
        _text("secret_hash"),
        _text("name"),
        _text("kind"),
        _text("service", nullable=True),
        _text("environments"),
        _text("roles"),
        _text("keys"),
        _text("author"),
        _text("created_at"),
        _text("revoked_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_token"),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        _text("at"),
        _text("principal"),
        _text("action"),
        _text("target"),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        _text("detail"),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_principal_id", "audit", ["principal", "id"])


def _begin_log() -> None:
    """Revision 0 of epoch 1: nothing is configured. The installation's id tells its caches from others'."""
    head = sa.table(
        "head",
        sa.column("id", sa.Integer),
        sa.column("epoch", sa.BigInteger),
        sa.column("revision", sa.BigInteger),
        sa.column("hash", sa.Text),
        sa.column("installation", sa.Text),
    )
    op.execute(head.insert().values(id=1, epoch=1, revision=0, hash="0" * 64, installation=str(uuid4())))
