"""Changing an environment: its settings, its lifespan, its place, and whether it is archived."""

from datetime import datetime
from typing import Any
from uuid import UUID

from runpass.errors import Conflict
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.deployments.code import runnable_template
from runpass.server.deployments.dependencies import Desk
from runpass.server.deployments.model import Deployment
from runpass.server.environments.deploying import lifespan_for, note_ttl
from runpass.server.environments.holding import Held, cancel_all, check_idle, hold_environment, lock, note
from runpass.server.environments.lifespans import Ttl, as_asked, longest, outlives
from runpass.server.environments.requests import ChangeEnvironment, MoveEnvironment
from runpass.server.http.preconditions import check_unchanged
from runpass.server.tenancy import environment_store
from runpass.server.tenancy.lookup import environment_for, policy_at, project_for
from runpass.server.tenancy.model import Environment, EnvironmentStatus, Project
from runpass.server.tenancy.moving import check_policies
from runpass.server.tenancy.store import get_organization
from runpass.server.tenancy.tree_store import hold_open


def change_environment(
    tx: Transaction, desk: Desk, environment_id: UUID, body: ChangeEnvironment, *, if_match: str | None
) -> list[Deployment]:
    """Hold an environment and change what a request says; give the deployments that were cancelled by archiving.

    Raises `PreconditionFailed` if it is not what `if_match` names.
    """
    held = hold_to_change(tx, desk, environment_id, body)
    check_unchanged(if_match, held.environment.updated_at)
    return change(tx, desk, held, body)


def change(tx: Transaction, desk: Desk, held: Held, body: ChangeEnvironment) -> list[Deployment]:
    """Change what a request says; give the deployments that were cancelled by archiving."""
    environment = held.environment
    values: dict[str, Any] = {}
    decided = body.decided()
    if decided or body.name is not None:
        _check_settings(desk, held, decided)
        values["settings"] = {**environment.settings, **decided}
        values["name"] = environment.name if body.name is None else body.name
    cancelled: list[Deployment] = []
    action = "changed"
    if body.is_archived is not None and body.is_archived != environment.is_archived:
        cancelled = _archive(tx, desk, held, archived=body.is_archived)
        end = _end_of(tx, desk, held, archived=body.is_archived)
        values |= {"is_archived": body.is_archived, "lifespan_end_at": end}
        action = "archived" if body.is_archived else "unarchived"
    if values:
        now = desk.clock.now()
        environment_store.change_environment(tx, environment, values, now)
        note(tx, environment, action, by=desk.caller.audit_name, now=now, detail=_told(environment, decided))
    return cancelled


def _check_settings(desk: Desk, held: Held, decided: dict[str, Any]) -> None:
    """Raise `Forbidden` unless the caller may change settings, and take away an approval if that is what it does."""
    desk.caller.require(Permission.EDIT_ENVIRONMENT_SETTINGS, held.project.scope)
    if held.environment.requires_approval and decided.get("requires_approval") is False:
        # SECURITY: who may not approve a plan must not be able to do without.
        desk.caller.require(Permission.RUN_APPLY, held.project.scope)


def _told(environment: Environment, decided: dict[str, Any]) -> dict[str, str]:
    """Give what the audit trail tells of new settings: whether approval was asked for, if that is another answer."""
    wanted = decided.get("requires_approval", environment.requires_approval)
    return {} if wanted == environment.requires_approval else {"requiresApproval": str(wanted).lower()}


def _archive(tx: Transaction, desk: Desk, held: Held, *, archived: bool) -> list[Deployment]:
    desk.caller.require(Permission.ARCHIVE_ENVIRONMENT, held.project.scope)
    if archived:
        return cancel_all(tx, held.environment.id, by=desk.caller.audit_name, now=desk.clock.now())
    return []


def _end_of(tx: Transaction, desk: Desk, held: Held, *, archived: bool) -> datetime | None:
    """Give when an environment ends that is archived, or is so no more.

    SECURITY: what lives on must not outlive what the policies allow because it was archived in between. Of what was
    destroyed nothing lives; its next deployment decides.
    """
    if archived or held.environment.status is EnvironmentStatus.INACTIVE:
        return None
    return lifespan_for(tx, desk.caller, held.project, None, desk.clock.now())


def hold_to_change(tx: Transaction, desk: Desk, environment_id: UUID, body: ChangeEnvironment) -> Held:
    """Give the environment that a request is to change. To be unarchived, its project must be open."""
    return hold_environment(tx, desk.caller, environment_id, _needed(body), to_fill=body.is_archived is False)


def _needed(body: ChangeEnvironment) -> Permission:
    only_archives = body.is_archived is not None and body.name is None and not body.decided()
    return Permission.ARCHIVE_ENVIRONMENT if only_archives else Permission.EDIT_ENVIRONMENT_SETTINGS


def change_lifespan(tx: Transaction, desk: Desk, environment_id: UUID, ttl: Ttl, *, if_match: str | None) -> None:
    """Hold an environment and decide when it ends. Raises as `change_environment`, and as `lifespan_end`."""
    held = hold_environment(tx, desk.caller, environment_id, Permission.EDIT_ENVIRONMENT_SETTINGS)
    check_unchanged(if_match, held.environment.updated_at)
    change_ttl(tx, desk, held, ttl)


def change_ttl(tx: Transaction, desk: Desk, held: Held, ttl: Ttl) -> None:
    """Decide when an environment ends."""
    environment, now = held.environment, desk.clock.now()
    if environment.is_archived:
        raise Conflict("the environment is archived", hint="unarchive it first")
    end = lifespan_for(tx, desk.caller, held.project, ttl, now, where="")
    values = {"lifespan_end_at": end, "settings": {**environment.settings, **as_asked(ttl)}}
    environment_store.change_environment(tx, environment, values, now)
    note_ttl(tx, environment, end, by=desk.caller.audit_name, now=now)


def move(tx: Transaction, desk: Desk, environment_id: UUID, body: MoveEnvironment) -> Environment:
    """Put an environment into another project, with its variables; give it as it is then."""
    caller, now = desk.caller, desk.clock.now()
    environment, source = environment_for(tx, caller, environment_id, Permission.EDIT_ENVIRONMENT_SETTINGS)
    target = project_for(tx, caller, body.project_id, Permission.RUN_APPLY)
    caller.require(Permission.EDIT_ENVIRONMENT_SETTINGS, target.scope)
    hold_open(tx, source, target)
    environment = lock(tx, environment)
    if target.id == source.id:
        return environment
    check_idle(tx, environment.id)
    check_policies(tx, caller, source, target)
    _check_fits(tx, environment, target, now)
    environment_store.change_environment(tx, environment, {"project_id": target.id}, now)
    detail = {"fromProjectId": str(source.id), "toProjectId": str(target.id)}
    note(tx, environment, "moved", by=caller.audit_name, now=now, detail=detail)
    return environment_store.get_environment(tx, environment.organization_id, environment.id) or environment


def _check_fits(tx: Transaction, environment: Environment, target: Project, now: datetime) -> None:
    """Raise `InvalidInput` for a template that the target may not run, `Conflict` for too long a life."""
    if environment.template_id is not None:
        runnable_template(tx, target, environment.template_id)
    organization = get_organization(tx, target.organization_id)
    if organization is None or environment.is_archived:
        return
    policy = policy_at(tx, organization, target)
    if outlives(environment.lifespan_end_at, policy, now):
        raise Conflict(f"environments live at most {longest(policy)} there", hint="give this one a ttl first")
