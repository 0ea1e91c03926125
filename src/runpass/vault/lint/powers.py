"""Rules about what a role's policies allow beyond reading secrets. Pure."""

from collections.abc import Iterator, Sequence
from typing import Final

from runpass.vault.lint.model import Severity
from runpass.vault.lint.policy_text import WRITING, PathRule, path_rules, reaches
from runpass.vault.lint.rule import RoleRule, Seen, when
from runpass.vault.lint.view import Role

ADMINISTRATION: Final = (
    "sys/policies/acl/*", "sys/policy/*", "sys/auth/*", "sys/mounts/*", "sys/namespaces/*", "sys/raw/*", "sys/audit/*",
    "sys/remount", "sys/quotas/*", "sys/plugins/*", "sys/config/*",
)  # fmt: skip
OF_OTHERS: Final = ("auth/token/revoke-accessor", "auth/token/revoke", "sys/leases/revoke-prefix/*")
ORPHANS: Final = ("auth/token/create-orphan", "auth/token/roles/*", "auth/token/create/*")
IDENTITY: Final = ("identity/entity/*", "identity/entity-alias/*", "identity/group/*", "identity/group-alias/*")


def _writes(role: Role, targets: Sequence[str]) -> Iterator[Seen]:
    """Give each policy path that allows writing to one of these."""
    rules = list(role.path_rules())
    within = role.mount.facts.namespace
    for name, rule in rules:
        hit = next(
            (target for target in targets for path in (target, f"{within}/{target}") if reaches(rule.path, path)), None
        )
        if hit is not None and rule.writes and not _denied([other for _, other in rules], rule, hit):
            yield Seen(f"policy {name}", f"{rule.path} [{', '.join(sorted(rule.capabilities & WRITING))}]")


def _denied(rules: Sequence[PathRule], rule: PathRule, target: str) -> bool:
    """Whether a narrower rule takes the target away again: the longest path decides in Vault."""
    return any(
        "deny" in other.capabilities
        and len(other.path.rstrip("*+/")) > len(rule.path.rstrip("*+/"))
        and (other.path == target or (other.path.endswith("*") and target.startswith(other.path[:-1])))
        for other in rules
    )


def _rewrites_roles(role: Role) -> Iterator[Seen]:
    mount = role.mount.facts.mount
    return _writes(role, [f"auth/{mount}/role/*", f"auth/{mount}/cel/role/*"])


def _rewrites_config(role: Role) -> Iterator[Seen]:
    config = f"auth/{role.mount.facts.mount}/config"
    pinned = {rule.path for _, rule in role.path_rules() if rule.is_pinned}
    return (seen for seen in _writes(role, [config]) if config not in pinned or not seen.what.startswith(f"{config} "))


def _everything(role: Role) -> Iterator[Seen]:
    for name, rule in role.path_rules():
        if rule.path.strip("+/") == "*" and "deny" not in rule.capabilities:
            yield Seen(f"policy {name}", rule.path)


def _absent(role: Role) -> Iterator[Seen]:
    known = role.mount.facts.policies
    return (Seen("token_policies", name) for name in role.policies if name in known and known[name] is None)


def _unread(role: Role) -> Iterator[Seen]:
    for name in role.policies:
        text = role.mount.facts.policies.get(name)
        if text is not None and path_rules(text) is None:
            yield Seen(f"policy {name}")


POWERS: Final = (
    RoleRule(
        code="root_policy",
        severity=Severity.ERROR,
        weakness="the root policy",
        reason="no login may have it: every login as this role is refused",
        fix="Name the policies that the runs need.",
        look=lambda role: when("root" in role.policies, "token_policies"),
    ),
    RoleRule(
        code="policy_everything",
        severity=Severity.ERROR,
        weakness="a policy reaches every path",
        reason="the token may do this with everything in the namespace",
        fix="Name the paths that the runs need.",
        look=_everything,
    ),
    RoleRule(
        code="policy_rewrites_roles",
        severity=Severity.ERROR,
        weakness="a policy can write the method's roles",
        reason="whoever may write a role may give it any policy: as strong as root",
        fix="Leave the roles to operators.",
        look=_rewrites_roles,
    ),
    RoleRule(
        code="policy_rewrites_config",
        severity=Severity.ERROR,
        weakness="a policy can write the method's config",
        reason="whoever may write the config decides whose keys are trusted, and so logs in as anybody",
        fix="Leave the config to operators, or pin each parameter with required_parameters and allowed_parameters.",
        look=_rewrites_config,
    ),
    RoleRule(
        code="policy_administers",
        severity=Severity.ERROR,
        weakness="a policy can administer the Vault",
        reason="policies, mounts and audit devices are what keeps everybody else in bounds",
        fix="Leave administration to operators.",
        look=lambda role: _writes(role, ADMINISTRATION),
    ),
    RoleRule(
        code="policy_changes_identity",
        severity=Severity.ERROR,
        weakness="a policy can change entities or groups",
        reason="the token may give its own entity more policies",
        fix="Leave identities to operators.",
        look=lambda role: _writes(role, IDENTITY),
    ),
    RoleRule(
        code="policy_makes_orphans",
        severity=Severity.WARNING,
        weakness="a policy can make tokens that outlive the run",
        reason="an orphan does not end with the token that made it",
        fix="Allow auth/token/create alone: its tokens end with their parent.",
        look=lambda role: _writes(role, ORPHANS),
    ),
    RoleRule(
        code="policy_revokes_others",
        severity=Severity.WARNING,
        weakness="a policy can revoke other tokens",
        reason="whoever knows an accessor ends that token, the root token included",
        fix="Keep this for the sweeper's role; a token revokes itself with auth/token/revoke-self.",
        look=lambda role: () if role.is_sweeper else _writes(role, OF_OTHERS),
    ),
    RoleRule(
        code="policy_missing",
        severity=Severity.WARNING,
        weakness="a policy that does not exist",
        reason="the login works without it, and what it should allow is denied later; whoever may write policies "
        "decides what it means",
        fix="Write the policy, or take its name out of token_policies.",
        look=_absent,
    ),
    RoleRule(
        code="policy_not_understood",
        severity=Severity.NOTICE,
        weakness="a policy that could not be read here",
        reason="what it allows was not looked at",
        fix="Look at it yourself.",
        look=_unread,
    ),
    RoleRule(
        code="no_policies",
        severity=Severity.NOTICE,
        weakness="no policy at all",
        reason="the login works, and every secret is denied",
        fix="Name the policies that the runs need.",
        look=lambda role: when(
            not set(role.policies) - {"default"} and not role.text("groups_claim"), "token_policies"
        ),
    ),
)
