"""What is wrong with a text that should be JSON (RFC 8259), in the words of Go's two scanners. Pure.

The first is the one that encoding/json began with, and that go-jose still carries; the second is encoding/json of
today, which stands on jsontext.
"""

from typing import Final

from runpass.vault.explain.go_text import quoted

END: Final = "unexpected end of JSON input"
_SPACES: Final = b" \t\r\n"
_DIGITS: Final = b"0123456789"
_HEX: Final = b"0123456789abcdefABCDEF"
_SIMPLE_ESCAPES: Final = b'bfnrt\\/"'
_WORDS: Final = {b"t": b"true", b"f": b"false", b"n": b"null"}
_CONTROL: Final = 0x20
_NO_SPACE: Final = ("')", "numeric literal", "escape code", "character escape")
MAX_DEPTH: Final = 10_000


class Wrong(ValueError):
    """`str()` is Go's sentence."""


def check(content: bytes, *, first: bool = False) -> None:
    """Raise `Wrong` unless the content is one JSON value; `first` uses the words of the first scanner."""
    scanner = _FirstScanner(content) if first else _Scanner(content)
    scanner.value(0)
    scanner.spaces()
    if scanner.place < len(content):
        raise scanner.wrong("after top-level value")


class _Scanner:
    """Goes through a text once, with the words of today."""

    control = "in string"
    digit = fraction = exponent = "in numeric literal"

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.place = 0

    def wrong(self, where: str) -> Wrong:
        """Give the error for the byte that stands here."""
        if self.place >= len(self._content):
            return Wrong(END)
        character = self._character()
        shown = {"'": "\\'", '"': '"'}.get(character) or quoted(character)[1:-1]
        return Wrong(f"invalid character '{shown}' {where}")

    def _character(self) -> str:
        return self._content[self.place : self.place + 4].decode(errors="replace")[0]

    def _here(self) -> bytes:
        return self._content[self.place : self.place + 1]

    def spaces(self) -> None:
        while self._here() and self._here() in _SPACES:
            self.place += 1

    def value(self, depth: int) -> None:
        """Pass one value."""
        if depth > MAX_DEPTH:
            raise Wrong("exceeded max depth")
        self.spaces()
        here = self._here()
        if here == b"{":
            self._object(depth + 1)
        elif here == b"[":
            self._array(depth + 1)
        elif here == b'"':
            self._string()
        elif here and here in b"-0123456789":
            self._number()
        elif here in _WORDS:
            self._word(_WORDS[here])
        else:
            raise self.wrong("looking for beginning of value")

    def _object(self, depth: int) -> None:
        self.place += 1
        self.spaces()
        if self._here() == b"}":
            self.place += 1
            return
        while True:
            self.spaces()
            if self._here() != b'"':
                raise self.wrong("looking for beginning of object key string")
            self._string()
            self.spaces()
            if self._here() != b":":
                raise self.wrong("after object key")
            self.place += 1
            self.value(depth)
            self.spaces()
            if self._here() == b"}":
                self.place += 1
                return
            if self._here() != b",":
                raise self.wrong("after object key:value pair")
            self.place += 1

    def _array(self, depth: int) -> None:
        self.place += 1
        self.spaces()
        if self._here() == b"]":
            self.place += 1
            return
        while True:
            self.value(depth)
            self.spaces()
            if self._here() == b"]":
                self.place += 1
                return
            if self._here() != b",":
                raise self.wrong("after array element")
            self.place += 1

    def _string(self) -> None:
        self.place += 1
        while (here := self._here()) != b'"':
            if not here or here[0] < _CONTROL:
                raise self.wrong(self.control)
            self.place += 1
            if here == b"\\":
                self._escape()
        self.place += 1

    def _escape(self) -> None:
        here = self._here()
        if here and here in _SIMPLE_ESCAPES:
            self.place += 1
        elif here == b"u":
            self.place += 1
            for number in range(4):
                if not self._here() or self._here() not in _HEX:
                    raise self._wrong_hexadecimal(number)
                self.place += 1
        else:
            raise self._wrong_escape()

    def _wrong_hexadecimal(self, number: int) -> Wrong:
        return self._sequence(self.place - number - 2, 6)

    def _wrong_escape(self) -> Wrong:
        return self._sequence(self.place - 1, 2)

    def _sequence(self, start: int, length: int) -> Wrong:
        if start + length > len(self._content):
            return Wrong(END)
        text = self._content[start : start + length].decode(errors="replace")
        shown = f"`{text}`" if text.isprintable() and "`" not in text else quoted(text)
        return Wrong(f"invalid escape sequence {shown} in string")

    def _number(self) -> None:
        if self._here() == b"-":
            self.place += 1
        if self._here() == b"0":
            self.place += 1
        else:
            self._digits(self.digit)
        if self._here() == b".":
            self.place += 1
            self._digits(self.fraction)
        if self._here() and self._here() in b"eE":
            self.place += 1
            if self._here() and self._here() in b"+-":
                self.place += 1
            self._digits(self.exponent)

    def _digits(self, where: str) -> None:
        if not self._here() or self._here() not in _DIGITS:
            raise self.wrong(where)
        while self._here() and self._here() in _DIGITS:
            self.place += 1

    def _word(self, word: bytes) -> None:
        for number in range(len(word)):
            expected = word[number : number + 1]
            if self._here() != expected:
                raise self.wrong(f"in literal {word.decode()} (expecting '{expected.decode()}')")
            self.place += 1


class _FirstScanner(_Scanner):
    """The words of the first scanner, which looks at bytes, not at characters."""

    control = "in string literal"
    digit = "in numeric literal"
    fraction = "after decimal point in numeric literal"
    exponent = "in exponent of numeric literal"

    def wrong(self, where: str) -> Wrong:
        # At the end of the text it looks at one space more, and complains of that where a space has no place.
        if self.place >= len(self._content) and where.endswith(_NO_SPACE):
            return Wrong(f"invalid character ' ' {where}")
        return super().wrong(where)

    def _character(self) -> str:
        return chr(self._content[self.place])

    def _wrong_hexadecimal(self, number: int) -> Wrong:  # noqa: ARG002 -- the other scanner needs it
        return self.wrong("in \\u hexadecimal character escape")

    def _wrong_escape(self) -> Wrong:
        return self.wrong("in string escape code")
