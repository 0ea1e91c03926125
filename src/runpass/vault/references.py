"""Secret references in the values of variables. Pure.

    ${vault:<path>.<key>}                      one key of a secret, as text
    ${vault:<path>.<key>@<namespace>}          in another namespace, named from the root down
    ${vault[<credential>]:<path>.<key>}        with the credential of this name, where a run has several
    ${vault:<path>.<key>?<name>=<value>&…}     written with these parameters, not read: `pki/issue/…` and the like
    ${vault:<path>.*}                          the whole secret; must be the whole value of its variable
    ${vault-file:<path>.<key>}                 the same in a file; must be the whole value, too

The first two forms are env0's, for its self-hosted agent. The path includes the mount and is written without the
`data/` of KV v2; the key is what follows the last dot before the parameters. Whatever begins like a reference is one:
there is no way to escape it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import parse_qsl, unquote

from runpass.secret import Secret
from runpass.vault import paths
from runpass.vault.errors import PathInvalid, ReferenceInvalid, visible

WHOLE: Final = "*"
"""In the place of a key: all of them."""
MAX_PARAMETERS: Final = 32
_START: Final = re.compile(r"\$\{vault(?:-file)?(?=[:\[])")
_REFERENCE: Final = re.compile(r"\$\{vault(-file)?(?:\[([^\]}]*)(\]?))?(:?)([^}]*)(\}?)")
_NOT_IN_A_NAME: Final = frozenset("${}@?#%\\")
_NOT_IN_A_PARAMETER: Final = frozenset("${}@[]#\\ \"'`")
_HINT: Final = "Write ${vault:<mount>/<secret>.<key>} or ${vault:<mount>/<secret>.<key>@<namespace>}."


class Shape(StrEnum):
    """What a variable becomes of which the value has references."""

    TEXT = "text"
    """The text with every reference replaced."""
    SPREAD = "spread"
    """One variable for each key of a secret."""
    FILE = "file"
    """The path of a file that holds what was read."""


@dataclass(frozen=True, slots=True, order=True)
class SecretReference:
    """One key of one secret. `namespace` empty means that of the client that reads, `credential` the run's only one."""

    path: str
    key: str
    namespace: str = ""
    credential: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    """What is written to the path, if anything; without any, it is read."""

    def __str__(self) -> str:
        """Give it as it is written, the values of its parameters left out."""
        named = f"[{self.credential}]" if self.credential else ""
        written = f"?{'&'.join(name for name, _ in self.parameters)}" if self.parameters else ""
        return f"{named}{self.path}.{self.key}{written}" + (f"@{self.namespace}" if self.namespace else "")


def has_reference(text: str) -> bool:
    """Whether something in the text begins like a reference."""
    return _START.search(text) is not None


def count_references(text: str) -> int:
    """Count what begins like a reference, well formed or not."""
    return len(_START.findall(text))


def shape_of(text: str) -> Shape:
    """Give what becomes of a variable with this value, of which all references are well formed."""
    found = _REFERENCE.match(text)
    if found is None:
        return Shape.TEXT
    if found[1]:
        return Shape.FILE
    return Shape.SPREAD if found[5].partition("@")[0].partition("?")[0].endswith(".*") else Shape.TEXT


def find_references(text: str, *, variable: str = "") -> tuple[SecretReference, ...]:
    """Give every reference in `text`, once each, in order.

    Raises `ReferenceInvalid` that names `variable` and the position, and repeats nothing of the text: it may be secret.
    """
    return tuple(dict.fromkeys(reference for _, _, reference in _scan(text, variable)))


def substitute(text: str, values: Mapping[SecretReference, Secret], *, variable: str = "") -> Secret:
    """Give `text` with every reference replaced by its value; what a value contains is never looked into.

    Raises `ReferenceInvalid` as `find_references` does, and for a reference that `values` does not hold.
    """
    parts: list[str] = []
    done = 0
    for start, end, reference in _scan(text, variable):
        if reference not in values:
            raise ReferenceInvalid(f"{_named(variable)}the secret {visible(str(reference), 1024)} was not read")
        parts += text[done:start], values[reference].reveal()
        done = end
    return Secret("".join([*parts, text[done:]]))


def resolved_length(text: str, values: Mapping[SecretReference, Secret], *, variable: str = "") -> int:
    """Give how many characters `substitute` would give, without making them."""
    grown = (len(values[reference].reveal()) - (end - start) for start, end, reference in _scan(text, variable))
    return len(text) + sum(grown)


def _scan(text: str, variable: str) -> Iterator[tuple[int, int, SecretReference]]:
    for begins in _START.finditer(text):
        match = _REFERENCE.match(text, begins.start())
        assert match is not None  # noqa: S101 -- it begins as every reference does
        alone = (match.start(), match.end()) == (0, len(text))
        reference = _parse(match, is_alone=alone)
        if isinstance(reference, SecretReference):
            yield match.start(), match.end(), reference
            continue
        raise ReferenceInvalid(
            f"{_named(variable)}the secret reference at character {match.start() + 1} is malformed: {reference}",
            hint=_HINT,
        )


def _parse(match: re.Match[str], *, is_alone: bool) -> SecretReference | str:
    """Give the reference, or what is wrong with it."""
    in_file, credential, bracket, colon, body, closing = match.groups()
    if not closing:
        return "it has no closing }"
    if credential is not None and (not bracket or not credential.strip() or set(credential) & set("${}")):
        return "the name of its credential is empty or has characters that no reference can hold"
    if not colon:
        return "it has no : before the path"
    reference = _parse_body(body, credential or "")
    if isinstance(reference, str):
        return reference
    if not is_alone and (in_file or reference.key == WHOLE):
        return "a file, or a whole secret, must be all of its variable's value"
    return reference


def _parse_body(body: str, credential: str) -> SecretReference | str:
    named, at, namespace = body.partition("@")
    named, asks, query = named.partition("?")
    path, dot, key = named.rpartition(".")
    if not dot or "/" in key:
        return "it names no key (the part after the last dot)"
    if not key or key != key.strip() or any(not c.isprintable() or c in _NOT_IN_A_NAME for c in key):
        return "its key is empty or has characters that a key cannot have"
    if not _is_path(path) or "/" not in path:
        return "its path is not <mount>/<secret>"
    if at and not _is_path(namespace):
        return "its namespace is empty or not a path"
    parameters = _parameters(query) if asks else ()
    if parameters is None:
        return "its parameters are not <name>=<value>&…, percent-encoded"
    return SecretReference(path, key, namespace, credential, parameters)


def _parameters(query: str) -> tuple[tuple[str, str], ...] | None:
    if not query or set(query) & _NOT_IN_A_PARAMETER or not query.isascii() or not query.isprintable():
        return None
    try:
        found = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=MAX_PARAMETERS)
    except ValueError:
        return None
    names = [name for name, _ in found]
    if len(set(names)) != len(names) or not all(name and unquote(name).isprintable() for name in names):
        return None
    return tuple(sorted(found))


def _is_path(text: str) -> bool:
    try:
        return paths.checked(text) == text == text.strip() and not _NOT_IN_A_NAME & set(text)
    except PathInvalid:
        return False


def _named(variable: str) -> str:
    return f"variable {visible(variable, 255)}: " if variable else ""
