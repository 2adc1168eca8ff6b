"""What a live stream holds, and when."""

from __future__ import annotations

import threading
import time

import msgspec
import numpy as np
import pytest
from kafka.record import MemoryRecords

from tests.bench.replay import LINGER_US, Live
from tests.bench.traffic import Shape, model_name, model_of
from watchkeeper.detectors.types import Prediction

SHAPE = Shape(models=10, a_minute=12_000, alone=True)
SECONDS = 0.3


def test_events_come_whole_and_in_order_and_not_before_a_producer_would_send_them() -> None:
    grown = threading.Condition()
    live = Live(SHAPE, grown)
    begin = round(time.time() + 0.05, 3)
    writer = threading.Thread(target=live.produce, args=(begin, SECONDS))
    total = round(SECONDS * 1e6) // SHAPE.spacing_us

    with grown:
        writer.start()
        while live.end() < total:
            assert grown.wait(10.0)
            newest = live.end() - LINGER_US // SHAPE.spacing_us
            assert time.time() >= begin + (newest * SHAPE.spacing_us + LINGER_US) / 1e6
    writer.join(10.0)

    batches = MemoryRecords(live.read(0, 1 << 30, at_least_one=True))
    found = []
    while (batch := batches.next_batch()) is not None:
        assert batch.validate_crc()
        found += list(batch)
    events = [msgspec.json.decode(each.value, type=Prediction) for each in found]
    due = [round(begin * 1e6) + i * SHAPE.spacing_us for i in range(total)]
    models = [model_name(number) for number in model_of(SHAPE, np.arange(total))]
    assert [each.offset for each in found] == list(range(total))
    assert [round(each.time.timestamp() * 1e6) for each in events] == due
    assert [each.timestamp for each in found] == [at // 1_000 for at in due]
    assert [each.model_name for each in events] == models


def test_events_that_do_not_fit_into_what_a_producer_sends_are_refused() -> None:
    with pytest.raises(ValueError, match="600 µs apart"):
        Live(Shape(models=10, a_minute=10_000, alone=True), threading.Condition())
