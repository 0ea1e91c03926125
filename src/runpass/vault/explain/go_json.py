"""Decoding JSON as Go's encoding/json does, as far as the result or the message differ from Python's. Pure."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from runpass.vault.explain import go_syntax

_KINDS: Final = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_REPLACED: Final = "\ufffd"
_SPACES: Final = " \t\r\n"


class NotJson(ValueError):
    """Not JSON, or not what was expected; `str()` is Go's own sentence."""


def decode(content: bytes) -> Any:
    """Give a JSON value: the last of equal keys counts, every number is a float64, bad UTF-8 is replaced.

    Raises `NotJson`, in the words of encoding/json.
    """
    found = _decode(content, first=False)
    large = _too_large(found, ())
    if large:
        raise NotJson(large)
    return found


def decode_once(content: bytes) -> Any:
    """Give a JSON value as go-jose does, to whom equal keys in one object are an error. Raises `NotJson`."""
    found = _decode(content, first=True)
    large = _first_too_large(found)
    if large is not None:
        raise NotJson(f"json: cannot unmarshal number {large.text} into Go value of type float64")
    return found


class _TooLarge(float):
    """A number that no float64 holds, with its text."""

    text: str


def _decode(content: bytes, *, first: bool) -> Any:
    try:
        go_syntax.check(content, first=first)
        pairs = _once if first else None
        found = json.loads(_text(content), parse_int=_number, parse_float=_number, object_pairs_hook=pairs)
    except go_syntax.Wrong as error:
        raise NotJson(str(error)) from None
    except RecursionError:
        raise NotJson("exceeded max depth") from None
    return _without_surrogates(found)


def decode_object(content: bytes, *, once: bool = False) -> dict[str, Any]:
    """Give a JSON object; null is an empty one. `once` as in `decode_once`. Raises `NotJson`."""
    found = decode_once(content) if once else decode(content)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise NotJson(f"json: cannot unmarshal {kind(found)} into Go value of type map[string]interface {{}}")
    return found


def members(content: bytes) -> dict[str, str]:
    """Give the members of a JSON object as the texts that stand in it; null has none. Raises `NotJson` as go-jose."""
    try:
        go_syntax.check(content, first=True)
    except go_syntax.Wrong as error:
        raise NotJson(str(error)) from None
    text = _text(content)
    if not text.lstrip(_SPACES).startswith("{"):
        value = json.loads(text)
        if value is None:
            return {}
        raise NotJson(f"json: cannot unmarshal {kind(value)} into Go value of type jose.rawHeader")
    return dict(_members(text))


def _members(text: str) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    decoder, place = json.JSONDecoder(), text.index("{") + 1
    while True:
        place = _after_spaces(text, place)
        if text[place] == "}":
            return
        name, place = decoder.raw_decode(text, place)
        name = _without_surrogates(name)
        if name in seen:
            raise NotJson(f"json: duplicate key '{name}' in object")
        seen.add(name)
        start = _after_spaces(text, _after_spaces(text, place) + 1)
        _, place = decoder.raw_decode(text, start)
        yield name, text[start:place]
        place = _after_spaces(text, place)
        place += text[place] == ","


def kind(value: Any) -> str:
    """Give the word that Go has for a JSON value's type."""
    return _KINDS[type(value)]


def _after_spaces(text: str, place: int) -> int:
    while text[place] in _SPACES:
        place += 1
    return place


def _text(content: bytes) -> str:
    """Give UTF-8 as text, each byte that is none replaced on its own."""
    return content.decode("utf-8", errors="runpass.go")


def _each_byte(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)  # noqa: S101 -- registered for decoding only
    return _REPLACED * (error.end - error.start), error.end


codecs.register_error("runpass.go", _each_byte)


def _number(text: str) -> float:
    found = float(text)
    if found not in {float("inf"), float("-inf")}:
        return found
    large = _TooLarge(found)
    large.text = text
    return large


def _too_large(value: Any, path: tuple[str, ...], *, in_list: bool = False) -> str:
    """Give the sentence for the first number that does not fit; empty where all do."""
    if isinstance(value, _TooLarge):
        where = ".".join(path)
        place = f".{where}" if in_list else f"Go struct field .{where}" if where else "Go value"
        return f"json: cannot unmarshal number {value.text} into {place} of type float64"
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    listed = isinstance(value, list)
    found = (_too_large(item, (*path, _escaped(str(key))), in_list=listed) for key, item in pairs)
    return next(filter(None, found), "")


def _first_too_large(value: Any) -> _TooLarge | None:
    if isinstance(value, _TooLarge):
        return value
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for item in items if (found := _first_too_large(item)) is not None), None)


def _escaped(key: str) -> str:
    """Give a key as a part of a JSON pointer (RFC 6901, section 3)."""
    return key.replace("~", "~0").replace("/", "~1")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise NotJson(f"json: duplicate key '{name}' in object")
        found[name] = value
    return found


def _without_surrogates(value: Any) -> Any:
    """Give a value with every half of a pair replaced, as it is where the other half is missing."""
    match value:
        case str():
            return _SURROGATE.sub(_REPLACED, value)
        case list():
            return [_without_surrogates(item) for item in value]
        case dict():
            return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
        case _:
            return value
