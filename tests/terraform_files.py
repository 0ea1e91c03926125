"""Reading Terraform files as far as our examples go: literals, templates, variables, references, heredocs.

Enough to hand each resource's attributes to whoever plays its provider; anything else in a file is an error.
"""

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2

META_ARGUMENTS = {"depends_on", "lifecycle", "provider", "count", "for_each"}
_TEMPLATE = re.compile(r"(?<!\$)\$\{([^}]*)\}")
_REFERENCE = re.compile(r"(?:var\.(\w+)|(\w+)\.(\w+)\.(\w+))\Z")


@dataclass(frozen=True)
class Resource:
    """One `resource` block; `needs` are the addresses it names."""

    kind: str
    name: str
    attributes: Mapping[str, Any]
    needs: frozenset[str]

    @property
    def address(self) -> str:
        return f"{self.kind}.{self.name}"


def variables(file: Path) -> dict[str, Any]:
    """Give the variables of a file that have a default."""
    found = {_text(name): block for item in _load(file).get("variable", []) for name, block in item.items()}
    return {name: evaluate(block["default"], {}, {}) for name, block in found.items() if "default" in block}


def resources(file: Path) -> list[Resource]:
    """Give the resources of a file, each after all that it needs."""
    blocks = [
        _resource(_text(kind), _text(name), body)
        for item in _load(file)["resource"]
        for kind, named in item.items()
        for name, body in named.items()
    ]
    ordered: list[Resource] = []
    while blocks:
        ready = [item for item in blocks if item.needs <= {done.address for done in ordered}]
        assert ready, f"these need each other: {[item.address for item in blocks]}"
        ordered += ready
        blocks = [item for item in blocks if item not in ready]
    return ordered


def evaluate(value: Any, given: Mapping[str, Any], states: Mapping[str, Mapping[str, Any]]) -> Any:
    """Give what an attribute is, with these variables and these resources' states."""
    if isinstance(value, list):
        return [evaluate(item, given, states) for item in value]
    if isinstance(value, dict):
        inner = {name: item for name, item in value.items() if name != "__is_block__"}
        return {_text(name): evaluate(item, given, states) for name, item in inner.items()}
    if not isinstance(value, str):
        return value
    if not value.startswith('"'):
        return _expression(value.removeprefix("${").removesuffix("}"), given, states)
    text = _text(value)
    if text.startswith("<<"):
        text = textwrap.dedent(text.split("\n", 1)[1].rsplit("\n", 1)[0]) + "\n"
    filled = _TEMPLATE.sub(lambda match: str(_expression(match[1], given, states)), text)
    return filled.replace("$${", "${").replace("%%{", "%{").replace('\\"', '"')


def _resource(kind: str, name: str, body: Mapping[str, Any]) -> Resource:
    attributes = {key: value for key, value in body.items() if key not in {"__is_block__", *META_ARGUMENTS}}
    found = re.findall(r"\b((?:env0|vault)_\w+\.\w+)\b", str({**attributes, "also": body.get("depends_on", [])}))
    return Resource(kind, name, attributes, frozenset(found))


def _expression(text: str, given: Mapping[str, Any], states: Mapping[str, Mapping[str, Any]]) -> Any:
    match = _REFERENCE.match(text.strip())
    assert match, f"our examples have no such expression: {text}"
    variable, kind, name, attribute = match.groups()
    return given[variable] if variable else states[f"{kind}.{name}"][attribute]


def _text(value: str) -> str:
    return value[1:-1] if value.startswith('"') else value


def _load(file: Path) -> dict[str, Any]:
    with file.open() as opened:
        return hcl2.load(opened)
