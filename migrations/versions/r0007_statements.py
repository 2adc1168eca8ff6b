"""What a finding is about in words: a log statement, or why something was begun anew."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0007"
down_revision = "r0006"


def upgrade() -> None:
    op.add_column("findings", sa.Column("statement", sa.Text()))


def downgrade() -> None:
    op.drop_column("findings", "statement")
