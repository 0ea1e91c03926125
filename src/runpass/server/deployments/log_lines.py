r"""Lines of a log as pieces of text with classes, for pages. Pure.

The colours that a job prints (SGR, ECMA-48 section 8.3.117) become names of classes from a fixed list; nothing else of
a line is ever obeyed: what `terminal_text` does not let pass stands there as an escape, `\x1b]0;`. Colours end with the
line. Backgrounds, blinking and reversing are left out; 256 and 24-bit colours become the nearest of the sixteen.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from runpass.terminal_text import shown, without_colours

_SGR: Final = re.compile(r"\x1b\[([0-9;:]*)m")
_PALETTE: Final = (
    *((0, 0, 0), (205, 49, 49), (13, 188, 121), (229, 229, 16), (36, 114, 200), (188, 63, 188), (17, 168, 205)),
    *((229, 229, 229), (102, 102, 102), (241, 76, 76), (35, 209, 139), (245, 245, 67), (59, 142, 234)),
    *((214, 112, 214), (41, 184, 219), (255, 255, 255)),
)
"""The sixteen colours as most terminals have them, for finding the nearest one."""
_CUBE: Final = (0, 95, 135, 175, 215, 255)
_FOREGROUND, _BACKGROUND, _DEFAULT = 38, 48, 39
_BY_NUMBER, _BY_RGB = 5, 2
_SIXTEEN, _GREYS, _MOST = 16, 232, 255
_ON: Final = {1: "bold", 2: "dim", 3: "italic", 4: "underlined"}
_OFF: Final = {22: ("bold", "dim"), 23: ("italic",), 24: ("underlined",)}


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a line. `classes` are names of ours alone; the text is to be escaped as any other."""

    text: str
    classes: str = ""


@dataclass(frozen=True, slots=True)
class _Style:
    colour: int | None = None
    marks: frozenset[str] = frozenset()

    @property
    def classes(self) -> str:
        colour = [] if self.colour is None else [f"fg-{self.colour}"]
        return " ".join([*colour, *sorted(self.marks)])


def pieces_of(message: str) -> list[Piece]:
    """Give a line of a log as pieces; together their texts are the line without its colours."""
    text = shown(message)
    if "\x1b" not in text:
        return [Piece(text)] if text else []
    found: list[Piece] = []
    style, end = _Style(), 0
    for sequence in _SGR.finditer(text):
        _add(found, text[end : sequence.start()], style)
        end = sequence.end()
        for code in _codes(sequence[1]):
            style = _after(style, code)
    _add(found, text[end:], style)
    return found


def _add(found: list[Piece], text: str, style: _Style) -> None:
    if text:
        # SECURITY: no escape is left in it whatever `shown` let pass.
        found.append(Piece(without_colours(text) if "\x1b" in text else text, style.classes))


def _codes(parameters: str) -> Iterator[tuple[int, ...]]:
    """Give the codes of one sequence; an extended colour with its parameters, whichever way they are written."""
    numbers = [[int(part or 0) for part in item.split(":")] for item in parameters.split(";")]
    place = 0
    while place < len(numbers):
        code = numbers[place]
        place += 1
        if code[0] in {_FOREGROUND, _BACKGROUND} and len(code) == 1:
            kind = numbers[place][0] if place < len(numbers) else 0
            taken = {_BY_NUMBER: 2, _BY_RGB: 4}.get(kind, 1)
            code = [code[0], *(part[0] for part in numbers[place : place + taken])]
            place += taken
        yield tuple(code)


def _after(style: _Style, code: tuple[int, ...]) -> _Style:
    first = code[0]
    if first == 0:
        return _Style()
    if first in _ON and code[1:] != (0,):  # 4:0 ends underlining
        return replace(style, marks=style.marks | {_ON[first]})
    if first in _ON or first in _OFF:
        return replace(style, marks=style.marks - set(_OFF.get(first, (_ON.get(first, ""),))))
    if first == _DEFAULT:
        return replace(style, colour=None)
    colour = _extended(code) if first == _FOREGROUND else _plain(first)
    return style if colour is None else replace(style, colour=colour)


def _plain(code: int) -> int | None:
    """Give the colour of one of the sixteen codes for foregrounds."""
    if 30 <= code <= 37:  # noqa: PLR2004 -- ECMA-48
        return code - 30
    return code - 82 if 90 <= code <= 97 else None  # noqa: PLR2004 -- the bright ones, as aixterm has them


def _extended(code: tuple[int, ...]) -> int | None:
    """Give the nearest of the sixteen to `38;5;n` or `38;2;r;g;b`; the colour space of ISO 8613-6 is passed over."""
    match code[1:]:
        case (5, number) if number <= _MOST:
            return number if number < _SIXTEEN else _nearest(_rgb(number))
        case (2, red, green, blue) | (2, _, red, green, blue) if max(red, green, blue) <= _MOST:
            return _nearest((red, green, blue))
        case _:
            return None


def _rgb(number: int) -> tuple[int, int, int]:
    """Give a colour of the table of 256, from 16 on: a cube of six values each, then greys."""
    if number >= _GREYS:
        grey = 8 + 10 * (number - _GREYS)
        return grey, grey, grey
    place = number - _SIXTEEN
    return _CUBE[place // 36], _CUBE[place // 6 % 6], _CUBE[place % 6]


@cache
def _near(rgb: tuple[int, int, int]) -> int:
    return min(range(_SIXTEEN), key=lambda item: sum((a - b) ** 2 for a, b in zip(_PALETTE[item], rgb, strict=True)))


def _nearest(rgb: tuple[int, int, int]) -> int:
    """Give the nearest of the sixteen, by steps of 16 in each part: few answers to keep, whatever a job prints."""
    red, green, blue = (part // 16 * 17 for part in rgb)
    return _near((red, green, blue))
