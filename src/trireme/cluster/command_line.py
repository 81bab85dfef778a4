"""The command line ``trireme``, with one file for each command in ``commands``.

Called by ``main``, which imports it.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import click

from trireme.cluster import commands


class Lazy(click.Group):
    """A group whose commands are imported when they are needed: ``--help`` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(
            info.name
            for info in pkgutil.iter_modules(commands.__path__)
            if not info.name.startswith("_")
        )

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f"{commands.__name__}.{cmd_name}")
        command: click.Command = module.COMMAND
        return command


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Kubernetes, whole, in Python: a cluster on this machine."""


def run() -> None:
    """Run the command; an expected error is printed as one line, without a traceback.

    Raises KeyboardInterrupt; otherwise SystemExit where it does not return.
    """
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.Abort:
        raise KeyboardInterrupt from None
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Exception as error:
        # Only now: it imports all that can fail.
        from trireme.cluster.user_errors import EXPECTED

        if not isinstance(error, EXPECTED):
            raise
        sys.exit(f"trireme: {error}")
