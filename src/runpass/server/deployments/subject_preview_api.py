"""JSON route of the preview of `sub`: ours, env0 has no counterpart."""

import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from runpass.errors import InvalidInput
from runpass.ids import CredentialId, OrganizationId
from runpass.protocol.credentials.parsing import Data
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.deployments.subject_preview import MOST_ROLES, NamedRole, Preview, Verdict, place_of, preview
from runpass.server.http.dependencies import Db, Settings
from runpass.server.http.wire import ApiModel, Name
from runpass.server.issuer.subjects import SubjectClaim
from runpass.server.tenancy.identities import IdentityPolicies
from runpass.server.tenancy.lookup import environment_for, own_organization
from runpass.server.tenancy.policies import decided
from runpass.vault.errors import visible

router = APIRouter(prefix="/organizations", tags=["Organizations"])
_MAX_ROLE = 8_192
_ANOTHER = "The name after a rename. Left out: one that nothing binds but a lone star."


class RoleToCheck(ApiModel):
    """Request: a role of a Vault, as a read of it gives it."""

    name: Name
    role: Annotated[Data, Field(max_length=_MAX_ROLE, description="The `data` of a read of the role, as JSON text.")]


class PreviewSubject(IdentityPolicies):
    """Request: whose runs, what to propose, and which roles to look at beside those that are recorded.

    A policy that is left out is proposed as it is.
    """

    environment_id: UUID
    credential_id: Annotated[
        UUID | None, Field(description="Whose login token. Left out: the token that the job itself holds.")
    ] = None
    new_project_name: Annotated[Name | None, Field(description=_ANOTHER)] = None
    new_environment_name: Annotated[Name | None, Field(description=_ANOTHER)] = None
    new_template_name: Annotated[Name | None, Field(description=_ANOTHER)] = None
    roles: Annotated[list[RoleToCheck], Field(max_length=MOST_ROLES, default_factory=list)]


class SubjectAnswer(ApiModel):
    """Response: a subject, and the template that it is made with."""

    identity_subject: list[SubjectClaim] | None
    sub: str


class ReasonAnswer(ApiModel):
    """Response: one check that fails."""

    name: str
    expected: str
    received: str


class VerdictAnswer(ApiModel):
    """Response: what a role says to the tokens of one case."""

    admits: Annotated[bool | None, Field(description="Null: it depends on the run, or cannot be told.")]
    reasons: list[ReasonAnswer]
    depends_on: Annotated[list[str], Field(description="Bound claims that differ from run to run.")]
    alias: Annotated[str | None, Field(description="The entity alias: another one is another user to the Vault.")]
    policies: list[str] | None
    problem: Annotated[str | None, Field(description="Why the role was not looked at.")] = None


class AfterRename(ApiModel):
    """Response: what a role says after each kind of rename, with the proposed policies."""

    project: VerdictAnswer
    environment: VerdictAnswer
    template: VerdictAnswer


class RoleAnswer(ApiModel):
    """Response: what one role says."""

    name: str
    is_recorded: Annotated[bool, Field(description="Whether `runpass vault apply` recorded it for a credential.")]
    now: VerdictAnswer
    proposed: VerdictAnswer
    after_rename: AfterRename


class PreviewAnswer(ApiModel):
    """Response: `sub` now and as proposed, the proposed claims, and what the roles say."""

    environment_id: UUID
    credential_id: UUID | None
    now: SubjectAnswer
    proposed: SubjectAnswer
    claims: Annotated[dict[str, Any], Field(description="What the proposed tokens say, but for times.")]
    roles: list[RoleAnswer]


@router.post("/{organization_id}/subject-preview")
def preview_subject(
    organization_id: UUID, body: PreviewSubject, caller: Caller, db: Db, settings: Settings
) -> PreviewAnswer:
    """Say what `sub` is for the runs of an environment, what it would be, and which roles would still admit them.

    Nothing is changed, and no Vault is asked.
    """
    caller.require_organization(OrganizationId(organization_id), Permission.EDIT_ORGANIZATION_SETTINGS)
    credential_id = None if body.credential_id is None else CredentialId(body.credential_id)
    with db.read() as tx:
        organization = own_organization(tx, caller)
        environment, project = environment_for(tx, caller, body.environment_id, Permission.VIEW_PROJECT)
        place, recorded = place_of(
            tx, organization, environment, project, credential_id=credential_id, settings=settings
        )
    sent = body.model_dump(include=set(IdentityPolicies.model_fields), exclude_unset=True)
    proposed = {**organization.policies, **decided(sent)}
    names = {
        "project": body.new_project_name or "",
        "environment": body.new_environment_name or "",
        "template": body.new_template_name or "",
    }
    asked = tuple(NamedRole(item.name, json.loads(item.role)) for item in body.roles)
    try:
        found = preview(place, proposed, names, (*asked, *recorded))
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    return _answer(body, organization.policies.get("identity_subject"), proposed.get("identity_subject"), found)


def _answer(
    body: PreviewSubject, template: list[SubjectClaim] | None, proposed: list[SubjectClaim] | None, found: Preview
) -> PreviewAnswer:
    return PreviewAnswer(
        environment_id=body.environment_id,
        credential_id=body.credential_id,
        now=SubjectAnswer(identity_subject=template, sub=found.now["sub"]),
        proposed=SubjectAnswer(identity_subject=proposed, sub=found.proposed["sub"]),
        claims=dict(found.proposed),
        roles=[
            RoleAnswer(
                name=item.role.name,
                is_recorded=item.role.is_recorded,
                now=_verdict(item.now),
                proposed=_verdict(item.proposed),
                after_rename=AfterRename(**{what: _verdict(said) for what, said in item.after_rename.items()}),
            )
            for item in found.roles
        ],
    )


def _verdict(said: Verdict) -> VerdictAnswer:
    found = said.admission
    if found is None:
        return VerdictAnswer(admits=None, reasons=[], depends_on=[], alias=None, policies=None, problem=said.problem)
    granted = found.granted
    return VerdictAnswer(
        admits=found.admits,
        reasons=[
            ReasonAnswer(name=visible(check.name), expected=check.expected, received=check.received)
            for check in found.refused
        ],
        depends_on=[visible(name) for name in found.undecided],
        alias=visible(granted.alias) if granted else None,
        policies=[visible(name) for name in granted.policies] if granted else None,
    )
