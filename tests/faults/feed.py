"""Numbered predictions of some models, published without an end."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter

from watchkeeper.daemon.transport.codec import event_message
from watchkeeper.daemon.transport.kafka_sink import KafkaSink
from watchkeeper.daemon.transport.settings import KafkaSettings
from watchkeeper.detectors.types import Prediction, PredictionValue, moment

MODELS = tuple(f"m{n}" for n in range(12))
_STOP_S = 60.0


class Feed:
    """Publishes numbered predictions of all models until it is stopped, behind those `before`."""

    def __init__(self, bootstrap: str, topic: str, before: Counter[str]) -> None:
        self.sent = Counter(before)
        self._first = before.total() // len(MODELS) // 2
        self._topic = topic
        self._sink = KafkaSink(KafkaSettings(bootstrap_servers=[bootstrap]))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Ends it; what it has sent is on the broker. Idempotent."""
        self._ended.set()
        self._thread.join(_STOP_S)
        self._sink.close()

    def _run(self) -> None:
        for pair in itertools.count(self._first):
            if self._ended.wait(0.05):
                return
            events = [_prediction(model, 2 * pair + half) for model in MODELS for half in (0, 1)]
            outcomes = self._sink.publish([event_message(e, self._topic) for e in events], 30.0)
            assert outcomes == [None] * len(events)
            self.sent.update(event.request_id for event in events)


def _prediction(model: str, n: int) -> Prediction:
    return Prediction(
        id=f"{model}-e{n}",
        time=moment(time.time()),
        model_name=model,
        model_version="1",
        request_id=f"{model}-{n}",
        features={"amount": float(n % 97)},
        prediction=PredictionValue(label="no", score=0.2),
        duration_s=0.05,
    )
