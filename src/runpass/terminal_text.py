r"""Text that somebody else wrote, made safe to show. Pure.

SECURITY: what a job prints, and every name, may hold sequences that move the cursor, set the window's title, write to
the clipboard, overwrite a line or turn the reading direction. They are shown instead of obeyed: `\x1b]0;`, `\r`,
`\u202e`. Only colours (SGR), tabs and newlines pass. The runner does so before a line leaves it; whatever shows a line
does so again, because a runner may be anybody's program.
"""

import re
from collections.abc import Iterator
from typing import Final

_PARAMETERS: Final = 64
"""Characters that a colour sequence may have between its ends: enough for two colours of 24 bits and more."""
_SGR: Final = rf"\x1b\[[0-9;:]{{0,{_PARAMETERS}}}m"
_CONCEAL: Final = "8"
_UNSAFE: Final = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f"  # C0 but tab and newline, DEL, C1
    "\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f"  # formats: bidi, invisible
    "\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # separators of lines, bidi, invisible
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f"
    "\ud800-\udfff"  # halves of a pair
)
"""Not among them: U+200C and U+200D, which many scripts and emoji need, and which move nothing."""
_FOUND: Final = re.compile(rf"(?P<sgr>{_SGR})|[{_UNSAFE}]")
_OPEN_END: Final = re.compile(rf"(?:\x1b(?:\[[0-9;:]{{0,{_PARAMETERS}}})?|\r)\Z")
_SHORT: Final = {"\r": "\\r", "\n": "\\n", "\t": "\\t"}


def shown(text: str) -> str:
    """Give the text with all that could do more than be read shown as an escape, except colours, tabs and newlines.

    Of the colour sequences, the one that hides text (8) is shown too.
    """
    return text if text.isprintable() else _FOUND.sub(_as_shown, text)


def without_colours(text: str) -> str:
    r"""Do as `shown` does and leave colours out: `\x1b[31m` is no news where nobody sees them."""
    return text if text.isprintable() else _FOUND.sub(lambda found: "" if is_colour(found) else _as_shown(found), text)


def is_colour(found: re.Match[str]) -> bool:
    """Whether what was found is a colour sequence that passes."""
    sgr = found["sgr"]
    return sgr is not None and _CONCEAL not in re.split("[;:]", sgr[2:-1])


def has_colours(text: str) -> bool:
    """Whether there is a colour sequence in a text that `shown` gave."""
    return "\x1b" in text


def open_end(text: str) -> int:
    """Give how many characters at the end may be the beginning of what is told only by what comes next.

    That is of a colour sequence, or of a carriage return with its newline.
    """
    found = _OPEN_END.search(text, max(len(text) - _PARAMETERS - 2, 0))
    return 0 if found is None else len(found[0])


def pieces(text: str, size: int) -> Iterator[str]:
    """Cut a text that `shown` gave into pieces of at most `size` characters, and no colour sequence in two."""
    start = 0
    while len(text) - start > size:
        end = start + size
        end -= open_end(text[start:end])
        yield text[start:end]
        start = end
    yield text[start:]


def escaped(character: str) -> str:
    r"""Give a character as an escape: `\r`, `\x1b`, `\u202e`, `\U000e0041`."""
    if character in _SHORT:
        return _SHORT[character]
    number = ord(character)
    if number <= 0xFF:  # noqa: PLR2004 -- two hex digits
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004 -- four hex digits


def _as_shown(found: re.Match[str]) -> str:
    if is_colour(found):
        return found[0]
    return escaped(found[0][0]) + found[0][1:]
