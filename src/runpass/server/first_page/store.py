"""Every query of the first page that no other room has."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, or_, select

from runpass.ids import OrganizationId
from runpass.protocol.credentials import CredentialKind
from runpass.protocol.vault_tasks import Verdict
from runpass.server.db.engine import Transaction
from runpass.server.db.schema.credentials import credential_assignments, credentials
from runpass.server.db.schema.runners import runners
from runpass.server.db.schema.templates import templates
from runpass.server.db.schema.tenancy import environments, projects
from runpass.server.db.schema.vault_logins import vault_logins
from runpass.server.db.schema.vault_tasks import vault_tasks
from runpass.server.first_page.first_steps import Step
from runpass.server.tenancy.model import EnvironmentStatus

_TESTS_LOOKED_AT = 20
_DEPLOYED = (EnvironmentStatus.ACTIVE.value, EnvironmentStatus.INACTIVE.value)


def steps_done(tx: Transaction, organization_id: OrganizationId) -> frozenset[Step]:
    """Give the first steps that an organization has behind it."""
    its_own = credentials.c.organization_id == organization_id
    vaults = its_own & (credentials.c.type == CredentialKind.VAULT_OIDC.value)
    assigned = select(credential_assignments.c.id).where(credential_assignments.c.credential_id == credentials.c.id)
    for_a_project = or_(credentials.c.project_id.is_not(None), assigned.correlate(credentials).exists())
    there = projects.c.deleted_at.is_(None)
    kept = templates.c.is_deleted.is_(False) & templates.c.is_single_use.is_(False)
    answers: dict[Step, ColumnElement[bool]] = {
        Step.RUNNER: exists().where(runners.c.organization_id == organization_id, runners.c.revoked_at.is_(None)),
        Step.CREDENTIAL: exists().where(vaults),
        Step.PROJECT: exists().where(projects.c.organization_id == organization_id, there),
        Step.ASSIGNMENT: exists().where(vaults, for_a_project),
        Step.VAULT: exists().where(vault_logins.c.organization_id == organization_id, vault_logins.c.gave_token),
        Step.TEMPLATE: exists().where(templates.c.organization_id == organization_id, kept),
        Step.ENVIRONMENT: exists().where(environments.c.organization_id == organization_id),
        Step.DEPLOYMENT: exists().where(
            environments.c.organization_id == organization_id, environments.c.status.in_(_DEPLOYED)
        ),
    }
    row = tx.execute(select(*(answer.label(step.value) for step, answer in answers.items()))).one()
    found = {step for step in answers if getattr(row, step.value)}
    if Step.VAULT not in found and _a_test_went_well(tx, organization_id):
        found.add(Step.VAULT)
    return frozenset(found)


def count_in_touch(tx: Transaction, organization_id: OrganizationId, since: datetime) -> tuple[int, int]:
    """Count an organization's runners that called since then, and all of them that are not revoked."""
    mine = (runners.c.organization_id == organization_id) & runners.c.revoked_at.is_(None)
    query = select(func.count().filter(runners.c.last_seen_at >= since), func.count()).where(mine)
    in_touch, all_of_them = tx.execute(query).one()
    return in_touch, all_of_them


def _a_test_went_well(tx: Transaction, organization_id: OrganizationId) -> bool:
    """Whether one of the last connection tests found nothing that stops a login."""
    rows = tx.execute(_last_tests(organization_id)).scalars()
    return any(checks and all(item["verdict"] in _FINE for item in checks) for checks in rows)


_FINE = {Verdict.OK.value, Verdict.WARNING.value, Verdict.UNKNOWN.value}


def _last_tests(organization_id: UUID) -> Select[Any]:
    mine = vault_tasks.c.organization_id.between(organization_id, organization_id)
    newest_first = vault_tasks.c.organization_id.desc(), vault_tasks.c.id.desc()
    return select(vault_tasks.c.checks).where(mine).order_by(*newest_first).limit(_TESTS_LOOKED_AT)
