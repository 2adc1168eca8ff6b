"""`watchkeeper model`."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from watchkeeper.daemon.cli.common import globals_of, load, opened, order
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
    import numpy.typing as npt

    from watchkeeper.daemon.cli.tables import Columns
    from watchkeeper.daemon.storage.store import Store
    from watchkeeper.detectors.profile import Profile

_COLUMNS = ("model", "live", "versions", "references", "incident")


@click.group("model")
def command() -> None:
    """Look at models, register versions and references."""


@command.command("list")
@output_option
@click.pass_context
def list_(ctx: click.Context, output: Output) -> None:
    """List every model that was seen or registered."""
    with opened(load(globals_of(ctx)).config) as store:
        rows = [_summary(store, model) for model in store.records.models()]
    show_rows(rows, _COLUMNS, output, "no models yet")


def _summary(store: Store, model: str) -> dict[str, object]:
    live = store.registry.live(model)
    incidents = store.records.incidents(model=model, open_only=True, limit=1)
    return {
        "model": model,
        "live": live.version if live else None,
        "versions": len(store.registry.versions(model)),
        "references": len(store.registry.profiles(model)),
        "incident": f"{incidents[0].id} {incidents[0].state}" if incidents else None,
    }


@command.command("show")
@click.argument("model")
@output_option
@click.pass_context
def show(ctx: click.Context, model: str, output: Output) -> None:
    """Show one model: its versions, what was live when, and its references."""
    with opened(load(globals_of(ctx)).config) as store:
        if model not in store.records.models():
            raise Refused(f"no model {model}: `watchkeeper model list`")
        summary = _summary(store, model)
        versions = store.registry.versions(model)
        deployments = store.registry.deployments(model)
        profiles = store.registry.profiles(model)
    if output == "json":
        whole = {"versions": versions, "deployments": deployments, "references": profiles}
        show_json(summary | whole)
        return
    facts = summary | {
        "versions": [f"{v.version} {v.status} {v.digest[:12]} {v.uri}" for v in versions],
        "deployments": [
            f"{d.version} {moment(d.from_at)} to {moment(d.to_at) or 'now'} {d.reason}"
            for d in deployments
        ],
        "references": [_reference(each) for each in profiles],
    }
    show_facts(facts, output)


def _reference(profile: Profile) -> str:
    features = len(profile.numeric) + len(profile.categorical)
    return f"{profile.version} {profile.source}: {profile.task}, {features} features, n {profile.n}"


@command.command("register")
@click.argument("model")
@click.argument("version")
@click.option(
    "--file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The model file; its SHA-256 digest is kept with its path.",
)
@click.option("--uri", help="Where the model is, if it is no file here.")
@click.option("--digest", help="SHA-256 digest of what is at --uri, in hex.")
@click.option("--parent", help="The version it was made from.")
@click.option("--live", is_flag=True, help="It is the version that is live now.")
@click.pass_context
def register(
    ctx: click.Context,
    model: str,
    version: str,
    file: Path | None,
    uri: str | None,
    digest: str | None,
    parent: str | None,
    live: bool,
) -> None:
    """Register a version in the daemon's own registry."""
    if (file is None) == (uri is None) or (file is not None and digest is not None):
        raise click.UsageError("give --file, or --uri with its --digest")
    place = str(file.resolve()) if file is not None else str(uri)
    known = _sha256(file) if file is not None else _hex(digest)
    from watchkeeper.daemon.storage.values import ModelVersion

    now = time.time()
    new = ModelVersion(
        model=_name(model),
        version=_name(version),
        status="candidate",
        created_at=now,
        digest=known,
        uri=place,
        parent=parent,
        by="command line",
    )
    with opened(load(globals_of(ctx)).config) as store:
        try:
            added = store.registry.register(new)
        except ValueError as error:
            raise Refused(str(error)) from error
        if live:
            store.registry.set_live(model, version, now, "command line", "registered as live")
    click.echo(f"{model} {version} {'registered' if added else 'was registered'} {known[:12]}")


def _name(name: str) -> str:
    import re

    from watchkeeper.daemon.config.section import MODEL_NAME

    if not re.fullmatch(MODEL_NAME, name):
        raise click.UsageError(f"{name!r} is no name: {MODEL_NAME} is wanted")
    return name


def _hex(digest: str | None) -> str:
    text = (digest or "").lower().removeprefix("sha256:")
    if len(text) != 64 or any(each not in "0123456789abcdef" for each in text):
        raise click.UsageError("--uri needs --digest with the SHA-256 digest, 64 hex digits")
    return text


def _sha256(file: Path) -> str:
    with file.open("rb") as opened_file:
        return hashlib.file_digest(opened_file, "sha256").hexdigest()


@command.command("profile")
@click.option(
    "--from",
    "file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Reference data, a row a prediction: CSV (also .gz) or Parquet.",
)
@click.option("--model", required=True, help="The model it is a reference of.")
@click.option("--version", required=True, help="The version it is a reference of.")
@click.option("--prediction", metavar="COLUMN", help="The class that the model answered.")
@click.option("--value", metavar="COLUMN", help="The number that the model answered.")
@click.option("--score", metavar="COLUMN", help="The score of the positive class.")
@click.option(
    "--label", metavar="COLUMN", help="The truth: no feature; stands in for --prediction."
)
@click.option("--positive", help="The class that the score is about.")
@click.option("--exclude", metavar="COLUMN", multiple=True, help="No feature. May be repeated.")
@click.option(
    "--categorical", metavar="COLUMN", multiple=True, help="Codes, not numbers. May be repeated."
)
@click.option(
    "--rows",
    type=click.IntRange(1, 10_000_000),
    default=1_000_000,
    show_default=True,
    help="Most rows that are read.",
)
@click.option(
    "--wait",
    type=click.FloatRange(0, 3_600),
    default=0.0,
    show_default=True,
    help="Seconds to wait until a running daemon has taken it up; 0 does not wait.",
)
@click.pass_context
def profile(
    ctx: click.Context,
    file: Path,
    model: str,
    version: str,
    prediction: str | None,
    value: str | None,
    score: str | None,
    label: str | None,
    positive: str | None,
    exclude: tuple[str, ...],
    categorical: tuple[str, ...],
    rows: int,
    wait: float,
) -> None:
    """Store a reference made from a file, so that nothing has to be learned first.

    A running daemon takes it up within a second; else it is taken up at the next start. It takes
    the place of what was learned.
    """
    from watchkeeper.daemon.cli.tables import read_columns
    from watchkeeper.detectors.joint.learned import with_joint
    from watchkeeper.detectors.profiling import ProfileError, profile_from_columns

    config = load(globals_of(ctx)).config
    classes = prediction or label
    text = {*categorical, *((classes,) if classes else ())}
    columns = read_columns(file, rows, text)
    named = {"prediction": classes, "value": value, "score": score, "label": label}
    outputs = {n: _column(columns, column) for n, column in named.items() if column}
    for each in exclude:
        _column(columns, each)
    kept = {*named.values(), *exclude}
    features = {name: column for name, column in columns.items() if name not in kept}
    try:
        made = profile_from_columns(
            features,
            model=_name(model),
            version=_name(version),
            label=outputs.get("prediction"),
            value=outputs.get("value"),
            score=outputs.get("score"),
            positive=positive or config.model(model).positive,
        )
    except ProfileError as error:
        raise Refused(f"{file}: {error}") from error
    with opened(config) as store:
        store.registry.put_profile(with_joint(made, features), time.time())
        click.echo(f"{model} {_reference(made)}")
        click.echo(order(store, "profile", model, model, f"version {version}", "", wait))


@command.command("rebaseline")
@click.argument("model")
@click.option("--version", help="Of this version. Default: the live one.")
@deciding_options
@click.pass_context
def rebaseline(
    ctx: click.Context, model: str, version: str | None, reason: str, actor: str, wait: float
) -> None:
    """Learn a version's reference anew from what it predicts next.

    The old one stays in force until the new one is complete. An imported reference stays: import
    another with `model profile`.
    """
    args = {"version": version} if version else None
    with opened(load(globals_of(ctx)).config) as store:
        if model not in store.records.models():
            raise Refused(f"no model {model}: `watchkeeper model list`")
        click.echo(order(store, "rebaseline", model, model, reason, actor, wait, args))


def _column(columns: Columns, name: str) -> npt.NDArray[Any]:
    from watchkeeper.daemon.config.problems import did_you_mean

    if name not in columns:
        raise click.UsageError(f"no column {name!r}; {did_you_mean(name, columns)}")
    return columns[name]
