"""The whole configuration, checked."""

from __future__ import annotations

from typing import Annotated

import msgspec

from watchkeeper.daemon.config import sections
from watchkeeper.daemon.config.models import ModelSettings
from watchkeeper.daemon.config.sections import Section, doc
from watchkeeper.daemon.core.policy import ModelPolicy
from watchkeeper.detectors.suite import DEFAULT_WATCHES


class Config(Section, frozen=True, kw_only=True):
    """Every setting; made by `load`, which has filled in what depends on the host.

    `defaults` holds for every model that `models` does not name; what `models` names already has
    the defaults below it.
    """

    daemon: Annotated[sections.Daemon, doc("This instance")] = sections.Daemon()
    kafka: Annotated[sections.Kafka, doc("The cluster")] = sections.Kafka()
    topics: Annotated[sections.Topics, doc("Names of topics")] = sections.Topics()
    database: Annotated[sections.Database, doc("The database")] = sections.Database()
    checkpoint: Annotated[sections.Checkpoint, doc("Commits")] = sections.Checkpoint()
    sentry: Annotated[sections.Sentry, doc("Pages")] = sections.Sentry()
    web: Annotated[sections.Web, doc("HTTP")] = sections.Web()
    notify: Annotated[sections.Notify, doc("Webhooks")] = sections.Notify()
    retrain: Annotated[sections.Retrain, doc("Training jobs")] = sections.Retrain()
    mlflow: Annotated[sections.Mlflow, doc("MLflow")] = sections.Mlflow()
    defaults: Annotated[ModelSettings, doc("What holds for every model")] = ModelSettings()
    models: Annotated[dict[str, ModelSettings], doc("What holds for one model")] = msgspec.field(
        default_factory=dict
    )

    def model(self, name: str) -> ModelSettings:
        """What holds for a model, named in the file or not."""
        return self.models.get(name, self.defaults)

    def policy(self, model: str) -> ModelPolicy:
        """What the core has to know about a model."""
        return self.model(model).policy(DEFAULT_WATCHES)
