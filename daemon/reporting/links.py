"""Where a person looks and what a person types, for one incident."""

from __future__ import annotations

import msgspec

from watchkeeper.handlers.types import Action, Incident, Kind

# The first steps for each kind of fault, for shops without a runbook of their own.
FIRST_STEPS: dict[Kind, str] = {
    Kind.DATA: "look at the named feature's source and its last release; stop the feed or fill "
    "the feature in; a rollback of the model will not help",
    Kind.MODEL: "compare the version with the one before it on today's inputs; roll back, or "
    "retrain where the world has changed",
    Kind.SERVING: "look at the server's errors, its last release and its limits; the model file "
    "is probably sound",
    Kind.HOST: "look at the host's memory, CPU, disk and network; move the traffic away from it",
    Kind.ATTACK: "look at the clients that send most of the traffic; limit or block them; do not "
    "retrain on this data",
    Kind.LABELS: "look at where labels come from; do not judge or retrain the model on them",
    Kind.UNKNOWN: "look at the evidence below and at what changed shortly before its start",
}


class Links(msgspec.Struct, frozen=True):
    """Templates of links; {incident}, {model}, {kind}, {from_ms} and {to_ms} are filled in.

    `external_url` is where people reach this instance's web server.
    """

    external_url: str = ""
    runbook: str = ""
    dashboard: str = ""

    def of(self, incident: Incident) -> dict[str, str]:
        """The links that were configured, by name."""
        found = {"runbook": self._fill(self.runbook, incident)}
        found["dashboard"] = self._fill(self.dashboard, incident)
        if self.external_url:
            base = self.external_url.rstrip("/")
            found["incident"] = f"{base}/api/v1/incidents/{incident.id}"
        return {name: link for name, link in found.items() if link}

    def _fill(self, template: str, incident: Incident) -> str:
        until = incident.resolved_at or incident.updated_at
        filled = {
            "{incident}": incident.id,
            "{model}": incident.model,
            "{kind}": incident.fault.kind.value,
            "{from_ms}": f"{(incident.since - 1800) * 1000:.0f}",
            "{to_ms}": f"{(until + 1800) * 1000:.0f}",
        }
        for name, value in filled.items():
            template = template.replace(name, value)
        return template


def show(incident: Incident) -> str:
    """The command that shows everything known."""
    return f"watchkeeper incident show {incident.id}"


def answers(action: Action) -> str:
    """The commands that answer a held action."""
    return f"watchkeeper action approve {action.id}  |  watchkeeper action reject {action.id}"
