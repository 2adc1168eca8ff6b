"""How long detectors were measured to run without a false finding."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0005"
down_revision = "r0004"


def upgrade() -> None:
    op.create_table(
        "calibrations",
        sa.Column("model", sa.Text(), primary_key=True),
        sa.Column("watch", sa.String(32), primary_key=True),
        sa.Column("windows", sa.BigInteger(), nullable=False),
        sa.Column("runs", sa.BigInteger(), nullable=False),
        sa.Column("observed", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("calibrations")
