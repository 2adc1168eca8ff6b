"""`watchkeeper action`."""

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
    from watchkeeper.handlers.types import Action

_COLUMNS = ("id", "incident", "model", "kind", "state", "planned", "summary", "reason")
_STATES = (
    *("planned", "held", "permitted", "refused", "started", "successful"),
    *("failed", "error", "inconclusive", "undoing", "undone"),
)


@click.group("action")
def command() -> None:
    """Look at actions, approve and reject them."""


@command.command("list")
@click.option("--state", type=click.Choice(_STATES), help="In this state only.")
@click.option("--model", help="Of this model only.")
@click.option("--incident", help="Of this incident only.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@output_option
@click.pass_context
def list_(
    ctx: click.Context,
    state: str | None,
    model: str | None,
    incident: str | None,
    limit: int,
    output: Output,
) -> None:
    """List actions, newest first."""
    from watchkeeper.handlers.types import ActionState

    wanted = ActionState(state) if state else None
    with opened(load(globals_of(ctx)).config) as store:
        found = store.records.actions(state=wanted, model=model, incident_id=incident, limit=limit)
    if output == "json":
        show_json(found)
        return
    show_rows([_row(each) for each in found], _COLUMNS, output, "no actions")


def _row(each: Action) -> dict[str, object]:
    return {
        "id": each.id,
        "incident": each.incident_id,
        "model": each.model,
        "kind": each.kind,
        "state": each.state,
        "planned": moment(each.planned_at),
        "summary": each.summary,
        "reason": each.reason or None,
    }


@command.command("show")
@click.argument("action_id")
@output_option
@click.pass_context
def show(ctx: click.Context, action_id: str, output: Output) -> None:
    """Show one action: what it does, what the guards said, how it ended."""
    with opened(load(globals_of(ctx)).config) as store:
        each = store.records.action(action_id)
    if each is None:
        raise Refused(f"no action {action_id}: `watchkeeper action list`")
    if output == "json":
        show_json(each)
        return
    details = {
        "arguments": [f"{name} = {value}" for name, value in each.args.items()],
        "changed": moment(each.updated_at),
        "approved_by": each.approved_by or None,
        "attempt": each.attempt,
    }
    show_facts(_row(each) | details, output)


@command.command("approve")
@click.argument("action_id")
@deciding_options
@click.pass_context
def approve(ctx: click.Context, action_id: str, reason: str, actor: str, wait: float) -> None:
    """Let a held action run. The guards are asked once more."""
    _decide(ctx, "approve", action_id, reason, actor, wait)


@command.command("reject")
@click.argument("action_id")
@deciding_options
@click.pass_context
def reject(ctx: click.Context, action_id: str, reason: str, actor: str, wait: float) -> None:
    """Refuse a held action for good."""
    _decide(ctx, "reject", action_id, reason, actor, wait)


def _decide(
    ctx: click.Context, verb: Verb, action_id: str, reason: str, actor: str, wait: float
) -> None:
    with opened(load(globals_of(ctx)).config) as store:
        each = store.records.action(action_id)
        if each is None:
            raise Refused(f"no action {action_id}: `watchkeeper action list --state held`")
        click.echo(order(store, verb, each.id, each.model, reason, actor, wait))
