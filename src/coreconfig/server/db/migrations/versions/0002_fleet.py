"""The instances that are connected, or were."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    names = ("environment", "service", "instance", "replica", "session", "link")
    told = ("labels", "app_version", "sdk", "connected_at")
    op.create_table(
        "fleet_instance",
        *(sa.Column(name, sa.Text(), nullable=False) for name in names),
        sa.Column("cohort", sa.Text()),
        *(sa.Column(name, sa.Text(), nullable=False) for name in told),
        sa.Column("left_at", sa.Text()),
        sa.Column("epoch", sa.BigInteger()),
        sa.Column("revision", sa.BigInteger()),
        *(sa.Column(name, sa.Text()) for name in ("digest", "overlay", "last_nack", "health")),
        sa.PrimaryKeyConstraint("environment", "service", "instance", name="pk_fleet_instance"),
    )
