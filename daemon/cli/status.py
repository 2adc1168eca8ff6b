"""`watchkeeper status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from watchkeeper.daemon.cli.common import globals_of, load, opened
from watchkeeper.daemon.cli.outcome import Refused
from watchkeeper.daemon.cli.output import Output, moment, output_option, show_facts

if TYPE_CHECKING:
    from watchkeeper.daemon.config import Config

_PROBE_S = 2.0
Probe = Literal["live", "ready"]


@click.command("status")
@click.option(
    "--probe",
    type=click.Choice(["live", "ready"]),
    help="Only ask the daemon whether it is; ends with 0 or 1. For health checks.",
)
@output_option
@click.pass_context
def command(ctx: click.Context, probe: Probe | None, output: Output) -> None:
    """Show the state of everything on one screen."""
    config = load(globals_of(ctx)).config
    if probe:
        fault = _fault(config, probe)
        if fault:
            raise Refused(fault)
        click.echo(probe)
        return
    with opened(config) as store:
        totals = store.records.totals()
        incidents = store.records.incidents(open_only=True)
        offsets = store.records.offsets()
    facts: dict[str, object] = {
        "daemon": _fault(config, "live") or "live",
        "ready": _fault(config, "ready") or "ready",
        **{name: getattr(totals, name) for name in totals.__struct_fields__},
        "outbox_oldest_at": moment(totals.outbox_oldest_at),
        "incidents": [f"{i.id} {i.model} {i.severity} {i.state}: {i.title}" for i in incidents],
        "offsets": [f"{p.topic}/{p.number} {n}" for p, n in sorted(offsets.items())],
    }
    show_facts(facts, output)


def _fault(config: Config, probe: Probe) -> str:
    """Why the daemon is not live or ready; "" when it is."""
    import urllib3

    host, _, port = config.web.listen.rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
    try:
        answer = urllib3.request(
            "GET", f"http://{host}:{port}/{probe}z", timeout=_PROBE_S, retries=False
        )
    except urllib3.exceptions.HTTPError:
        return f"nothing answers on {config.web.listen}"
    if answer.status == 200:
        return ""
    said = answer.data[:200].decode("utf-8", "replace").strip()
    return f"not {probe}: {said}"
