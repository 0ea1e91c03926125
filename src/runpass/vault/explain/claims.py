"""Finding claims and comparing them, as the JWT auth method does. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from runpass.vault.explain.go_text import truncated

REGISTERED: Final = ("aud", "exp", "iat", "iss", "jti", "nbf", "sub")
_FOLDED: Final = str.maketrans({"\u017f": "s", "\u212a": "k"})
"""The two letters outside ASCII that fold to one inside (unicode.SimpleFold)."""
_INDEX: Final = re.compile(r"[+-]?[0-9][0-9a-zA-Z_]*")
_OCTAL: Final = re.compile(r"([+-]?)0([0-7_]+)")


class Uncomparable(Exception):
    """The server breaks off: Go compares neither lists nor maps."""


class NotAGlob(Exception):
    """A role of globs binds something that is no text; `str()` is the server's sentence, slip included."""


class Number(str):
    """A number as the auth method compares it: by its text (json.Number)."""

    __slots__ = ()


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """Give a claim as role parameters see it, by name or, where that starts with a slash, by JSON pointer (RFC 6901).

    None where it is missing or null; a number is truncated to a whole one; a single audience is a list.
    """
    found = _pointed(claims, name) if name.startswith("/") else claims.get(name)
    if name == "aud" and isinstance(found, str):
        return [found]
    if isinstance(found, float) and not isinstance(found, bool):
        return Number(truncated(found))
    return found


def _pointed(value: Any, pointer: str) -> Any:
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, Mapping):
            if key not in value:
                return None
            value = value[key]
        elif isinstance(value, list):
            index = _index(key)
            if not 0 <= index < len(value):
                return None
            value = value[index]
        else:
            return None
    return value


def _index(text: str) -> int:
    """Give a number as `strconv.ParseInt` does, to whom 0x, 0b, 0o and a leading 0 mean something; -1 for none."""
    if not text:
        return 0
    if not _INDEX.fullmatch(text):
        return -1
    try:
        return int(_octal(text), 0)
    except ValueError:
        return -1


def _octal(text: str) -> str:
    found = _OCTAL.fullmatch(text)
    return f"{found[1]}0o{found[2]}" if found else text


def as_list(value: Any) -> list[Any] | None:
    """Give a value as the list that is compared; None for one that is neither a list nor a text, boolean or number."""
    if isinstance(value, list):
        return value
    return [value] if isinstance(value, str | bool) else None


def bound(value: Any) -> list[Any] | None:
    """Give what a role binds as the list that is compared; numbers as their text."""
    found = value if isinstance(value, list) else [value]
    if value is None or isinstance(value, Mapping):
        return None
    return [_bound_item(item) for item in found]


def _bound_item(item: Any) -> Any:
    if isinstance(item, int) and not isinstance(item, bool):
        return Number(item)
    return item


def matches(expected: list[Any], received: list[Any], *, globs: bool) -> bool:
    """Whether one of the expected values is one of those received.

    Raises `Uncomparable` for a list or a map inside of both lists, `NotAGlob` for a pattern that is no text.
    """
    return any(_equal(want, got, globs=globs) for want in expected for got in received)


def _equal(want: Any, got: Any, *, globs: bool) -> bool:
    if globs:
        if not is_text(want):
            raise NotAGlob(f"received claim is not a glob string: {_as_exponent(want)}xpVal")
        return is_text(got) and glob(want, got)
    if type(want) is type(got) and isinstance(want, list | dict):
        raise Uncomparable
    # A text and the text of a number are not the same, nor is true the number 1; a float is never a bound number.
    return type(want) is type(got) and not isinstance(want, float) and bool(want == got)


def is_text(value: Any) -> bool:
    """Whether a value is a text, not a number as text."""
    return isinstance(value, str) and not isinstance(value, Number)


def _as_exponent(value: Any) -> str:
    """Give a bound value as Go writes it with `%e`, which fits none of them."""
    match value:
        case None:
            return "%!e(<nil>)"
        case bool():
            return f"%!e(bool={'true' if value else 'false'})"
        case str() if is_text(value):
            return f"%!e(string={value})"
        case list():
            return f"[{' '.join(map(_as_exponent, value))}]"
        case dict():
            return f"map[{' '.join(f'%!e(string={key}):{_as_exponent(item)}' for key, item in sorted(value.items()))}]"
        case _:
            return f"%!e(json.Number={value})"


def glob(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern in which `*` stands for any text, and nothing else means anything."""
    if "*" not in pattern:
        return text == pattern
    first, *middle, last = pattern.split("*")
    if not text.startswith(first):
        return False
    rest = text[len(first) :]
    for part in middle:
        place = rest.find(part)
        if place < 0:
            return False
        rest = rest[place + len(part) :]
    return rest.endswith(last)


def folded(name: str) -> str:
    """Give a name as it is compared without regard to case."""
    return name.translate(_FOLDED).lower() if name.isascii() or name.translate(_FOLDED).isascii() else name
