"""The base of errors whose text is for users: the command line prints it without a traceback."""

from __future__ import annotations


class UserError(Exception):
    """Something that the user can mend; the text says what is wrong, and what to do."""
