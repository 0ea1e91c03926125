"""The forms of policies: how they are drawn from the API's requests, and what a form that was sent asks for. Pure."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from runpass.errors import InvalidInput
from runpass.protocol.wire import decode, to_camel
from runpass.server.tenancy.identities import IdentityPolicies
from runpass.server.tenancy.lifetimes import INHERIT
from runpass.server.tenancy.model import IdentityIssuer, Organization, Project
from runpass.server.tenancy.policy_requests import ChangePolicies, ChangePolicy
from runpass.server.web.fields import Choice, FieldKind, FormField, errors_of, fields_of, values_of

AUDIENCES: Final = "allowedIdentityAudiences"
LIMITS_AUDIENCES: Final = "limitsAudiences"
IDENTITY: Final = (
    *("enableOidc", "identityIssuer", "identitySubject", "identityPrefixedClaims"),
    *("identityAwsTags", "identityAwsTransitiveTags", LIMITS_AUDIENCES, AUDIENCES),
)
OTHERS: Final = ("requiresApproval", "maxTtl", "defaultTtl", "allowClearTextVault")
OF_PROJECT: Final = ("requiresApprovalDefault", "disableDestroyEnvironments", "maxTtl", "defaultTtl")
"""What runpass enforces. The other policies of a project are kept as they are."""
_FORM: Final = frozenset({*IDENTITY, *OTHERS} - {LIMITS_AUDIENCES})
_CLEARED: Final = ("identitySubject", "identityAwsTransitiveTags", "maxTtl", "defaultTtl")
"""What an empty field takes away."""
_WITH_COMMAS: Final = ("identitySubject", "identityAwsTransitiveTags")
_SUBJECT: Final = "Ids that it consists of, one on each line: organizationId, projectId, environmentId, templateId"
_LIFETIME: Final = "A number, a dash, and M, w, d or h: 12-h, 3-d, 1-w, 1-M. Empty: no limit"
_HELP: Final = {
    "identitySubject": f"{_SUBJECT}, credentialId. Empty: the organization's own subject.",
    "identityAwsTransitiveTags": "Session tags that AWS hands on when roles are chained, one on each line.",
    AUDIENCES: "One on each line; with * at its end, the beginning of one. It counts with the limit above alone.",
    "maxTtl": f"{_LIFETIME}.",
    "defaultTtl": f"{_LIFETIME}.",
}
_HELP_OF_PROJECT: Final = dict.fromkeys(("maxTtl", "defaultTtl"), f"{_LIFETIME} of its own. inherit: as above it.")
_LIMITS: Final = FormField(
    name=LIMITS_AUDIENCES,
    label="Limit the audiences",
    help="Whether jobs may ask for tokens for the shared audience and those below alone, else for any.",
    example="",
    kind=FieldKind.SWITCH,
    is_required=False,
)


def fields_of_organization(values: Mapping[str, Any], error: InvalidInput | None = None) -> dict[str, FormField]:
    """Give the fields of an organization's policies by name, from values by the API's names."""
    drawn = fields_of(ChangePolicies, values, errors_of(error) if error else {})
    found = {one.name: replace(one, help=_HELP.get(one.name, one.help)) for one in drawn if one.name in _FORM}
    return {**found, LIMITS_AUDIENCES: replace(_LIMITS, value=bool(values.get(LIMITS_AUDIENCES)))}


def values_of_organization(organization: Organization) -> dict[str, Any]:
    """Give the policies of an organization by the API's names."""
    said = {to_camel(name): value for name, value in organization.policies.items()}
    return {
        "identityIssuer": IdentityIssuer.SHARED.value,
        **said,
        "enableOidc": organization.enable_oidc,
        "allowClearTextVault": organization.allow_clear_text_vault,
        LIMITS_AUDIENCES: said.get(AUDIENCES) is not None,
    }


def sent_of_organization(posted: Mapping[str, str]) -> dict[str, Any]:
    """Give what a form asks for, by the API's names, with null for what it takes away."""
    apart = {name: posted.get(name, "").replace(",", "\n") for name in _WITH_COMMAS}
    given = values_of(ChangePolicies, {**posted, **apart})
    return {
        **dict.fromkeys(_CLEARED),
        AUDIENCES: [],
        **{name: value for name, value in given.items() if name in _FORM},
        LIMITS_AUDIENCES: posted.get(LIMITS_AUDIENCES) == "true",
    }


def wanted_of_organization(sent: Mapping[str, Any]) -> ChangePolicies:
    """Give the request that a form stands for. Raises `InvalidInput`."""
    limited = {AUDIENCES: sent[AUDIENCES] if sent[LIMITS_AUDIENCES] else None}
    return decode(ChangePolicies, json.dumps({**sent, **limited}).encode())


def identity_of(sent: Mapping[str, Any]) -> IdentityPolicies:
    """Give what a form asks for of tokens, whatever stands in its other fields. Raises `InvalidInput`."""
    names = {to_camel(name) for name in IdentityPolicies.model_fields}
    mine = {name: value for name, value in sent.items() if name in names}
    return decode(IdentityPolicies, json.dumps(mine).encode())


def with_choices(one: FormField, allowed: frozenset[IdentityIssuer]) -> FormField:
    """Give the field of the issuer with the choices that there are here."""
    labels = {
        IdentityIssuer.SHARED: "shared: the issuer of all organizations",
        IdentityIssuer.PREPARED: "prepared: still the shared one, the own one's keys are published",
        IdentityIssuer.OWN: "own: an issuer of this organization alone",
    }
    return replace(one, choices=tuple(Choice(item.value, label) for item, label in labels.items() if item in allowed))


def fields_of_project(values: Mapping[str, Any], error: InvalidInput | None = None) -> list[FormField]:
    """Give the fields of a project's policy, from values by the API's names."""
    drawn = fields_of(ChangePolicy, values, errors_of(error) if error else {})
    return [replace(one, help=_HELP_OF_PROJECT.get(one.name, one.help)) for one in drawn if one.name in OF_PROJECT]


def values_of_project(project: Project) -> dict[str, Any]:
    """Give a project's policy by the API's names; nobody has said anything yet: it inherits."""
    said = {to_camel(name): value for name, value in project.policies.items()}
    return {"maxTtl": INHERIT, "defaultTtl": INHERIT, **said}


def wanted_of_project(project: Project, posted: Mapping[str, str]) -> ChangePolicy:
    """Give the request that a form stands for; what it does not show stays as it is. Raises `InvalidInput`."""
    given = {name: value for name, value in values_of(ChangePolicy, posted).items() if name in OF_PROJECT}
    stays = {name: value for name, value in values_of_project(project).items() if name not in OF_PROJECT}
    return decode(ChangePolicy, json.dumps({**stays, **given, "projectId": str(project.id)}).encode())
