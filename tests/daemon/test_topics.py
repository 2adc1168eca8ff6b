"""Which topics a configuration reads and writes."""

from __future__ import annotations

import msgspec

from watchkeeper.daemon.config import Config
from watchkeeper.daemon.topics import kinds_of, topic_names, topics_of

PLAIN = Config()


def test_each_topic_that_is_read_has_its_kind() -> None:
    kinds = kinds_of(PLAIN)

    assert kinds["watchkeeper.predictions"] == "prediction"
    assert topics_of(PLAIN) == list(kinds)


def test_partials_are_read_where_a_model_is_spread() -> None:
    spread = msgspec.structs.replace(PLAIN.defaults, spread=True)

    topics = topics_of(msgspec.structs.replace(PLAIN, models={"fraud": spread}))

    assert topics == [*kinds_of(PLAIN), "watchkeeper.partials"]


def test_nothing_is_written_to_a_topic_that_is_read() -> None:
    written = msgspec.structs.astuple(topic_names(PLAIN))

    assert not set(written) & set(topics_of(PLAIN))
