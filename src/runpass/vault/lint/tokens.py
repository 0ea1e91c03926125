"""Rules about what a login gives: whose entity it is, how long the token lives, and how it ends. Pure."""

import re
from collections.abc import Iterator
from typing import Final

from runpass.vault.lint.claims import NAMES, NUMBERS, PER_RUN, SHARED
from runpass.vault.lint.model import Severity
from runpass.vault.lint.policy_text import reaches
from runpass.vault.lint.rule import RoleRule, Seen, when
from runpass.vault.lint.view import DAY, Role

HOUR: Final = 3_600
MOST_SKEW: Final = 300
OLD_NAMES: Final = ("policies", "ttl", "max_ttl", "period", "num_uses", "bound_cidrs")


def _said(role: Role) -> str:
    return role.user_claim


def _no_ttl(role: Role) -> Iterator[Seen]:
    unset = not role.seconds("token_ttl") and not role.seconds("token_period")
    return when(unset and role.lifetime > HOUR, "token_ttl", f"{role.lifetime // HOUR} h")


def _long_ttl(role: Role) -> Iterator[Seen]:
    parameter = "token_period" if role.seconds("token_period") else "token_ttl"
    return when(role.seconds(parameter) and role.lifetime > HOUR, parameter, f"{role.lifetime // HOUR} h")


def _no_cap(role: Role) -> Iterator[Seen]:
    capped = role.seconds("token_explicit_max_ttl") or (role.is_batch and role.seconds("token_ttl"))
    return when(not capped and not role.seconds("token_period"), "token_explicit_max_ttl")


def _cannot_revoke(role: Role) -> Iterator[Seen]:
    if not role.flag("token_no_default_policy") or role.is_sweeper:  # the sweeper's lives for a minute
        return
    granted = any(
        reaches(rule.path, "auth/token/revoke-self") and rule.capabilities & {"update", "root"}
        for _, rule in role.path_rules()
    )
    yield from when(not granted, "token_no_default_policy")


def _templates(role: Role) -> Iterator[Seen]:
    if role.flag("token_policies_template_claims"):
        for name in role.texts("token_policies"):
            for claim in re.findall(r"\{\{[^}]*?\.([A-Za-z0-9_]+)", name)[:1]:
                yield Seen("token_policies", f"chosen by {claim}")


def _unusable_mappings(role: Role) -> Iterator[Seen]:
    return when(NUMBERS & role.mapping("claim_mappings").keys(), "claim_mappings")


TOKENS: Final = (
    RoleRule(
        code="shared_identity",
        severity=Severity.ERROR,
        weakness="every run has the same identity",
        reason="all runs are one entity in Vault: the audit log cannot tell them apart, and what is granted or "
        "templated for the entity is granted to all",
        fix="Use environmentId.",
        look=lambda role: when(_said(role) in SHARED and not role.is_sweeper, "user_claim", _said(role)),
        setting={"user_claim": "environmentId"},
    ),
    RoleRule(
        code="identity_per_run",
        severity=Severity.WARNING,
        weakness="every run has an identity of its own",
        reason="each login makes a new entity that stays for ever; on HashiCorp Vault each one counts as a client",
        fix="Use environmentId.",
        look=lambda role: when(_said(role) in PER_RUN, "user_claim", _said(role)),
        setting={"user_claim": "environmentId"},
    ),
    RoleRule(
        code="mutable_identity",
        severity=Severity.WARNING,
        weakness="the identity is a name",
        reason="a new name is a new entity, and an old name given to something else inherits the old entity",
        fix="Use environmentId.",
        look=lambda role: when(_said(role) in NAMES, "user_claim", _said(role)),
        setting={"user_claim": "environmentId"},
    ),
    RoleRule(
        code="identity_not_text",
        severity=Severity.WARNING,
        weakness="the user_claim is a number",
        reason="a time is not text that could name an entity, so every login is refused",
        fix="Use environmentId.",
        look=lambda role: when(_said(role) in NUMBERS, "user_claim", _said(role)),
        setting={"user_claim": "environmentId"},
    ),
    RoleRule(
        code="no_ttl",
        severity=Severity.ERROR,
        weakness="no TTL",
        reason="without one a token lives as long as the mount allows, not as long as the identity token",
        fix="Two minutes are enough: the runner renews the token while the run goes on.",
        look=_no_ttl,
        setting={"token_ttl": "2m", "token_explicit_max_ttl": "1h"},
    ),
    RoleRule(
        code="long_ttl",
        severity=Severity.WARNING,
        weakness="the TTL is longer than an hour",
        reason="what a runner that died leaves behind lives that long",
        fix="Two minutes are enough: the runner renews the token while the run goes on.",
        look=_long_ttl,
        setting={"token_ttl": "2m", "token_period": "0"},
    ),
    RoleRule(
        code="no_cap",
        severity=Severity.WARNING,
        weakness="no explicit maximum",
        reason="whoever holds the token may renew it as long as the mount allows, 768 h by default, and a change of "
        "the mount makes it longer",
        fix="Set token_explicit_max_ttl to the time-out of the longest run.",
        look=_no_cap,
        setting={"token_explicit_max_ttl": "1h"},
    ),
    RoleRule(
        code="period_without_cap",
        severity=Severity.ERROR,
        weakness="a period without a maximum",
        reason="a periodic token can be renewed for ever",
        fix="Use token_ttl, and set token_explicit_max_ttl.",
        look=lambda role: when(
            role.seconds("token_period") and not role.seconds("token_explicit_max_ttl"), "token_period"
        ),
        setting={"token_period": "0", "token_ttl": "2m", "token_explicit_max_ttl": "1h"},
    ),
    RoleRule(
        code="long_cap",
        severity=Severity.WARNING,
        weakness="the maximum is longer than a day",
        reason="a stolen token can be renewed that long",
        fix="Set token_explicit_max_ttl to the time-out of the longest run.",
        look=lambda role: when(role.seconds("token_explicit_max_ttl") > DAY, "token_explicit_max_ttl"),
        setting={"token_explicit_max_ttl": "1h"},
    ),
    RoleRule(
        code="clock_skew",
        severity=Severity.WARNING,
        weakness="more than five minutes of leeway",
        reason="identity tokens log in that much longer than they live: with 7200 s one that ended an hour ago does",
        fix="Keep the default of a minute, and set the clocks.",
        look=lambda role: when(role.seconds("clock_skew_leeway") > MOST_SKEW, "clock_skew_leeway"),
        setting={"clock_skew_leeway": "0"},
        cel=True,
    ),
    RoleRule(
        code="no_leeway",
        severity=Severity.NOTICE,
        weakness="no leeway for clocks",
        reason="a token is refused when the Vault's clock is a second behind the issuer's",
        fix="Keep the default of a minute.",
        look=lambda role: when(role.seconds("clock_skew_leeway") < 0, "clock_skew_leeway"),
        setting={"clock_skew_leeway": "0"},
    ),
    RoleRule(
        code="leeway_without_effect",
        severity=Severity.NOTICE,
        weakness="a leeway that does nothing",
        reason="expiration_leeway and not_before_leeway only stand in for claims that are missing, and the issuer "
        "writes them all",
        fix="Set them to 0.",
        look=lambda role: [
            Seen(name) for name in ("expiration_leeway", "not_before_leeway") if role.seconds(name) not in {0, -1}
        ],
        setting={"expiration_leeway": "0", "not_before_leeway": "0"},
    ),
    RoleRule(
        code="batch",
        severity=Severity.WARNING,
        weakness="batch tokens",
        reason="they can be neither renewed nor revoked: a long run loses its token, and a short one leaves it behind",
        fix="Use service tokens; token_type of the mount counts before the role's.",
        look=lambda role: when(role.is_batch, "token_type"),
        setting={"token_type": "service"},
    ),
    RoleRule(
        code="cannot_revoke",
        severity=Severity.WARNING,
        weakness="the token may not revoke itself",
        reason="the default policy is what lets a token be renewed, looked up and revoked by its holder, and no other "
        "policy of the role is known to",
        fix="Keep the default policy, or allow update on auth/token/renew-self and auth/token/revoke-self.",
        look=_cannot_revoke,
        setting={"token_no_default_policy": "false"},
    ),
    RoleRule(
        code="num_uses",
        severity=Severity.WARNING,
        weakness="the uses are counted",
        reason="every call counts, renewal and revocation too: the last secret may not be read, and the token may not "
        "be revoked",
        fix="Limit the token's time instead.",
        look=lambda role: when(role.seconds("token_num_uses"), "token_num_uses"),
        setting={"token_num_uses": "0"},
    ),
    RoleRule(
        code="templated_policy",
        severity=Severity.WARNING,
        weakness="a claim chooses the policies",
        reason="which policies a token gets is decided by whoever decides about the claim",
        fix="Use a role for each, or a template on an id.",
        look=_templates,
    ),
    RoleRule(
        code="mapping_not_text",
        severity=Severity.WARNING,
        weakness="a mapped claim is a number",
        reason="only texts can become metadata, so every login is refused",
        fix="Take iat, nbf and exp out of claim_mappings.",
        look=_unusable_mappings,
    ),
    RoleRule(
        code="run_not_in_metadata",
        severity=Severity.NOTICE,
        weakness="the run does not show in Vault's audit log",
        reason="deploymentLogId is not mapped into the token's metadata, so entries there cannot be joined with a run",
        fix='Add "deploymentLogId": "deploymentLogId" to claim_mappings.',
        look=lambda role: when(
            "deploymentLogId" not in role.mapping("claim_mappings") and not role.is_sweeper, "claim_mappings"
        ),
    ),
    RoleRule(
        code="old_names",
        severity=Severity.NOTICE,
        weakness="parameters by their old names",
        reason="they are stored beside the new ones, and only confuse who reads the role",
        fix="Write the role again with the names that begin with token_.",
        look=lambda role: [Seen(name) for name in OLD_NAMES if role.data.get(name)],
    ),
    RoleRule(
        code="verbose_logging",
        severity=Severity.WARNING,
        weakness="claims are logged",
        reason="with verbose_oidc_logging the server writes received tokens and claims to its debug log",
        fix="Turn it off.",
        look=lambda role: when(role.flag("verbose_oidc_logging"), "verbose_oidc_logging"),
        setting={"verbose_oidc_logging": "false"},
    ),
    RoleRule(
        code="cel_ttl",
        severity=Severity.WARNING,
        weakness="the program says no TTL",
        reason="a token of a CEL role lives 768 h by default and cannot be renewed",
        fix="Give the Auth that the program answers a lease, or use an ordinary role.",
        look=lambda role: when(role.is_cel and not re.search(r"ttl|lease", role.program, re.IGNORECASE), "cel_program"),
        cel=True,
    ),
    RoleRule(
        code="cel_role",
        severity=Severity.NOTICE,
        weakness="a program decides",
        reason="what it does is only looked at for the claims that it names; logins of runpass do not see such roles",
        fix="Use an ordinary role for runs.",
        look=lambda role: when(role.is_cel, "cel_program"),
        cel=True,
    ),
)
