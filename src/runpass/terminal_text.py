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
_SGR: Final = re.compile(rf"\x1b\[([0-9;:]{{0,{_PARAMETERS}}})m")
_CONCEAL: Final = "8"
_UNSAFE: Final = (
    (0x00, 0x08), (0x0B, 0x1F), (0x7F, 0x9F),  # C0 but tab and newline, DEL, C1
    (0xAD, 0xAD), (0x600, 0x605), (0x61C, 0x61C), (0x6DD, 0x6DD), (0x70F, 0x70F), (0x890, 0x891), (0x8E2, 0x8E2),
    (0x180E, 0x180E), (0x200B, 0x200B), (0x200E, 0x200F), (0x2028, 0x202E), (0x2060, 0x206F), (0xFEFF, 0xFEFF),
    (0xFFF9, 0xFFFB), (0x110BD, 0x110BD), (0x110CD, 0x110CD), (0x13430, 0x1343F), (0x1BCA0, 0x1BCA3),
    (0x1D173, 0x1D17A), (0xE0000, 0xE007F),  # formats and separators: bidi, invisible, ends of lines
    (0xD800, 0xDFFF),  # halves of a pair
)  # fmt: skip
"""Not among them: U+200C and U+200D, which many scripts and emoji need, and which move nothing."""
_OPEN_END: Final = re.compile(rf"(?:\x1b(?:\[[0-9;:]{{0,{_PARAMETERS}}})?|\r)\Z")
_SHORT: Final = {"\r": "\\r", "\n": "\\n", "\t": "\\t"}


def shown(text: str) -> str:
    """Give the text with all that could do more than be read shown as an escape, except colours, tabs and newlines.

    Of the colour sequences, the one that hides text (8) is shown too.
    """
    return text if text.isprintable() else _shown(text, colours=True)


def without_colours(text: str) -> str:
    r"""Do as `shown` does and leave colours out: `\x1b[31m` is no news where nobody sees them."""
    return text if text.isprintable() else _shown(text, colours=False)


def _shown(text: str, *, colours: bool) -> str:
    parts: list[str] = []
    end = 0
    for found in _SGR.finditer(text):
        parts.append(text[end : found.start()].translate(_ESCAPES))
        end = found.end()
        if _CONCEAL in re.split("[;:]", found[1]):
            parts.append(found[0].translate(_ESCAPES))
        elif colours:
            parts.append(found[0])
    parts.append(text[end:].translate(_ESCAPES))
    return "".join(parts)


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


_ESCAPES: Final = {number: escaped(chr(number)) for first, last in _UNSAFE for number in range(first, last + 1)}
