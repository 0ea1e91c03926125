"""A plan as people read it: what is → what should be, for each parameter. Pure.

SECURITY: whatever a Vault answered is printed as JSON in ASCII, so that it cannot steer a terminal. No parameter that
is read or written here is secret; certificates and keys are shown by their SHA-256.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any, Final

from runpass.vault.difference import Change
from runpass.vault.errors import visible
from runpass.vault.normal import normal

LONGEST: Final = 400
"""Characters of one value that are shown."""
MOST_LINES: Final = 200
"""Lines of one policy's difference that are shown."""


@dataclass(frozen=True, slots=True)
class Detail:
    """One parameter of a change; None: it is not there."""

    name: str
    is_now: Any
    should_be: Any

    def __str__(self) -> str:
        after = shown(self.should_be)
        return (
            f"{visible(self.name, 255)}: {after}"
            if self.is_now is None
            else f"{visible(self.name, 255)}: {shown(self.is_now)} -> {after}"
        )


def as_lines(change: Change) -> list[str]:
    """Give a change as lines: a head with `+` (new) or `~` (changed), and below it what differs."""
    sign = "+" if change.action == "create" else "~"
    namespace = change.request.namespace
    where = f" (namespace {visible(namespace, 255)})" if namespace else ""
    return [f"{sign} {visible(change.subject, 512)}{where}", *(f"    {line}" for line in _inside(change))]


def as_json(change: Change) -> dict[str, Any]:
    """Give a change for programs."""
    found: dict[str, Any] = {
        "action": change.action,
        "subject": change.subject,
        "namespace": change.request.namespace,
        "path": change.request.path,
        "parameters": [{"name": item.name, "is": item.is_now, "shouldBe": item.should_be} for item in details(change)],
    }
    return found


def details(change: Change) -> tuple[Detail, ...]:
    """Give what differs; of something new, what is not empty. A map's entries are told one by one."""
    seen = change.seen or {}
    names = change.parameters or tuple(name for name, value in change.request.data.items() if normal(name, value))
    return tuple(item for name in names for item in _of(name, seen.get(name), change.request.data.get(name)))


def shown(value: Any) -> str:
    """Give a value as one line."""
    text = json.dumps(_without_pem(value), default=str)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _inside(change: Change) -> Iterator[str]:
    if "policy" not in change.request.data:
        yield from (str(item) for item in details(change))
        return
    before = str((change.seen or {}).get("policy", ""))
    lines = _difference(before, str(change.request.data["policy"]))
    yield from lines[:MOST_LINES]
    if len(lines) > MOST_LINES:
        yield f"… {len(lines) - MOST_LINES} more lines"


def _difference(before: str, after: str) -> Sequence[str]:
    if not before:
        return [f"+{visible(line, LONGEST)}" for line in after.removesuffix("\n").split("\n")]
    found = [*unified_diff(before.split("\n"), after.split("\n"), n=1, lineterm="")]
    return [visible(line, LONGEST) for line in found[2:] if not line.startswith("@@")]


def _of(name: str, is_now: Any, should_be: Any) -> Iterator[Detail]:
    if not isinstance(should_be, dict) or not isinstance(is_now or {}, dict):
        yield Detail(name, is_now, should_be)
        return
    before: Mapping[str, Any] = is_now or {}
    for key in dict.fromkeys([*before, *should_be]):
        old, new = before.get(key), should_be.get(key)
        if normal(name, {key: old}) != normal(name, {key: new}):
            yield Detail(f"{name}.{key}", old, new)


def _without_pem(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_pem(item) for item in value]
    if isinstance(value, str) and "-----BEGIN " in value:
        return f"PEM, SHA-256 {hashlib.sha256(value.strip().encode()).hexdigest()[:16]}"
    return value
