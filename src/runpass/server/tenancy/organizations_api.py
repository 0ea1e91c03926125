"""JSON routes of organizations."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter

from runpass.ids import OrganizationId
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.audit import AuditEvent, record
from runpass.server.http.dependencies import Db, Now
from runpass.server.http.wire import ApiModel, Flag, Moment, ShortText
from runpass.server.tenancy import store
from runpass.server.tenancy.lookup import own_organization
from runpass.server.tenancy.model import Organization

router = APIRouter(prefix="/organizations", tags=["Organizations"])


class OrganizationAnswer(ApiModel):
    """Response: an organization and its policies."""

    id: UUID
    name: str
    description: str
    created_by: str
    created_at: Moment
    updated_at: Moment
    role: str
    max_ttl: str | None = None
    default_ttl: str | None = None
    enable_oidc: bool
    allow_clear_text_vault: bool
    is_self_hosted_k8s: bool = False
    do_not_report_skipped_status_checks: bool = False
    do_not_consider_merge_commits_for_pr_plans: bool = False
    enforce_pr_commenter_permissions: bool = False
    allow_mergeable_bypass_for_pr_apply: bool = False
    photo_url: str | None = None


class ChangePolicies(ApiModel):
    """Request: policies of an organization; what is left out stays as it is."""

    max_ttl: ShortText | None = None
    default_ttl: ShortText | None = None
    enable_oidc: Flag | None = None
    allow_clear_text_vault: Flag | None = None
    do_not_report_skipped_status_checks: Flag | None = None
    do_not_consider_merge_commits_for_pr_plans: Flag | None = None
    enforce_pr_commenter_permissions: Flag | None = None
    allow_mergeable_bypass_for_pr_apply: Flag | None = None


_COLUMNS = {"enable_oidc", "allow_clear_text_vault"}
_CLEARABLE = {"max_ttl", "default_ttl"}
"""Null takes these away; null for any other policy leaves it as it is."""


@router.get("")
def list_all(caller: Caller, db: Db) -> list[OrganizationAnswer]:
    """List the organizations of the caller: an API key belongs to exactly one."""
    caller.require_organization(caller.organization_id, Permission.VIEW_ORGANIZATION)
    with db.read() as tx:
        return [_answer(own_organization(tx, caller), caller.organization_role.value)]


@router.post("/{organization_id}/policies")
def change_policies(
    organization_id: UUID, body: ChangePolicies, caller: Caller, db: Db, clock: Now
) -> OrganizationAnswer:
    """Change an organization's policies."""
    caller.require_organization(OrganizationId(organization_id), Permission.EDIT_ORGANIZATION_SETTINGS)
    sent = body.model_dump(exclude_unset=True)
    with db.write() as tx:
        organization = own_organization(tx, caller)
        columns: dict[str, Any] = {name: sent[name] for name in _COLUMNS if sent.get(name) is not None}
        others = {name: value for name, value in sent.items() if value is not None or name in _CLEARABLE}
        columns["policies"] = {**organization.policies, **{k: v for k, v in others.items() if k not in _COLUMNS}}
        store.update_organization(tx, organization.id, columns, clock.now())
        detail = {name: str(value).lower() for name, value in columns.items() if name in _COLUMNS}
        event = AuditEvent(
            clock.now(),
            caller.audit_name,
            "organization.policies_changed",
            "organization",
            str(organization.id),
            organization.id,
            detail,
        )
        record(tx, event)
        return _answer(own_organization(tx, caller), caller.organization_role.value)


def _answer(organization: Organization, role: str) -> OrganizationAnswer:
    return OrganizationAnswer(
        id=organization.id,
        name=organization.name,
        description=organization.description,
        created_by=organization.created_by,
        created_at=organization.created_at,
        updated_at=organization.updated_at,
        role=role,
        enable_oidc=organization.enable_oidc,
        allow_clear_text_vault=organization.allow_clear_text_vault,
        **organization.policies,
    )
