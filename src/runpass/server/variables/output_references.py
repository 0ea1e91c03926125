"""References to another environment's outputs, in the values of variables: `${env0:<environment id>:<output>}`. Pure.

env0's syntax. A value that is nothing but one reference is one. With the format `ENVIRONMENT_OUTPUT` a value may hold
several with text around them, and holds at least one. In any other value the same characters are text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from runpass.secret import Secret

_START: Final = "${env0:"
_UUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
_REFERENCE: Final = re.compile(rf"\$\{{env0:({_UUID}):([A-Za-z0-9_][A-Za-z0-9_.-]{{0,254}})\}}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class OutputReference:
    """One output of one environment."""

    environment_id: UUID
    output: str


def find_references(value: str, *, is_output: bool = False) -> tuple[OutputReference, ...]:
    """Give every reference of a value, once each, in order. `is_output`: its format is `ENVIRONMENT_OUTPUT`.

    Raises `ValueError`, with a sentence that repeats nothing of the value, where `is_output` and there is none, or
    one is malformed.
    """
    whole = _REFERENCE.fullmatch(value)
    if whole is not None:
        return (_reference(whole),)
    if not is_output:
        return ()
    found = tuple(dict.fromkeys(_reference(match) for match in _REFERENCE.finditer(value)))
    if not found or len(_REFERENCE.findall(value)) != value.count(_START):
        raise ValueError("must hold ${env0:<environment id>:<output>}, because its format is ENVIRONMENT_OUTPUT")
    return found


def substitute(value: str, outputs: Mapping[OutputReference, Secret], *, is_output: bool = False) -> Secret:
    """Give the value with every reference replaced; what an output holds is never looked into.

    Raises `ValueError` as `find_references`, `KeyError` for a reference that `outputs` does not hold.
    """
    if not find_references(value, is_output=is_output):
        return Secret(value)
    return Secret(_REFERENCE.sub(lambda match: outputs[_reference(match)].reveal(), value))


def substituted_length(value: str, outputs: Mapping[OutputReference, Secret]) -> int:
    """Give how many characters `substitute` would give, without doing it. Raises `KeyError` as `substitute`."""
    found = ((match, outputs[_reference(match)]) for match in _REFERENCE.finditer(value))
    return len(value) + sum(len(text.reveal()) - len(match[0]) for match, text in found)


def _reference(match: re.Match[str]) -> OutputReference:
    return OutputReference(UUID(match[1]), match[2])
