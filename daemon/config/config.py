"""The whole configuration, checked."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import msgspec

from watchkeeper.daemon.config import sections, telling
from watchkeeper.daemon.config.models import ModelSettings
from watchkeeper.daemon.config.section import Section, doc
from watchkeeper.daemon.config.topics import Topics
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.daemon.transport.settings import PROFILES, KafkaSettings
from watchkeeper.detectors.budget import parse
from watchkeeper.detectors.suite import DEFAULT_WATCHES


class Config(Section, frozen=True, kw_only=True):
    """Every setting; made by `load`, which has filled in what depends on the host.

    `defaults` holds for every model that `models` does not name; what `models` names already has
    the defaults below it.
    """

    daemon: Annotated[sections.Daemon, doc("This instance")] = sections.Daemon()
    kafka: Annotated[sections.Kafka, doc("The cluster")] = sections.Kafka()
    topics: Annotated[Topics, doc("Names of topics")] = Topics()
    database: Annotated[sections.Database, doc("The database")] = sections.Database()
    checkpoint: Annotated[sections.Checkpoint, doc("Commits")] = sections.Checkpoint()
    sentry: Annotated[telling.Sentry, doc("Pages")] = telling.Sentry()
    web: Annotated[sections.Web, doc("HTTP")] = sections.Web()
    notify: Annotated[telling.Notify, doc("Webhooks")] = telling.Notify()
    collect: Annotated[sections.Collect, doc("Own measurements")] = sections.Collect()
    outbox: Annotated[telling.Outbox, doc("What waits to be told")] = telling.Outbox()
    retrain: Annotated[sections.Retrain, doc("Training jobs")] = sections.Retrain()
    mlflow: Annotated[sections.Mlflow, doc("MLflow")] = sections.Mlflow()
    defaults: Annotated[ModelSettings, doc("What holds for every model")] = ModelSettings()
    models: Annotated[dict[str, ModelSettings], doc("What holds for one model")] = msgspec.field(
        default_factory=dict
    )

    def model(self, name: str) -> ModelSettings:
        """What holds for a model, named in the file or not."""
        return self.models.get(name, self.defaults)

    @property
    def spreads(self) -> bool:
        """Whether events of any model may lie in several partitions."""
        return any(each.spread for each in (self.defaults, *self.models.values()))

    def kafka_settings(self) -> KafkaSettings:
        """How to reach Kafka, for transport."""
        kafka = self.kafka
        login = kafka.security_protocol.startswith("SASL")
        return KafkaSettings(
            bootstrap_servers=kafka.bootstrap_servers,
            group_id=kafka.group_id,
            client_id=kafka.client_id,
            group_instance_id=kafka.group_instance_id,
            security_protocol=kafka.security_protocol,
            sasl_mechanism=kafka.sasl_mechanism if login else None,
            sasl_username=kafka.sasl_username,
            sasl_password=kafka.sasl_password.reveal() or None,
            ssl_cafile=kafka.ssl_ca_file,
            ssl_certfile=kafka.ssl_certificate_file,
            ssl_keyfile=kafka.ssl_key_file,
            assignor=kafka.assignor,
            max_poll_records=kafka.max_poll_records,
            session_timeout_ms=round(kafka.session_timeout * 1000),
            offset_reset=kafka.offset_reset,
            batches=kafka.batches,
            **PROFILES[kafka.profile],
        )

    def secrets(self) -> list[str]:
        """Every secret in it, for the log to mask."""
        password = urlsplit(self.database.url).password
        notify = self.notify
        held = (self.sentry.dsn, self.kafka.sasl_password, self.mlflow.token,
                notify.on_call, *notify.webhooks)  # fmt: skip
        return [each.reveal() for each in held if each] + ([password] if password else [])

    def policy(self, model: str) -> ModelPolicy:
        """What the core has to know about a model."""
        return self.model(model).policy(DEFAULT_WATCHES, self._share_s())

    def _share_s(self) -> float:
        """The seconds in which one model may cause one false page for all to keep the fleet's
        budget: the expected numbers of their pages add up, whatever models have in common."""
        fleet = self.daemon.fleet_false_alarms
        return parse(fleet).shared(self.daemon.max_models).samples(1.0) if fleet else 0.0
