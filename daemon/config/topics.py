"""The topics that are read and written, and their names."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from watchkeeper.daemon.config.section import Section, doc

READ = ("predictions", "labels", "logs", "metrics", "changes", "commands")
WRITTEN = ("incidents", "incidents_state", "actions", "models_state")
TOPIC_NAME = r"^[A-Za-z0-9._-]{1,249}$"
Topic = Annotated[str, Meta(pattern=TOPIC_NAME)]


class Topics(Section, frozen=True, kw_only=True):
    """Names of topics. One that is not given is the prefix and the field's name, with a dot for
    an underscore (`incidents_state` is `watchkeeper.incidents.state`)."""

    prefix: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z0-9._-]{0,200}$"),
        doc("What all names begin with"),
    ] = "watchkeeper."
    predictions: Annotated[
        Topic | None, doc("In: what models answered", example="other.predictions")
    ] = None
    labels: Annotated[Topic | None, doc("In: the truth, known later", example="other.labels")] = (
        None
    )
    logs: Annotated[
        Topic | None, doc("In: log records of serving and features", example="other.logs")
    ] = None
    metrics: Annotated[
        Topic | None, doc("In: measurements of hosts and business", example="other.metrics")
    ] = None
    changes: Annotated[
        Topic | None, doc("In: deployments and other changes on purpose", example="other.changes")
    ] = None
    commands: Annotated[
        Topic | None, doc("In: orders and applications' answers", example="other.commands")
    ] = None
    incidents: Annotated[
        Topic | None, doc("Out: every change of every incident", example="other.incidents")
    ] = None
    incidents_state: Annotated[
        Topic | None,
        doc("Out, compacted: the newest state of each", example="other.incidents.state"),
    ] = None
    actions: Annotated[
        Topic | None, doc("Out: actions, which applications may obey", example="other.actions")
    ] = None
    models_state: Annotated[
        Topic | None,
        doc("Out, compacted: health and version of models", example="other.models.state"),
    ] = None
    partials: Annotated[
        Topic | None,
        doc(
            "Between instances: parts of windows, for the owner of a model whose events spread "
            "over partitions",
            example="other.partials",
        ),
    ] = None
    dlq: Annotated[
        Topic | None,
        doc(
            "Out: what topics of refused records begin with; a dot and the name of the topic they "
            "came from follow",
            example="other.dlq",
        ),
    ] = None

    def name(self, kind: str) -> str:
        """The topic of one kind, for instance `predictions` or `incidents_state`."""
        own: str | None = getattr(self, kind)
        return own if own is not None else self.prefix + kind.replace("_", ".")

    def dead_letters(self, kind: str) -> str:
        """The topic of refused records of one kind that is read."""
        return f"{self.name('dlq')}.{self.name(kind)}"

    def everything(self) -> list[str]:
        """All topics: those that are read, those that are written, those of refused records."""
        refused = [self.dead_letters(kind) for kind in READ]
        return [self.name(kind) for kind in (*READ, *WRITTEN)] + refused
