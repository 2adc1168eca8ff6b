"""What Sentry was told, as Bugsink keeps it."""

from __future__ import annotations

from tests.services.base import wait_until
from tests.services.bugsink import Project

_ARRIVAL_S = 30.0


def pages_of(project: Project, count: int) -> list[str]:
    """The occasions of the one issue's pages, in order of time, once `count` have arrived."""

    def arrived() -> bool:
        found = project.issues()
        return bool(found) and sum(len(project.events(each)) for each in found) >= count

    wait_until(arrived, _ARRIVAL_S, f"{count} events in Bugsink")
    (issue,) = project.issues()
    pages = [project.event(each).data for each in project.events(issue)]
    told = sorted((float(str(page["timestamp"])), _tags(page)["occasion"]) for page in pages)
    return [occasion for _, occasion in told]


def _tags(page: dict[str, object]) -> dict[str, str]:
    tags = page["tags"]
    assert isinstance(tags, dict)
    return tags
