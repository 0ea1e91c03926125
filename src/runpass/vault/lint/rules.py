"""The table of weaknesses, and `lint`, which looks for all of them. Pure."""

from typing import Final

from runpass.vault.lint.binding import BINDING
from runpass.vault.lint.methods import METHODS
from runpass.vault.lint.model import Finding, MountFacts
from runpass.vault.lint.powers import POWERS
from runpass.vault.lint.rule import MountRule, RoleRule
from runpass.vault.lint.tokens import TOKENS
from runpass.vault.lint.view import Mount, Role

ROLE_RULES: Final[tuple[RoleRule, ...]] = (*BINDING, *TOKENS, *POWERS)
MOUNT_RULES: Final[tuple[MountRule, ...]] = METHODS
RULES: Final[tuple[RoleRule | MountRule, ...]] = (*MOUNT_RULES, *ROLE_RULES)


def lint(facts: MountFacts) -> tuple[Finding, ...]:
    """Give every weakness that the facts show, the worst first; what was not read is not judged."""
    mount = Mount(facts.config or {}, facts=facts)
    found = [finding for rule in MOUNT_RULES for finding in rule.findings(mount)]
    roles = [
        *(Role(data, name=name, mount=mount) for name, data in facts.roles.items()),
        *(Role(data, name=name, mount=mount, is_cel=True) for name, data in facts.cel_roles.items()),
    ]
    found += [finding for role in roles for rule in ROLE_RULES for finding in rule.findings(role)]
    return tuple(sorted(dict.fromkeys(found), key=lambda finding: finding.severity.rank))


def table() -> tuple[tuple[str, str, str, str, str], ...]:
    """Give code, severity, weakness, reason and fix of every rule, the worst first."""
    rules = sorted(RULES, key=lambda rule: rule.severity.rank)
    return tuple((f"`{rule.code}`", rule.severity.value, rule.weakness, rule.reason, rule.fix) for rule in rules)
