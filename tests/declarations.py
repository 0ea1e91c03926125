"""Declarations as texts of TOML: for tests of `runpass vault plan`."""

import json
from typing import Any
from uuid import uuid4

ORGANIZATION = "0198c1f0-0000-7000-8000-000000000001"
CREDENTIAL = "0198c1f0-0000-7000-8000-000000000002"
PROJECT = "0198c1f0-0000-7000-8000-000000000003"


def as_toml(content: dict[str, Any]) -> str:
    """Give TOML: plain values first, then a table for each table."""
    lines = [f"{_key(name)} = {_value(value)}" for name, value in content.items() if not isinstance(value, dict)]
    tables = {name: value for name, value in content.items() if isinstance(value, dict)}
    for name, table in tables.items():
        if name in {"kv", "policies", "roles"}:
            for inner, fields in table.items():
                lines += [
                    "",
                    f"[{name}.{_key(inner)}]",
                    *(f"{_key(key)} = {_value(item)}" for key, item in fields.items()),
                ]
        else:
            lines += ["", f"[{_key(name)}]", *(f"{_key(key)} = {_value(item)}" for key, item in table.items())]
    return "\n".join(lines) + "\n"


def minimal(trusted: Any, /, **changes: Any) -> dict[str, Any]:
    """Give a declaration for a throw-away issuer: a KV engine, a policy and a role, under names of their own."""
    name = uuid4().hex[:8]
    content = {
        "organization_id": trusted.facts["organizationId"],
        "issuer": {"url": f"{trusted.url}/", "jwks_url": trusted.jwks_url},
        "auth": {"mount": f"jwt-{name}"},
        "kv": {f"kv-{name}": {}},
        "policies": {f"read-{name}": {"read_kv": f"kv-{name}"}},
        "roles": {
            f"deploy-{name}": {
                "credential_id": trusted.facts["credentialId"],
                "project_ids": [trusted.facts["projectId"]],
                "policies": [f"read-{name}"],
            }
        },
    }
    return {**content, **changes}


def _key(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _value(value: Any) -> str:
    match value:
        case dict():
            return "{ " + ", ".join(f"{_key(name)} = {_value(item)}" for name, item in value.items()) + " }"
        case list():
            return "[" + ", ".join(_value(item) for item in value) + "]"
        case _:
            return json.dumps(value, ensure_ascii=False)
