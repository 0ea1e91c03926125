"""What a policy's text allows: its paths with their capabilities, and whether a path can reach another. Pure.

Reads HCL and JSON as Vault's own parser does, as far as paths and capabilities go. It never raises.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

_TOKEN: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"?|[A-Za-z_][\w.-]*|[^\s]')
_COMMENT: Final = re.compile(r'("(?:[^"\\\n]|\\.)*"?)|#[^\n]*|//[^\n]*|/\*(?:.*?\*/|.*)', re.DOTALL)
"""What is not closed goes on to its end, so that no text is gone through twice."""
_OLD: Final = {
    "deny": ("deny",),
    "read": ("read", "list"),
    "write": ("create", "read", "update", "delete", "list"),
    "sudo": ("create", "read", "update", "delete", "list", "sudo"),
}
"""The form before capabilities: `policy = "write"`."""
WRITING: Final = frozenset({"create", "update", "patch", "sudo", "root"})
PINNED: Final = frozenset({"required_parameters", "allowed_parameters"})


@dataclass(frozen=True, slots=True)
class PathRule:
    """One path of a policy. `is_pinned`: it names each parameter that may and must be written."""

    path: str
    capabilities: frozenset[str]
    is_pinned: bool = False

    @property
    def writes(self) -> bool:
        """Whether it allows changing what is there."""
        return bool(self.capabilities & WRITING) and "deny" not in self.capabilities


def path_rules(text: str) -> tuple[PathRule, ...] | None:
    """Give the rules of a policy's text; None for one that cannot be read."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return _hcl(_COMMENT.sub(lambda found: found[1] or " ", text))
    return tuple(_of_json(content)) if isinstance(content, dict) else None


def _of_json(content: Mapping[str, Any]) -> Iterator[PathRule]:
    paths = content.get("path")
    for part in paths if isinstance(paths, list) else [paths]:
        for path, body in part.items() if isinstance(part, dict) else ():
            for item in body if isinstance(body, list) else [body]:
                if isinstance(item, dict):
                    listed = item.get("capabilities")
                    named = listed if isinstance(listed, list) else _OLD.get(str(item.get("policy")), ())
                    allowed = frozenset(word for word in named if isinstance(word, str))
                    yield PathRule(path, allowed, is_pinned=item.keys() >= PINNED)


def _hcl(text: str) -> tuple[PathRule, ...] | None:
    words = _TOKEN.findall(text)
    found: list[PathRule] = []
    at = 0
    while at < len(words):
        if _plain(words[at]) not in {"path", "name"} or at + 2 >= len(words):
            return None
        if _plain(words[at]) == "name":  # the one other thing that may stand at the top
            at += 3
            continue
        start = at + 2 + (words[at + 2] == "=")
        end = _closing(words, start)
        if end is None:
            return None
        found.append(_block(_plain(words[at + 1]), words[start + 1 : end]))
        at = end + 1
    return tuple(found)


def _plain(word: str) -> str:
    return re.sub(r"\\(.)", r"\1", word[1:-1]) if word.startswith('"') else word


def _closing(words: Sequence[str], start: int) -> int | None:
    """Give where the block that opens at `start` ends."""
    depth = 0
    for at in range(start, len(words)):
        depth += {"{": 1, "}": -1}.get(words[at], 0)
        if depth == 0:
            return at if at > start else None
    return None


def _block(path: str, words: Sequence[str]) -> PathRule:
    keys: set[str] = set()
    capabilities: set[str] = set()
    depth = 0
    for at, word in enumerate(words):
        if depth == 0 and at + 2 < len(words) and words[at + 1] in {"=", "{"}:
            keys.add(_plain(word))
            if _plain(word) == "capabilities" and words[at + 2] == "[":
                end = words.index("]", at) if "]" in words[at:] else len(words)
                capabilities.update(_plain(item) for item in words[at + 3 : end] if item != ",")
            if _plain(word) == "policy" and "capabilities" not in keys:
                capabilities.update(_OLD.get(_plain(words[at + 2]), ()))
        depth += {"{": 1, "}": -1}.get(word, 0)
    return PathRule(path, frozenset(capabilities), is_pinned=keys >= PINNED)


def reaches(path: str, target: str) -> bool:
    """Whether a policy's path and `target` have a path in common; both may hold `+` for a segment and end with `*`."""
    mine, theirs = (item.strip("/").split("/") for item in (path, target))
    for one, other in zip_longest(mine, theirs):
        if one is None or other is None:
            return False
        ends = one.endswith("*") or other.endswith("*")
        if ends:
            return _prefixes(one, other)
        if not _same(one, other):
            return False
    return True


def _same(one: str, other: str) -> bool:
    return one == other or any(item == "+" or "{{" in item for item in (one, other))


def _prefixes(one: str, other: str) -> bool:
    """Whether two segments can be the same text, of which one or both end with a star."""
    if any(item == "+" or "{{" in item for item in (one, other)):
        return True
    if one.endswith("*") and other.endswith("*"):
        return one[:-1].startswith(other[:-1]) or other[:-1].startswith(one[:-1])
    pattern, text = (one, other) if one.endswith("*") else (other, one)
    return text.startswith(pattern[:-1])
