"""Rules about who gets in: audiences, bound claims and their patterns. Pure."""

import re
from collections.abc import Iterator
from typing import Final

from runpass.vault.errors import visible
from runpass.vault.lint.claims import (
    IDS,
    KNOWN,
    NAMES,
    NUMBERS,
    ORGANIZATION,
    UUIDS,
    subject_parts,
    within_organization,
)
from runpass.vault.lint.model import Severity
from runpass.vault.lint.rule import RoleRule, Seen, when
from runpass.vault.lint.view import Role
from runpass.vault.spelling import nearest

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _star_of_ids(role: Role) -> Iterator[Seen]:
    for claim, key, pattern in role.patterns():
        if claim in IDS and not _within(claim, pattern):
            yield Seen(f"bound_claims.{key}", pattern)


def _within(claim: str, pattern: str) -> bool:
    return claim == "sub" and within_organization(pattern)


def _star_of_names(role: Role) -> Iterator[Seen]:
    for claim, key, pattern in role.patterns():
        if claim in NAMES:
            yield Seen(f"bound_claims.{key}", pattern)


def _stars_elsewhere(role: Role) -> Iterator[Seen]:
    for claim, key, pattern in role.patterns():
        if _within(claim, pattern) or (claim not in IDS and claim not in NAMES):
            yield Seen(f"bound_claims.{key}", pattern)


def _star_without_glob(role: Role) -> Iterator[Seen]:
    if role.text("bound_claims_type") != "glob":
        for _, key, value in role.values():
            if isinstance(value, str) and "*" in value:
                yield Seen(f"bound_claims.{key}", value)


def _unknown(role: Role) -> Iterator[Seen]:
    for key in role.mapping("bound_claims"):
        yield from _if_unknown(f"bound_claims.{key}", next(iter(_claims(role, key)), key))
    if role.user_claim:
        yield from _if_unknown("user_claim", role.user_claim)


def _claims(role: Role, key: str) -> list[str]:
    return [claim for claim, written, _ in role.values() if written == key]


def _if_unknown(parameter: str, claim: str) -> Iterator[Seen]:
    if claim not in KNOWN and claim not in NAMES:
        near = nearest(claim, KNOWN, most=1)
        yield Seen(parameter, f"did you mean {near[0]}?" if near else "")


def _never(role: Role) -> Iterator[Seen]:
    bound = role.mapping("bound_claims")
    for key, value in bound.items():
        if value in ([], None):
            yield Seen(f"bound_claims.{key}", "an empty list")
    for claim, key, value in role.values():
        if claim in NUMBERS or isinstance(value, list | dict):
            yield Seen(f"bound_claims.{key}", "not a claim that a role could be bound to")
        elif value is not None and not isinstance(value, str):
            yield Seen(f"bound_claims.{key}", "a number or a switch, and the claim is a string")
        elif isinstance(value, str) and "," in value and claim in UUIDS:
            yield Seen(f"bound_claims.{key}", "one text with a comma, not a list")


def _not_an_id(role: Role) -> Iterator[Seen]:
    starred = {key for _, key, _ in role.patterns()}
    for claim, key, value in role.values():
        is_one = isinstance(value, str) and "," not in value and "*" not in value
        if claim in UUIDS and key not in starred and is_one and not _UUID.fullmatch(value):
            yield Seen(f"bound_claims.{key}", value)


def _subject(role: Role) -> Iterator[Seen]:
    subject = role.text("bound_subject")
    if subject_parts(subject):
        return iter(())  # the organization has a template for it: it is meant
    same_as = {value for name in ORGANIZATION for value in role.bound.get(name, ())}
    return when(subject and subject not in same_as and not role.is_sweeper, "bound_subject", subject)


def _names(role: Role) -> Iterator[Seen]:
    starred = {key for _, key, _ in role.patterns()}
    for key in role.mapping("bound_claims"):
        for claim in _claims(role, key)[:1]:
            if claim in NAMES and key not in starred:
                yield Seen(f"bound_claims.{key}", f"bind {NAMES[claim]} instead" if NAMES[claim] else "")


def _issuers_slash(role: Role) -> Iterator[Seen]:
    issuer = role.mount.text("bound_issuer")
    wrong = [item for item in role.texts("bound_audiences") if issuer.endswith("/") and item == issuer]
    return when(wrong and "/" in issuer, "bound_audiences", visible(issuer, 255))


BINDING: Final = (
    RoleRule(
        code="no_audience",
        severity=Severity.ERROR,
        weakness="no audience is bound",
        reason="a token that was made for somebody else may be played here: Vaults before 1.16.3 accept every "
        "audience, newer ones refuse every token that has one",
        fix="Bind the one audience of this credential's tokens.",
        look=lambda role: when(not any(role.texts("bound_audiences")), "bound_audiences"),
    ),
    RoleRule(
        code="cel_no_audience",
        severity=Severity.ERROR,
        weakness="a CEL role binds no audience",
        reason="programs have no check of their own for it: a token for any audience logs in",
        fix="Set bound_audiences of the CEL role to the one audience of this credential's tokens.",
        look=lambda role: when(role.is_cel and not any(role.texts("bound_audiences")), "bound_audiences"),
        cel=True,
    ),
    RoleRule(
        code="several_audiences",
        severity=Severity.WARNING,
        weakness="more than one audience is bound",
        reason="a token that was made for one of these services opens this one, too",
        fix="Bind one audience, and use a role of its own for each kind of token.",
        look=lambda role: when(len(set(role.texts("bound_audiences"))) > 1, "bound_audiences"),
        cel=True,
    ),
    RoleRule(
        code="audience_with_slash",
        severity=Severity.WARNING,
        weakness="the audience is the issuer with its slash",
        reason="it is compared byte for byte, and the issuer's shared audience has no slash at its end",
        fix="Take the slash away.",
        look=_issuers_slash,
        cel=True,
    ),
    RoleRule(
        code="organization_not_bound",
        severity=Severity.ERROR,
        weakness="the organization is not bound",
        reason="runs of every organization of this issuer may log in",
        fix='Add "organizationId": "<the organization\'s id>" to bound_claims.',
        look=lambda role: when(not role.binds(*ORGANIZATION) and not role.text("bound_subject"), "bound_claims"),
        cel=True,
    ),
    RoleRule(
        code="credential_not_bound",
        severity=Severity.ERROR,
        weakness="the credential is not bound",
        reason="assignment is not enforced: whoever has a run, and the commands of a run with their own identity "
        "token, may log in without being given this credential",
        fix='Add "credentialId": "<the credential\'s id>" to bound_claims.',
        look=lambda role: when(not role.binds("credentialId") and not role.is_sweeper, "bound_claims"),
        cel=True,
    ),
    RoleRule(
        code="project_not_bound",
        severity=Severity.WARNING,
        weakness="the project is not bound",
        reason="assignment is not enforced by the Vault: every project of the organization that gets hold of the "
        "credential may log in",
        fix='Add "projectId": ["<the id of each project>"] to bound_claims.',
        look=lambda role: when(not role.binds("projectId") and not role.is_sweeper, "bound_claims"),
        cel=True,
    ),
    RoleRule(
        code="api_key_type_not_bound",
        severity=Severity.WARNING,
        weakness="the kind of token is not bound",
        reason="tokens of the control plane's own kind, which no run has, pass here as well",
        fix='Add "apiKeyType": "oidc" to bound_claims.',
        look=lambda role: when(not role.binds("apiKeyType"), "bound_claims"),
        cel=True,
    ),
    RoleRule(
        code="glob_in_id",
        severity=Severity.ERROR,
        weakness="a pattern where an id belongs",
        reason="ids have no order that a prefix could mean: the star lets other tenants in",
        fix="Write the whole id, or a list of ids.",
        look=_star_of_ids,
    ),
    RoleRule(
        code="glob_on_name",
        severity=Severity.ERROR,
        weakness="a pattern on a name",
        reason="whoever may name a thing may choose a name that fits",
        fix="Bind the id instead, or a list of ids.",
        look=_star_of_names,
    ),
    RoleRule(
        code="glob",
        severity=Severity.WARNING,
        weakness="a pattern on another claim",
        reason="the star stands for any text, slashes and colons too, so `a/b*` fits `a/b-of-somebody-else/c`",
        fix="Write the whole value, or end the fixed part with the separator.",
        look=_stars_elsewhere,
    ),
    RoleRule(
        code="star_without_glob",
        severity=Severity.WARNING,
        weakness="a star in a role without patterns",
        reason="with bound_claims_type=string it is an ordinary character, and no token fits",
        fix="Write the whole value.",
        look=_star_without_glob,
    ),
    RoleRule(
        code="mutable_name",
        severity=Severity.WARNING,
        weakness="a name is bound where there is an id",
        reason="a name is changed, and later given to something else that then passes here",
        fix="Bind the id.",
        look=_names,
    ),
    RoleRule(
        code="unknown_claim",
        severity=Severity.WARNING,
        weakness="a claim that no token has",
        reason="a claim that is missing refuses every login",
        fix="Write a claim of docs/reference/claims.md, case included.",
        look=_unknown,
    ),
    RoleRule(
        code="never_matches",
        severity=Severity.WARNING,
        weakness="a value that no token can have",
        reason="values are compared with their JSON type, so every login is refused",
        fix="Write a text, or a list of texts.",
        look=_never,
    ),
    RoleRule(
        code="not_an_id",
        severity=Severity.WARNING,
        weakness="what is bound is not an id",
        reason="ids are UUIDs in small letters and compared byte for byte, so every login is refused",
        fix="Copy the id from the server.",
        look=_not_an_id,
    ),
    RoleRule(
        code="leftover_subject",
        severity=Severity.WARNING,
        weakness="a bound_subject beside the claims",
        reason="it must equal sub byte for byte and never takes a pattern; role writes merge, so an old one stays "
        "until it is emptied, and then refuses every login without saying what it wanted",
        fix="Empty it, and bind organizationId.",
        look=_subject,
        setting={"bound_subject": ""},
    ),
    RoleRule(
        code="groups_claim",
        severity=Severity.WARNING,
        weakness="a groups_claim is set",
        reason="no identity token of a run carries a list, so every login is refused; with another issuer's tokens it "
        "adds policies that do not stand in the role",
        fix="Empty it.",
        look=lambda role: when(role.text("groups_claim"), "groups_claim", role.text("groups_claim")),
        setting={"groups_claim": ""},
    ),
    RoleRule(
        code="role_type",
        severity=Severity.ERROR,
        weakness="the role is for people with a browser",
        reason="an oidc role refuses every JWT login; a role write without role_type falls back to it",
        fix="Write role_type=jwt.",
        look=lambda role: when(role.text("role_type") == "oidc", "role_type"),
        setting={"role_type": "jwt"},
    ),
)
