"""Changes of incidents by POST to addresses of the user's own."""

from __future__ import annotations

from collections.abc import Sequence

import urllib3
from urllib3.util import Timeout

from watchkeeper.daemon.storage.outbox import OK, Delivery
from watchkeeper.daemon.storage.values import OutboxRow

_REFUSED = (400, 405, 410, 413, 415, 422)  # the same message will not be taken later either


class WebhookChannel:
    """A deliverer for the outbox: one POST of JSON a row, to the URL in its `topic`.

    The header `Idempotency-Key` tells a repeated message, `Watchkeeper-Collapsed` how many older
    ones this one stands for. Redirects are not followed.
    """

    def __init__(self, timeout: float = 10.0) -> None:
        limits = Timeout(connect=5.0, read=timeout)
        self._pool = urllib3.PoolManager(timeout=limits, retries=False)

    def __call__(self, rows: Sequence[OutboxRow]) -> list[Delivery]:
        dead: dict[str, Delivery] = {}
        deliveries = []
        for row in rows:
            # An address that has just failed is not tried again for each message of the batch.
            delivery = dead.get(row.topic) or self._post(row)
            if delivery.outcome == "retry":
                dead[row.topic] = delivery
            deliveries.append(delivery)
        return deliveries

    def _post(self, row: OutboxRow) -> Delivery:
        headers = {"Content-Type": "application/json", "Idempotency-Key": row.id}
        if row.collapsed:
            headers["Watchkeeper-Collapsed"] = str(row.collapsed)
        try:
            reply = self._pool.request(
                "POST", row.topic, body=row.payload, headers=headers, redirect=False
            )
        except urllib3.exceptions.HTTPError as error:
            return Delivery("retry", f"{type(error).__name__}: {error}")
        if 200 <= reply.status < 300:
            return OK
        outcome = Delivery("blocked" if reply.status in _REFUSED else "retry", str(reply.status))
        return outcome

    def close(self) -> None:
        """Frees every connection. Idempotent."""
        self._pool.clear()
