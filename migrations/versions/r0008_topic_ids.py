"""Of which topic an offset is: one made anew under the same name begins at its beginning."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0008"
down_revision = "r0007"


def upgrade() -> None:
    op.add_column("offsets", sa.Column("topic_id", sa.Text()))


def downgrade() -> None:
    op.drop_column("offsets", "topic_id")
