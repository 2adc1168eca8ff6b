"""`watchkeeper config`."""

from __future__ import annotations

from pathlib import Path

import click

from watchkeeper.daemon.cli.common import globals_of, load
from watchkeeper.daemon.cli.outcome import Refused
from watchkeeper.daemon.cli.output import Output, output_option, show_json


@click.group("config")
def command() -> None:
    """Write, check and show the configuration."""


@command.command("init")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
@click.option("--force", is_flag=True, help="Overwrite the file.")
def init(file: Path | None, force: bool) -> None:
    """Write a commented configuration to FILE, or to the standard output.

    It sets nothing: every setting is there as a comment, with its default.
    """
    from watchkeeper.daemon.config.describe import example

    if file is None:
        click.echo(example(), nl=False)
        return
    try:
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(example())
    except FileExistsError:
        raise Refused(f"{file} is there already: --force overwrites it") from None
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}") from error
    click.echo(f"wrote {file}; next: watchkeeper -c {file} config check")


@command.command("check")
@click.pass_context
def check(ctx: click.Context) -> None:
    """Check the configuration and say all that is wrong with it. Ends with 78 if anything is."""
    options = globals_of(ctx)
    loaded = load(options, required=True)
    sources = [layer.source for layer in loaded.layers if layer.data]
    click.echo(f"ok: {', '.join(sources) or 'built-in values only'}")
    if not loaded.config.sentry.dsn:
        click.echo("warning: no Sentry DSN (sentry.dsn_file): nobody will be paged", err=True)


@command.command("show")
@click.option("--origin", is_flag=True, help="Tell where each value came from.")
@output_option
@click.pass_context
def show(ctx: click.Context, origin: bool, output: Output) -> None:
    """Show every value that holds, secrets masked."""
    from watchkeeper.daemon.config.describe import toml, values

    held = list(values(load(globals_of(ctx))))
    if output == "json":
        show_json([_row(each.key, each.value, each.origin, origin) for each in held])
        return
    for each in held:
        line = f"{each.key} = {toml(each.value)}"
        click.echo(f"{line:<60}  # {each.origin}" if origin else line)


def _row(key: str, value: object, origin: str, with_origin: bool) -> dict[str, object]:
    row = {"key": key, "value": value}
    return row | {"origin": origin} if with_origin else row


@command.command("schema")
@click.option(
    "--messages",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write the JSON Schema of every message and asyncapi.json into this folder instead.",
)
@click.option("--markdown", is_flag=True, help="The reference of all settings, as Markdown.")
def schema(messages: Path | None, markdown: bool) -> None:
    """Print the JSON Schema of the configuration file."""
    from watchkeeper.daemon.config import describe

    if messages is not None:
        _write_messages(messages)
    elif markdown:
        click.echo(describe.markdown(), nl=False)
    else:
        show_json(describe.config_schema())


def _write_messages(folder: Path) -> None:
    from watchkeeper.daemon.messages import as_text, asyncapi, message_schemas

    documents = {f"{name}.json": schema for name, schema in message_schemas().items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, document in {**documents, "asyncapi.json": asyncapi()}.items():
        path = folder / name
        path.write_text(as_text(document), encoding="utf-8")
        click.echo(path)
