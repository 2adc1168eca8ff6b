"""Messages that must not be told after a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0002"
down_revision = "r0001"


def upgrade() -> None:
    op.add_column("outbox", sa.Column("expires_at", sa.Double()))


def downgrade() -> None:
    op.drop_column("outbox", "expires_at")
