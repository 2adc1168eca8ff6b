"""Who is told what, by the configuration."""

from __future__ import annotations

from watchkeeper.daemon.config import Config
from watchkeeper.daemon.config.telling import Notify, Sentry
from watchkeeper.daemon.config.units import Secret
from watchkeeper.daemon.telling import audience_of, channels_of
from watchkeeper.daemon.transport.memory import MemoryBroker, MemorySink

HOOK = "https://example.com/hook"


def test_without_settings_only_topics_are_told() -> None:
    audience = audience_of(Config())

    assert set(channels_of(Config(), MemorySink(MemoryBroker()))) == {"kafka", "dlq"}
    assert (audience.sentry, audience.webhooks) == (False, ())


def test_whoever_is_told_has_a_channel() -> None:
    dsn = "http://key@127.0.0.1:9/1"
    config = Config(sentry=Sentry(dsn=Secret(dsn)), notify=Notify(webhooks=[Secret(HOOK)]))

    channels = channels_of(config, MemorySink(MemoryBroker()))
    audience = audience_of(config)
    for channel in channels.values():
        getattr(channel, "close", lambda: None)()

    assert {"sentry", "webhook"} < set(channels)
    assert (audience.sentry, audience.webhooks) == (True, (HOOK,))
