"""Leases: one holder at a time, by the database's clock, with a token that only rises."""

from __future__ import annotations

from sqlalchemy import case, select, update
from sqlalchemy.engine import Connection

from watchkeeper.daemon.storage import tables
from watchkeeper.daemon.storage.database import Database, clock, insert_new

_t = tables.leases.c


class Leases:
    """Who may act on a thing now. Renew at a third of `ttl`; stop work well before it ends."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def acquire(self, name: str, holder: str, ttl: float) -> int | None:
        """A token greater than any before, or None while somebody else holds the lease.

        Its holder gets the same token again, for `ttl` seconds from now.
        """
        with self._db.write() as connection:
            return acquire(connection, name, holder, ttl)

    def renew(self, name: str, token: int, ttl: float) -> bool:
        """True when the lease was still the caller's and now ends `ttl` seconds from now."""
        with self._db.write() as connection:
            now = clock(connection)
            mine = (_t.name == name) & (_t.token == token) & (_t.expires_at > now)
            longer = update(tables.leases).where(mine).values(expires_at=now + ttl)
            return connection.execute(longer).rowcount == 1

    def release(self, name: str, token: int) -> None:
        """Frees the lease if it is still the caller's."""
        with self._db.write() as connection:
            mine = (_t.name == name) & (_t.token == token)
            connection.execute(update(tables.leases).where(mine).values(expires_at=0.0, holder=""))

    def token(self, name: str) -> int:
        """The newest token given out for the name; 0 for none."""
        with self._db.read() as connection:
            return connection.execute(select(_t.token).where(_t.name == name)).scalar() or 0


def acquire(connection: Connection, name: str, holder: str, ttl: float) -> int | None:
    """Takes or prolongs a lease within a transaction."""
    _ensure(connection, name)
    now = clock(connection)
    held = _t.expires_at > now
    token = case((held & (_t.holder == holder), _t.token), else_=_t.token + 1)
    taken = (
        update(tables.leases)
        .where(_t.name == name, ~held | (_t.holder == holder))
        .values(holder=holder, token=token, expires_at=now + ttl)
    )
    given: int | None = connection.execute(taken.returning(_t.token)).scalar()
    return given


def next_token(connection: Connection, name: str) -> int:
    """Counts the token of a name up, whoever holds it."""
    _ensure(connection, name)
    up = update(tables.leases).where(_t.name == name).values(token=_t.token + 1)
    token: int = connection.execute(up.returning(_t.token)).scalar_one()
    return token


def _ensure(connection: Connection, name: str) -> None:
    new = {"name": name, "holder": "", "token": 0, "expires_at": 0.0}
    insert_new(connection, tables.leases, [new])
