"""`watchkeeper version`."""

import click

from watchkeeper import __version__


@click.command("version")
def command() -> None:
    """Show the version."""
    click.echo(f"watchkeeper {__version__}")
