"""The command line ``trireme``, with one file for each command in ``commands``.

Called by ``main``, which imports it.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import click

from trireme.cluster import commands

# With every library that some command needs.
_ALL = "trireme[cluster]"


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
        try:
            module = importlib.import_module(f"{commands.__name__}.{cmd_name}")
        except ModuleNotFoundError as error:
            return _absent(cmd_name, error)
        command: click.Command = module.COMMAND
        return command


def _absent(name: str, error: ModuleNotFoundError) -> click.Command:
    """A command in place of one that needs a library which the plain package does not bring."""
    message = _needs(error)

    def fail(**_: object) -> None:
        raise click.ClickException(message)

    settings = {"ignore_unknown_options": True, "help_option_names": []}
    help_ = f"Not installed: needs {_ALL}."
    command = click.Command(name, context_settings=settings, callback=fail, short_help=help_)
    command.params.append(click.Argument(["words"], nargs=-1, type=click.UNPROCESSED))
    return command


def _needs(error: ModuleNotFoundError) -> str:
    """What to install. Raises ``error`` where a module of our own is missing: that is a bug."""
    if error.name is None or error.name.partition(".")[0] == "trireme":
        raise error
    return f"this needs the library {error.name}; install it with: pip install '{_ALL}'"


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
    except ModuleNotFoundError as error:
        sys.exit(f"trireme: {_needs(error)}")
    except Exception as error:
        # Only now: ``--help`` stays quick.
        from trireme.cluster.user_errors import EXPECTED

        if not isinstance(error, EXPECTED):
            raise
        sys.exit(f"trireme: {error}")
