"""Text that somebody else wrote, made safe to print: `runpass.terminal_text` on this side. Pure."""

from typing import Final

from runpass.terminal_text import escaped, has_colours, shown, without_colours

RESET: Final = "\x1b[0m"


def visible(text: str, *, colours: bool = False) -> str:
    r"""Give the text with everything but newlines and tabs that could do more than be read shown as an escape.

    Colour sequences (SGR) pass with `colours`, each line ending with a reset, and are left out without: `\x1b[31m`
    is no news to a reader. The one that hides text (8) is shown.
    """
    if not colours:
        return without_colours(text)
    whole = shown(text)
    return "\n".join(line + RESET for line in whole.split("\n")) if has_colours(whole) else whole


def one_line(text: str) -> str:
    """Give the text safe to print and in one line: for names, cells and messages."""
    return visible(text).replace("\n", escaped("\n")).replace("\t", escaped("\t"))
