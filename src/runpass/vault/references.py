"""Secret references in the values of variables: `${vault:<path>.<key>}` and `${vault:<path>.<key>@<namespace>}`. Pure.

env0's syntax for its self-hosted agent. The path includes the mount and is written without the `data/` of KV v2; the
key is what follows the last dot; `@` starts a namespace, named from the root down. A value may hold several
references with text around them. Whatever starts with `${vault:` is a reference: there is no way to escape it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from runpass.secret import Secret
from runpass.vault import paths
from runpass.vault.errors import PathInvalid, ReferenceInvalid, visible

_START: Final = "${vault:"
_REFERENCE: Final = re.compile(r"\$\{vault:([^}]*)(\}?)")
_NOT_IN_A_NAME: Final = frozenset("${}@?#%\\")


@dataclass(frozen=True, slots=True, order=True)
class SecretReference:
    """One key of one secret. `namespace` empty means the namespace of the client that reads."""

    path: str
    key: str
    namespace: str = ""

    def __str__(self) -> str:
        return f"{self.path}.{self.key}" + (f"@{self.namespace}" if self.namespace else "")


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
    for match in _REFERENCE.finditer(text):
        problem = "it has no closing }" if not match[2] else None
        reference = None if problem else _parse(match[1])
        if isinstance(reference, SecretReference):
            yield match.start(), match.end(), reference
            continue
        raise ReferenceInvalid(
            f"{_named(variable)}the secret reference at character {match.start() + 1} is malformed: "
            f"{problem or reference}",
            hint=f"Write {_START}<mount>/<secret>.<key>}} or {_START}<mount>/<secret>.<key>@<namespace>}}.",
        )


def _parse(body: str) -> SecretReference | str:
    """Give the reference, or what is wrong with it."""
    named, at, namespace = body.partition("@")
    path, dot, key = named.rpartition(".")
    if not dot or "/" in key:
        return "it names no key (the part after the last dot)"
    if not key or key != key.strip() or any(not c.isprintable() or c in _NOT_IN_A_NAME for c in key):
        return "its key is empty or has characters that a key cannot have"
    if not _is_path(path) or "/" not in path:
        return "its path is not <mount>/<secret>"
    if at and not _is_path(namespace):
        return "its namespace is empty or not a path"
    return SecretReference(path, key, namespace)


def _is_path(text: str) -> bool:
    try:
        return paths.checked(text) == text == text.strip() and not _NOT_IN_A_NAME & set(text)
    except PathInvalid:
        return False


def _named(variable: str) -> str:
    return f"variable {visible(variable, 255)}: " if variable else ""
