"""Records of other programs, as the tests of their formats need them."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from watchkeeper.daemon.transport.codec import Reason
from watchkeeper.daemon.transport.ports import Record
from watchkeeper.detectors.types import EventKind

KINDS: dict[str, EventKind] = {"l": "log", "m": "metric", "p": "prediction"}
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


def record(document: object, topic: str) -> Record:
    """One record of a topic; a document that is not bytes is written as JSON."""
    value = document if isinstance(document, bytes) else msgspec.json.encode(document)
    return Record(topic, 3, 7, NOW, b"k", value, ())


def damaged(resources: str, scopes: str) -> list[tuple[object, Reason, str]]:
    """Exports of OpenTelemetry of which nothing can be taken, with the reason and the path;
    `resources` and `scopes` are how their kind names these."""
    name = resources.encode()
    return [
        ({resources: 1}, "schema", f"$.{resources}"),
        ({resources: [1]}, "schema", f"$.{resources}[0]"),
        ({resources: [{scopes: 1}]}, "schema", f"$.{resources}[0].{scopes}"),
        ({resources: [{"resource": 1}]}, "schema", f"$.{resources}[0].resource"),
        (b'{"%s": [' % name, "syntax", "$"),
        (b'{"%s": "\xff"}' % name, "encoding", "$"),
        (b'["%s"]' % name, "not_an_object", "$"),
        (b'{"%s":' % name + b"[" * 2_000 + b"]" * 2_000 + b"}", "too_deep", "$"),
    ]
