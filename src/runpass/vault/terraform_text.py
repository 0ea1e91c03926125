"""A desired state as resources of HashiCorp's `vault` provider for Terraform and OpenTofu. Pure.

What the provider cannot say is refused rather than left out: claims that are no text, and a text with a comma, which
it would take for two values.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runpass.vault import desired
from runpass.vault.desired import DesiredState, KvMount, Role
from runpass.vault.errors import RequestRefused

HEAD: Final = """\
terraform {
  required_providers {
    vault = {
      source = "hashicorp/vault"
    }
  }
}

provider "vault" {}
"""
NOT_THE_PROVIDERS: Final = frozenset({"token_policies_template_claims"})
"""Parameters of OpenBao alone; what is wanted of them is what is there without them."""
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


@dataclass(frozen=True, slots=True)
class _Expression:
    """Text of Terraform's language that stands unquoted."""

    text: str


def as_terraform(state: DesiredState) -> str:
    """Give a file for an empty Vault. The token is the provider's own business (`VAULT_TOKEN`)."""
    return "\n".join([HEAD, *_resources(state)])


def _resources(state: DesiredState) -> Iterator[str]:
    names = _Names()
    spaces: dict[str, _Expression] = {}
    for request in desired.namespace_requests(*desired.namespaces(state)):
        name = request.path.removeprefix("sys/namespaces/")
        full = f"{request.namespace}/{name}".strip("/")
        label = names.take(full)
        yield _resource("vault_namespace", label, {**_within(request.namespace, spaces), "path": name})
        spaces[full] = _Expression(f"vault_namespace.{label}.path_fq")
    here = _within(state.namespace, spaces)
    backend = names.take(state.auth.path)
    yield _resource("vault_jwt_auth_backend", backend, {**here, **_backend(state)})
    for kv in state.kv_mounts:
        yield _resource(
            "vault_mount", names.take(kv.path), {**_within(desired.kv_namespace(state, kv), spaces), **_kv(kv)}
        )
    policies: dict[str, _Expression] = {}
    for policy in state.policies:
        label = names.take(policy.name)
        policies[policy.name] = _Expression(f"vault_policy.{label}.name")
        yield _resource("vault_policy", label, {**here, "name": policy.name, "policy": policy.text})
    for role in state.roles:
        attributes = {**here, "backend": _Expression(f"vault_jwt_auth_backend.{backend}.path"), **_role(role, policies)}
        yield _resource("vault_jwt_auth_backend_role", names.take(role.name), attributes)


def _within(namespace: str, spaces: Mapping[str, _Expression]) -> dict[str, Any]:
    return {"namespace": spaces[namespace]} if namespace else {}


def _backend(state: DesiredState) -> dict[str, Any]:
    auth = state.auth
    found = {"path": auth.path, "type": "jwt", "description": auth.description}
    config = {name: value for name, value in auth.config.parameters().items() if value not in ("", [])}
    tune = {} if auth.token_type is None else {"tune": _Block({"token_type": auth.token_type})}
    return {**found, **config, **tune}


def _kv(kv: KvMount) -> dict[str, Any]:
    options = {"version": str(kv.version)}
    return {"path": kv.path, "type": "kv", "description": kv.description, "options": options}


def _role(role: Role, policies: Mapping[str, _Expression]) -> dict[str, Any]:
    written = {name: value for name, value in role.parameters().items() if name not in NOT_THE_PROVIDERS}
    written["bound_claims"] = {name: _claim(value) for name, value in written["bound_claims"].items()}
    written["token_policies"] = [policies.get(name, name) for name in role.token_policies]
    return {"role_name": role.name, **written}


def _claim(value: Any) -> str:
    values = value if isinstance(value, list) else [value]
    if any(not isinstance(item, str) or "," in item for item in values):
        raise RequestRefused(
            "the vault provider of Terraform cannot bind a claim to what is no text, or to a text with a comma",
            hint="Use runpass vault apply, or --print with another form.",
        )
    return ",".join(values)


class _Block(dict[str, Any]):
    """What is written as a nested block and not as a value."""


class _Names:
    """Labels of resources: letters, digits and `_`, each one once."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, text: str) -> str:
        plain = re.sub(r"[^A-Za-z0-9_]", "_", text)
        plain = plain if _PLAIN.match(plain) else f"_{plain}"
        label, number = plain, 1
        while label in self._taken:
            number += 1
            label = f"{plain}_{number}"
        self._taken.add(label)
        return label


def _resource(kind: str, label: str, attributes: Mapping[str, Any]) -> str:
    return f'resource "{kind}" "{label}" {{\n{_body(attributes, "  ")}}}\n'


def _body(attributes: Mapping[str, Any], indent: str) -> str:
    lines = []
    for name, value in attributes.items():
        if isinstance(value, _Block):
            lines.append(f"{indent}{name} {{\n{_body(value, indent + '  ')}{indent}}}\n")
        else:
            lines.append(f"{indent}{name} = {_value(value, indent)}\n")
    return "".join(lines)


def _value(value: Any, indent: str) -> str:
    match value:
        case _Expression():
            return value.text
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case dict():
            inner = "".join(f"{indent}  {_key(key)} = {_value(item, indent + '  ')}\n" for key, item in value.items())
            return f"{{\n{inner}{indent}}}" if value else "{}"
        case list():
            return "[" + ", ".join(_value(item, indent) for item in value) + "]"
        case _:
            return _text(str(value))


def _key(text: str) -> str:
    return text if _PLAIN.match(text) else _quoted(text)


def _text(text: str) -> str:
    """Give a long text as a heredoc, every other as a quoted one."""
    lines = text.split("\n")
    fits = len(lines) > 2 and text.endswith("\n") and "\r" not in text  # noqa: PLR2004 -- more than one line
    if not fits or not all(character.isprintable() or character == "\n" for character in text):
        return _quoted(text)
    word = "EOT"
    while word in {line.strip() for line in lines}:
        word += "_"
    return f"<<{word}\n{_without_templates(text)}{word}"


def _quoted(text: str) -> str:
    escaped = _without_templates(text.replace("\\", "\\\\").replace('"', '\\"'))
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(named.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in escaped) + '"'


def _without_templates(text: str) -> str:
    # SECURITY: `${` and `%{` would be evaluated by whoever applies the file.
    return text.replace("${", "$${").replace("%{", "%%{")
