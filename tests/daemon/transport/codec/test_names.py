from __future__ import annotations

import re
from datetime import UTC, datetime

import msgspec
import pytest

from watchkeeper.daemon.messages import message_schemas
from watchkeeper.daemon.transport.codec import decode, event_message
from watchkeeper.daemon.transport.ports import Record
from watchkeeper.detectors.types import Label, Name

NAMES = [
    ("fraud", True),
    ("team/fraud-2.v1_b", True),
    ("a" * 128, True),
    ("a" * 129, False),
    ("", False),
    ("fraud\n", False),
    ("\nfraud", False),
    ("fraud\nfraud", False),
    ("fraud\r\n", False),
    ("fraud\u2028", False),
    ("fräud", False),
]


def accepted_by_type(name: str) -> bool:
    try:
        msgspec.convert(name, Name)
    except msgspec.ValidationError:
        return False
    return True


def accepted_by_schema(name: str) -> bool:
    pattern = message_schemas()["label.v1"]["properties"]["model_name"]["pattern"]
    return re.search(pattern, name) is not None


def accepted_by_codec(name: str) -> bool:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    label = Label(id="l", time=at, model_name=name, request_id="r", label="1")
    message = event_message(label, "labels")
    record = Record("labels", 0, 0, at.timestamp(), None, message.value, message.headers)
    decoded = decode([record], {})
    assert len(decoded.frames) + len(decoded.dead) == 1
    return not decoded.dead


@pytest.mark.parametrize(("name", "accepted"), NAMES)
def test_type_schema_and_codec_agree_on_names(name: str, accepted: bool) -> None:
    answers = (accepted_by_type(name), accepted_by_schema(name), accepted_by_codec(name))

    assert answers == (accepted,) * 3
