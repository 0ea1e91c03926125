"""Text that somebody else wrote, made safe to print. Pure.

SECURITY: what a job prints, and every name, may hold sequences that move the cursor, set the window's title, write to
the clipboard, overwrite a line or turn the reading direction. They are shown instead of obeyed.
"""

import re
import unicodedata
from typing import Final

_SGR: Final = re.compile(r"\x1b\[([0-9;:]{0,64})m")
_CONCEAL: Final = "8"
RESET: Final = "\x1b[0m"
_ESCAPED: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS: Final = "\u200c\u200d"
"""Format characters that many scripts and emoji need, and that move nothing."""
_SHORT: Final = {"\r": "\\r", "\n": "\\n", "\t": "\\t"}


def visible(text: str, *, colours: bool = False, kept: str = "\n\t") -> str:
    r"""Give the text with every control, format and separator character but those `kept` shown as an escape.

    Colour sequences (SGR) pass with `colours`, each line ending with a reset, and are left out without: `\x1b[31m`
    is no news to a reader. The one that hides text (8) is shown.
    """
    parts: list[str] = []
    end = 0
    coloured = False
    for found in _SGR.finditer(text):
        parts.append(_shown(text[end : found.start()], kept))
        end = found.end()
        if _CONCEAL in re.split(r"[;:]", found[1]):
            parts.append(_shown(found[0], kept))
        elif colours:
            parts.append(found[0])
            coloured = True
    parts.append(_shown(text[end:], kept))
    whole = "".join(parts)
    return "\n".join(line + RESET for line in whole.split("\n")) if coloured else whole


def one_line(text: str) -> str:
    """Give the text safe to print and in one line: for names, cells and messages."""
    return visible(text, kept="")


def _shown(text: str, kept: str) -> str:
    return "".join(character if character in kept else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _ESCAPED:
        return character
    number = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if number <= 0xFF:  # noqa: PLR2004 -- two hex digits
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004 -- four hex digits
