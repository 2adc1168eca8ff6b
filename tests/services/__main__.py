"""`python -m tests.services [--install]`: which components are here, and what is missing."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console
from rich.table import Table

from tests.services import bugsink, fallback_broker, kafka, mlflow, postgres, prometheus
from tests.services.base import Component, Missing, services_required
from tests.services.brokers import chosen

_COMPONENTS = [
    each.COMPONENT for each in (kafka, fallback_broker, postgres, bugsink, prometheus, mlflow)
]


def main() -> int:
    """Print the table; fail only where every component must be there."""
    parser = argparse.ArgumentParser(prog="python -m tests.services", description=__doc__)
    parser.add_argument("--install", action="store_true", help="install what pip and Maven can")
    install = parser.parse_args().install
    table = Table("component", "available", "version", "how it is started, or what is missing")
    missing = 0
    for component in _COMPONENTS:
        found = _look(component, install)
        missing += found[0] == "no"
        table.add_row(component.name, *found)
    console = Console()
    console.print(table)
    console.print(f"Tests talk to {chosen()}.", highlight=False)
    return 1 if missing and services_required() else 0


def _look(component: Component, install: bool) -> tuple[str, str, str]:
    try:
        return "yes", component.version(install), component.how
    except Missing as reason:
        return "no", "", str(reason)


if __name__ == "__main__":
    sys.exit(main())
