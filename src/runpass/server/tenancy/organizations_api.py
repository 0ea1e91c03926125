"""JSON routes of organizations."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field

from runpass.ids import OrganizationId
from runpass.server.access.actors import Actor
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.access.users import User, user
from runpass.server.audit import AuditEvent, record
from runpass.server.db.engine import Transaction
from runpass.server.http.dependencies import Db, Now, Settings
from runpass.server.http.preconditions import IfMatch, check_unchanged, tell_tag
from runpass.server.http.wire import ApiModel, Flag, Moment
from runpass.server.issuer.dependencies import KeyRings
from runpass.server.issuer.subjects import SubjectClaim
from runpass.server.tenancy import store
from runpass.server.tenancy.choosing_issuer import check_allowed, make_ready, take_leave
from runpass.server.tenancy.identities import NAMES as IDENTITY_POLICIES
from runpass.server.tenancy.identities import IdentityPolicies
from runpass.server.tenancy.lifetimes import Lifetime
from runpass.server.tenancy.lookup import own_organization
from runpass.server.tenancy.model import MAX_ALLOWED, MAX_AUDIENCE, IdentityIssuer, Organization
from runpass.server.tenancy.policies import OWN_COLUMNS, changed_columns, decided

router = APIRouter(prefix="/organizations", tags=["Organizations"])


class OrganizationAnswer(ApiModel):
    """Response: an organization and its policies."""

    id: UUID
    name: str
    description: str
    created_by: str
    created_by_user: User
    created_at: Moment
    updated_at: Moment
    role: str
    """The caller's, here."""
    max_ttl: str | None = None
    default_ttl: str | None = None
    requires_approval: bool = False
    allowed_identity_audiences: list[str] | None = None
    identity_subject: list[SubjectClaim] | None = None
    identity_prefixed_claims: bool = False
    identity_aws_tags: bool = False
    identity_aws_transitive_tags: list[str] | None = None
    identity_issuer: str = IdentityIssuer.SHARED.value
    enable_oidc: bool
    allow_clear_text_vault: bool
    is_self_hosted_k8s: bool = False
    do_not_report_skipped_status_checks: bool = False
    do_not_consider_merge_commits_for_pr_plans: bool = False
    enforce_pr_commenter_permissions: bool = False
    allow_mergeable_bypass_for_pr_apply: bool = False
    photo_url: str | None = None


AllowedAudience = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_AUDIENCE,
        pattern=r"^[!-~]+$",
        description="An audience, or with `*` at its end the beginning of one.",
    ),
]
Audiences = Annotated[
    list[AllowedAudience],
    Field(
        max_length=MAX_ALLOWED,
        description="Which audiences jobs may ask identity tokens for, beside the shared one; null: any.",
    ),
]


ChosenIssuer = Annotated[
    IdentityIssuer,
    Field(
        description="Whose tokens runs get: the `shared` issuer's, or the organization's `own`; `prepared` publishes"
        " the own one's keys while tokens still are of the shared one.",
    ),
]


class ChangePolicies(IdentityPolicies):
    """Request: policies of an organization; what is left out stays as it is, and null takes a limit away."""

    max_ttl: Lifetime = None
    default_ttl: Lifetime = None
    requires_approval: Flag | None = None
    allowed_identity_audiences: Audiences | None = None
    identity_issuer: ChosenIssuer | None = None
    enable_oidc: Flag | None = None
    allow_clear_text_vault: Flag | None = None
    do_not_report_skipped_status_checks: Flag | None = None
    do_not_consider_merge_commits_for_pr_plans: Flag | None = None
    enforce_pr_commenter_permissions: Flag | None = None
    allow_mergeable_bypass_for_pr_apply: Flag | None = None


_TOLD = {
    *OWN_COLUMNS,
    *IDENTITY_POLICIES,
    "requires_approval",
    "allowed_identity_audiences",
    "identity_issuer",
    "max_ttl",
    "default_ttl",
}
"""What the audit trail tells of a change, with its new value."""


@router.get("")
def list_all(caller: Caller, db: Db) -> list[OrganizationAnswer]:
    """List the organizations of the caller: an API key belongs to exactly one."""
    caller.require_organization(caller.organization_id, Permission.VIEW_ORGANIZATION)
    with db.read() as tx:
        return [_answer(tx, own_organization(tx, caller), caller.organization_role.value)]


@router.post("/{organization_id}/policies")
def change_policies(  # noqa: PLR0913 -- one parameter for each part of the request
    organization_id: UUID,
    body: ChangePolicies,
    caller: Caller,
    db: Db,
    *,
    clock: Now,
    response: Response,
    settings: Settings,
    rings: KeyRings,
    if_match: IfMatch = None,
) -> OrganizationAnswer:
    """Change an organization's policies."""
    caller.require_organization(OrganizationId(organization_id), Permission.EDIT_ORGANIZATION_SETTINGS)
    wanted = decided(body.model_dump(mode="json", by_alias=False, exclude_unset=True))
    check_allowed(body.identity_issuer, settings)
    make_ready(rings, caller.organization_id, body.identity_issuer)
    with db.write() as tx:
        organization = own_organization(tx, caller)
        check_unchanged(if_match, organization.updated_at)
        changed = store.update_organization(tx, organization, changed_columns(organization, wanted), clock.now())
        record(tx, _event(organization, caller, wanted, clock.now()))
        tell_tag(response, changed.updated_at)
        answer = _answer(tx, changed, caller.organization_role.value)
    take_leave(rings, changed)
    return answer


def _event(organization: Organization, caller: Actor, wanted: Mapping[str, Any], at: datetime) -> AuditEvent:
    detail = {name: _told(value) for name, value in wanted.items() if name in _TOLD}
    subject = str(organization.id)
    action = "organization.policies_changed"
    return AuditEvent(at, caller.audit_name, action, "organization", subject, organization.id, detail)


def _told(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value).lower()


def _answer(tx: Transaction, organization: Organization, role: str) -> OrganizationAnswer:
    return OrganizationAnswer(
        id=organization.id,
        name=organization.name,
        description=organization.description,
        created_by=organization.created_by,
        created_by_user=user(tx, organization.id, organization.created_by),
        created_at=organization.created_at,
        updated_at=organization.updated_at,
        role=role,
        enable_oidc=organization.enable_oidc,
        allow_clear_text_vault=organization.allow_clear_text_vault,
        **organization.policies,
    )
