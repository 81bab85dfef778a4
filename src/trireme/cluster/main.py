"""The entry point of ``trireme``. It imports nothing before it is ready to be interrupted."""

import signal
import sys


def main() -> None:
    """Run the command that the arguments name; an interrupt is one line, too."""
    try:
        from trireme.cluster import command_line

        command_line.run()
        # The command is done: while the interpreter ends, its default handler is back, and an
        # interrupt would say that the command had failed.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except KeyboardInterrupt:
        print(
            "interrupted: `trireme up` again goes on, `trireme down` removes what is there",
            file=sys.stderr,
        )
        # As a shell reports the end by SIGINT.
        sys.exit(130)


if __name__ == "__main__":
    main()
