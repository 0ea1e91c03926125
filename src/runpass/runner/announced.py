"""Secrets that a job announces in its output, in the words of GitHub's tools: `::add-mask::<value>`.

`@actions/core` prints every identity token that it gets so, and counts on the runner to take the line away. The runner
knows nothing of such a token otherwise: the job asked the server for it.
"""

from typing import Final

from runpass.runner.masking import Mask
from runpass.secret import Secret

COMMAND: Final = "::add-mask::"
HIDDEN: Final = f"{COMMAND}***"
LONGEST: Final = 4_096


class Announced:
    """What one stream has announced."""

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._has_any = False

    async def hide(self, line: str) -> str:
        """Give the line as it may be shown; what it announces is masked from now on, if it still counts."""
        plain = line.lstrip()
        if not plain.startswith(COMMAND):
            # What was read together with an announcement was masked without it.
            return self._mask.text(line) if self._has_any else line
        value = plain.removeprefix(COMMAND)
        if len(value) <= LONGEST:
            self._has_any = True
            spelled = sorted({value, _unescaped(value)})  # GitHub's tools escape %, carriage return and newline
            named = {f"a value that the job announced ({n})": Secret(text) for n, text in enumerate(spelled)}
            await self._mask.named.take_in(named)
        return HIDDEN


def _unescaped(value: str) -> str:
    return value.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


def may_announce(beginning: str) -> bool:
    """Whether a line that begins so must not be shown before its end has come."""
    plain = beginning.lstrip()
    return plain.startswith(COMMAND) or COMMAND.startswith(plain)
