"""The command line: ``trireme``. A command's own file is in ``commands``."""

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


def main() -> None:
    """The entry point: faults that a user can do something about are one line, not a traceback."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.Abort:
        sys.exit("interrupted: `trireme up` again goes on, `trireme down` removes what is there")
    except click.ClickException as fault:
        fault.show()
        sys.exit(fault.exit_code)
    except Exception as fault:
        # Only now: it imports all that can fail.
        from trireme.cluster.faults import EXPECTED

        if not isinstance(fault, EXPECTED):
            raise
        sys.exit(f"trireme: {fault}")


if __name__ == "__main__":
    main()
