"""A key's id on the command line: one in 64 begins with a dash, and looks like an option."""

import re
from typing import Any, Final

from typer.core import TyperCommand

_KID: Final = re.compile(r"-[A-Za-z0-9_-]{42}")
"""Base64url of a SHA-256 (RFC 7638) whose first character is a dash. No option is as long."""


class WithKid(TyperCommand):
    """A command that takes a key's id as it is printed, without `--` in front of it."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments."""
        return super().parse_args(ctx, protected(args))


def protected(args: list[str]) -> list[str]:
    """Give the arguments with an id that looks like an option at the end, behind `--`. Pure."""
    kids = [item for item in args if _KID.fullmatch(item)]
    if not kids or "--" in args:
        return args
    return [*(item for item in args if not _KID.fullmatch(item)), "--", *kids]
