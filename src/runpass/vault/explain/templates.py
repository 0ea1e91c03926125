"""Policies that are templates over the claims (`token_policies_template_claims`, OpenBao). Pure.

Only fields are worked out, `{{ .name }}` and `{{ .name.inner }}`: what else a template can do stays unknown.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from runpass.vault.explain.facts import Parameters, said, write_role
from runpass.vault.explain.go_text import quoted, shown
from runpass.vault.explain.model import Check, LoginCase

_FIELDS: Final = re.compile(r"\{\{\s*((?:\.\w+)+)\s*\}\}")
_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class _Missing:
    """A field that is not there, and the server's words for it."""

    why: str


def filled(policy: str, claims: Mapping[str, Any]) -> str:
    """Give a policy's name with the claims in it."""
    return _FIELDS.sub(lambda found: _shown(_field(claims, found[1])), policy)


def checks(case: LoginCase, role: Parameters, claims: Mapping[str, Any]) -> Iterator[Check]:
    """Give a check of each policy that is a template."""
    if case.server != "openbao" or not role.flag("token_policies_template_claims"):
        return
    policies = role.texts("token_policies")
    for number, policy in enumerate(policies):
        if "{{" not in policy:
            continue
        missing = _first_missing(policy, claims)
        known = "{{" not in _FIELDS.sub("", policy)
        kept = [item for item in policies if item != policy]
        yield Check(
            name=f"policy template {number}",
            passed=False if missing else (True if known else None),
            expected=said(policy),
            received="a claim is missing" if missing else "",
            fix=f"Give every token the claim, or take this policy out:\n{write_role(case, token_policies=kept)}",
            errors=(f"failed to template policy [{number}]: unable to apply template: {missing}",),
            status=_SERVER_ERROR,
        )


def _first_missing(policy: str, claims: Mapping[str, Any]) -> str:
    for found in _FIELDS.finditer(policy):
        value = _field(claims, found[1])
        if isinstance(value, _Missing):
            # The place of a chain of fields is that of its second one.
            first, *more = found[1].split(".")[1:]
            before = policy[: found.start(1) + (len(first) + 1 if more else 0)]
            line, column = before.count("\n") + 1, len(before.rpartition("\n")[2].encode())
            return f'template: template:{line}:{column}: executing "template" at <{found[1]}>: {value.why}'
    return ""


def _field(claims: Mapping[str, Any], chain: str) -> Any:
    value: Any = claims
    for name in chain.split(".")[1:]:
        if value is None:
            return _Missing(f"nil pointer evaluating interface {{}}.{name}")
        if not isinstance(value, Mapping):
            return _Missing(f"can't evaluate field {name} in type interface {{}}")
        if name not in value:
            return _Missing(f"map has no entry for key {quoted(name)}")
        value = value[name]
    return value


def _shown(value: Any) -> str:
    return "<no value>" if value is None or isinstance(value, _Missing) else shown(value)
