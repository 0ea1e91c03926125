"""The spellings in which programs print a value: base64, hex, URL, JSON, shell, source code. Pure."""

import base64
import html
import json
import re
import shlex
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

BASE64_COLUMNS: Final = (76, 64)
"""Where `base64` and `openssl base64` begin a new line."""
HEX_COLUMNS: Final = (60,)
"""Where `xxd -p` does."""

SHORTEST_LINE: Final = 6
"""Characters of a pattern; what is shorter would be found everywhere."""
_NEVER_ESCAPED: Final = re.compile(r"[A-Za-z0-9._-]*")
_UNRESERVED_IN_JS: Final = "!'()*"
"""What encodeURIComponent leaves as it is, beside what everybody does."""
_UNRESERVED_IN_URI: Final = "!'()*;,/?:@&=+$#"
_PERCENT: Final = re.compile(r"%[0-9A-F]{2}")
_ESCAPED_IN_HEX: Final = re.compile(r"\\u[0-9a-f]{4}")
_NOT_FOR_BASH: Final = re.compile(r"[^A-Za-z0-9_@%+:,./=\-\x80-\U0010ffff]")
_CONTROLS: Final = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
_IN_HTML: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


def encodings(value: str) -> Iterator[bytes]:
    """Give every spelling of a value that is looked for besides the value itself; some may come more than once."""
    raw = value.encode(errors="surrogateescape")
    yield from _base64(raw)
    yield from _hex(raw)
    if _NEVER_ESCAPED.fullmatch(value) is None:
        for text in _escaped(value, raw):
            yield text.encode(errors="surrogateescape")


def _escaped(value: str, raw: bytes) -> Iterator[str]:
    yield from _percent(raw)
    yield from _json(value)
    yield from _shell(value, raw)
    yield from _source(value, raw)


def _base64(raw: bytes) -> Iterator[bytes]:
    """Give the value's base64 in both alphabets, alone and as a part of something longer.

    In a longer text the value may start at any of three offsets; the characters it shares with its neighbours are left
    out, since they cannot be known. If the value comes first, it is known where a long one is cut into lines.
    """
    standard, for_urls = base64.b64encode(raw), base64.urlsafe_b64encode(raw)
    known = 8 * len(raw) // 6
    yield from _in_lines(standard, BASE64_COLUMNS, known)
    if for_urls != standard:
        yield from (for_urls, for_urls.rstrip(b"="), for_urls[:known])
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for offset in (1, 2):
            bits = 8 * (offset + len(raw))
            yield encode(bytes(offset) + raw)[-(-8 * offset // 6) : bits // 6]


def _hex(raw: bytes) -> Iterator[bytes]:
    for text in (raw.hex().encode(), raw.hex().upper().encode()):
        yield from _in_lines(text, HEX_COLUMNS, len(text))


def _in_lines(text: bytes, columns: tuple[int, ...], known: int) -> Iterator[bytes]:
    """Give an encoding whole if it fits into a line, else its lines: whole, it is one after the other.

    Of its end, only `known` characters are sure if something follows the value. No pattern is given that contains
    others: such patterns make the search slow to build.
    """
    for width in columns:
        for end in {len(text), len(text.rstrip(b"=")), known}:
            last = max(end - 1, 0) // width * width
            yield from (text[start : start + width] for start in range(0, last, width))
            yield text[last:end]
            if last > 0 and end - last < SHORTEST_LINE:  # too short to be looked for alone
                before = text[last - width : last]
                yield before + text[last:end]
                yield before + b"\n" + text[last:end]


def _percent(raw: bytes) -> Iterator[str]:
    found = {quote(raw, safe=safe) for safe in ("/", "", _UNRESERVED_IN_JS, _UNRESERVED_IN_URI)} | {quote_plus(raw)}
    for text in found:
        yield text
        yield _PERCENT.sub(lambda escape: escape[0].lower(), text)


def _json(value: str) -> Iterator[str]:
    """Give the inside of a JSON string, as the usual writers escape it, and of one that stands in another one."""
    ascii_only, as_it_is = json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]
    plain = {ascii_only, as_it_is, as_it_is.translate(_IN_HTML), ascii_only.translate(_IN_HTML)}
    plain |= {text.replace("/", "\\/") for text in plain}
    plain |= {_in_upper_case(text) for text in plain}
    yield from plain
    for text in (ascii_only, as_it_is, as_it_is.translate(_IN_HTML)):
        yield json.dumps(text, ensure_ascii=False)[1:-1]


def _in_upper_case(text: str) -> str:
    return _ESCAPED_IN_HEX.sub(lambda escape: "\\u" + escape[0][2:].upper(), text)


def _shell(value: str, raw: bytes) -> Iterator[str]:
    """Give the value as shells quote it: `printf %q`, `set -x`, `export -p`, `${name@Q}`, and as Python does."""
    yield shlex.quote(value)
    yield value.replace("'", "'\\''")
    yield re.sub(r'([\\"$`])', r"\\\1", value)
    backslashed = _NOT_FOR_BASH.sub(lambda found: "\\" + found[0], value)
    yield backslashed
    yield backslashed.replace("\\\n", "$'\\n'")
    yield backslashed.replace("\\,", ",")
    yield _dollar_quoted(value, lambda character: character)
    yield "".join(_dollar_quoted(chr(byte), _octal) for byte in raw)


def _dollar_quoted(value: str, other: Callable[[str], str]) -> str:
    """Give the inside of bash's `$'…'`; in its C locale, all that is not ASCII is octal."""
    return "".join(_dollar_quoted_one(character, other) for character in value)


def _dollar_quoted_one(character: str, other: Callable[[str], str]) -> str:
    if character in "\\'":
        return "\\" + character
    if character in _CONTROLS:
        return _CONTROLS[character]
    if character == "\x1b":
        return "\\E"
    return other(character) if character > "~" else character if character >= " " else _octal(character)


def _octal(character: str) -> str:
    return f"\\{ord(character):03o}"


def _source(value: str, raw: bytes) -> Iterator[str]:
    """Give the value as languages write it in their sources: Python, Go, YAML, SQL, CSV, HTML."""
    yield repr(value)[1:-1]
    yield ascii(value)[1:-1]
    yield repr(raw)[2:-1]
    yield _go(value, ascii_only=False)
    yield _go(value, ascii_only=True)
    yield value.replace("'", "''")
    yield value.replace('"', '""')
    yield html.escape(value, quote=False)
    yield html.escape(value)
    yield html.escape(value).replace("&#x27;", "&#39;").replace("&quot;", "&#34;")
    yield value.replace("${", "$${").replace("%{", "%%{")


def _go(value: str, *, ascii_only: bool) -> str:
    """Give the inside of Go's `%q`, or of its `%+q`."""
    return "".join(_go_one(character, ascii_only=ascii_only) for character in value)


def _go_one(character: str, *, ascii_only: bool) -> str:
    if character in '\\"':
        return "\\" + character
    if character in _CONTROLS:
        return _CONTROLS[character]
    if character.isprintable() and not (ascii_only and not character.isascii()):
        return character
    number = ord(character)
    if number < 0x80:  # noqa: PLR2004 -- ASCII
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"  # noqa: PLR2004 -- four hex digits
