"""`watchkeeper incident`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from watchkeeper.daemon.cli.common import Verb, globals_of, load, opened, order
from watchkeeper.daemon.cli.deciding import deciding_options
from watchkeeper.daemon.cli.outcome import Refused
from watchkeeper.daemon.cli.output import (
    Output,
    moment,
    output_option,
    show_facts,
    show_json,
    show_rows,
)

if TYPE_CHECKING:
    from watchkeeper.detectors.types import Finding
    from watchkeeper.handlers.types import Evidence, Incident

_COLUMNS = ("id", "model", "version", "state", "severity", "fault", "place", "opened", "title")


@click.group("incident")
def command() -> None:
    """Look at incidents, acknowledge and resolve them."""


@command.command("list")
@click.option("--all", "everything", is_flag=True, help="Resolved ones too.")
@click.option("--model", help="Of this model only.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@output_option
@click.pass_context
def list_(
    ctx: click.Context, everything: bool, model: str | None, limit: int, output: Output
) -> None:
    """List open incidents, newest first."""
    with opened(load(globals_of(ctx)).config) as store:
        found = store.records.incidents(model=model, open_only=not everything, limit=limit)
    if output == "json":
        show_json(found)
        return
    show_rows([_row(each) for each in found], _COLUMNS, output, "no incidents")


def _row(each: Incident) -> dict[str, object]:
    return {
        "id": each.id,
        "model": each.model,
        "version": each.version,
        "state": each.state,
        "severity": each.severity,
        "fault": f"{each.fault.kind} {each.fault.confidence:.0%}",
        "place": each.fault.place,
        "opened": moment(each.opened_at),
        "title": each.title,
    }


@command.command("show")
@click.argument("incident_id")
@output_option
@click.pass_context
def show(ctx: click.Context, incident_id: str, output: Output) -> None:
    """Show one incident: the verdict, its evidence, what was done and when."""
    with opened(load(globals_of(ctx)).config) as store:
        each = store.records.incident(incident_id)
        actions = store.records.actions(incident_id=incident_id)
    if each is None:
        raise Refused(f"no incident {incident_id}: `watchkeeper incident list --all`")
    if output == "json":
        show_json({"incident": each, "actions": actions})
        return
    facts = _row(each) | {
        "since": moment(each.since),
        "resolved": moment(each.resolved_at),
        "owner": each.owner or None,
        "evidence": [_evidence(one) for one in each.fault.evidence],
        "findings": [line for f in each.findings for line in _finding(f)],
        "actions": [f"{a.id} {a.kind} {a.state}: {a.reason or a.summary}" for a in actions],
        "timeline": [f"{moment(note.at)} {note.text}" for note in each.timeline],
    }
    show_facts(facts, output)


def _finding(one: Finding) -> list[str]:
    head = f"{one.severity} {one.series} {one.detector}: {one.value:.4g}, normal {one.expected:.4g}"
    said = [f"  {one.statement}"] if one.statement else []
    return [head, *said, *(f"  log: {line}" for line in one.examples)]


def _evidence(one: Evidence) -> str:
    side = "for" if one.weight > 0 else "against"
    return f"{one.weight:+.1f} {side} {one.kind}: {one.text}"


@command.command("ack")
@click.argument("incident_id")
@deciding_options
@click.pass_context
def ack(ctx: click.Context, incident_id: str, reason: str, actor: str, wait: float) -> None:
    """Say that somebody is looking at it."""
    _decide(ctx, "ack", incident_id, reason, actor, wait)


@command.command("resolve")
@click.argument("incident_id")
@click.option(
    "--new-normal", is_flag=True, help="What it shows is normal from now on: learn that anew."
)
@deciding_options
@click.pass_context
def resolve(
    ctx: click.Context, incident_id: str, new_normal: bool, reason: str, actor: str, wait: float
) -> None:
    """Close it by hand; what still waited to be done about it is dropped."""
    _decide(ctx, "resolve", incident_id, reason, actor, wait, new_normal=new_normal)


def _decide(
    ctx: click.Context,
    verb: Verb,
    incident_id: str,
    reason: str,
    actor: str,
    wait: float,
    *,
    new_normal: bool = False,
) -> None:
    with opened(load(globals_of(ctx)).config) as store:
        each = store.records.incident(incident_id)
        if each is None:
            raise Refused(f"no incident {incident_id}: `watchkeeper incident list`")
        args = {"new_normal": True} if new_normal else None
        click.echo(order(store, verb, each.id, each.model, reason, actor, wait, args))
