"""How Go writes values into its messages: `%q` of a text and `%v` of decoded JSON (package fmt). Pure."""

import math
import unicodedata
from typing import Any, Final

_ESCAPES: Final = {
    "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v", "\\": "\\\\", '"': '\\"',
}  # fmt: skip
_EXPONENT_FROM: Final = 6
_SMALLEST_PLAIN: Final = -4
_BYTE: Final = 0x80
_PLANE: Final = 0x10000


def quoted(text: str) -> str:
    """Give a text as `%q` does (strconv.Quote)."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    if character == " " or unicodedata.category(character)[0] in "LMNPS":
        return character
    code = ord(character)
    if code < _BYTE and (code < ord(" ") or code == ord("\x7f")):
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < _PLANE else f"\\U{code:08x}"


def shown(value: Any) -> str:
    """Give decoded JSON as `%v` does: maps with sorted keys, lists without commas, every number a float64."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | float():
            return number(float(value))
        case list():
            return f"[{' '.join(map(shown, value))}]"
        case _:
            # Go sorts by bytes of UTF-8, which is the order of code points.
            return f"map[{' '.join(f'{key}:{shown(item)}' for key, item in sorted(value.items()))}]"


def number(value: float) -> str:
    """Give a float64 as `%v` does: the shortest digits, with an exponent below 1e-4 and from 1e6 on."""
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    mantissa, _, exponent = f"{value!r}".partition("e")
    digits = mantissa.replace(".", "").replace("-", "")
    if exponent:
        point = int(exponent) + 1
    else:
        whole = mantissa.lstrip("-").partition(".")[0]
        point = len(whole) if whole != "0" else -(len(digits.lstrip("0")) and _leading_zeros(mantissa))
    digits = digits.lstrip("0").rstrip("0") or "0"
    sign = "-" if value < 0 else ""
    power = point - 1
    if power < _SMALLEST_PLAIN or power >= _EXPONENT_FROM:
        rest = f".{digits[1:]}" if len(digits) > 1 else ""
        return f"{sign}{digits[0]}{rest}e{'-' if power < 0 else '+'}{abs(power):02d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if len(digits) <= point:
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    return f"{sign}{digits[:point]}.{digits[point:]}"


def _leading_zeros(mantissa: str) -> int:
    """Count the zeros between the point and the first other digit."""
    fraction = mantissa.partition(".")[2]
    return len(fraction) - len(fraction.lstrip("0"))


def truncated(value: float) -> str:
    """Give what `strconv.Itoa(int(v))` gives on 64 bits: the whole part, and the least number for what does not fit."""
    whole = int(value)
    return str(whole if -(2**63) <= whole < 2**63 else -(2**63))


def lowered(text: str) -> str:
    """Give a text as `strings.ToLower` does: letter by letter."""
    return "".join(character.lower()[0] for character in text)
