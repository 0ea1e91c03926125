"""JSON routes of organizations."""

from uuid import UUID

from fastapi import APIRouter, Response

from runpass.ids import OrganizationId
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.access.users import User, user
from runpass.server.db.engine import Transaction
from runpass.server.http.dependencies import Db, Now, Settings
from runpass.server.http.preconditions import IfMatch, tell_tag
from runpass.server.http.wire import ApiModel, Moment
from runpass.server.issuer.dependencies import KeyRings
from runpass.server.issuer.subjects import SubjectClaim
from runpass.server.tenancy.changing_policies import OrganizationPolicies
from runpass.server.tenancy.lookup import own_organization
from runpass.server.tenancy.model import IdentityIssuer, Organization
from runpass.server.tenancy.policy_requests import ChangePolicies

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
    changed = OrganizationPolicies(db, rings, settings, clock).change(caller, body, if_match)
    tell_tag(response, changed.updated_at)
    with db.read() as tx:
        return _answer(tx, changed, caller.organization_role.value)


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
