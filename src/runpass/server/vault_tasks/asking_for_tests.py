"""Who may have a connection tested, as runs of which projects, and who sees what came of it: for both doors."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from runpass.clock import Clock
from runpass.errors import InvalidInput, NotFound
from runpass.ids import CredentialId, ProjectId, VaultTaskId
from runpass.protocol.credentials import CredentialKind
from runpass.server.access.actors import Actor, ScopePath
from runpass.server.access.permissions import Permission
from runpass.server.credentials.choice_store import projects_reached
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.store import get_credential
from runpass.server.db.engine import Transaction
from runpass.server.runners.store import find_pool
from runpass.server.tenancy.lookup import project_for
from runpass.server.tenancy.model import Project
from runpass.server.tenancy.store import get_project, list_by_id
from runpass.server.vault_tasks import store
from runpass.server.vault_tasks.connection_tests import Asked, queue_test
from runpass.server.vault_tasks.model import VaultTask
from runpass.server.vault_tasks.test_requests import TestConnection

MOST_LOOKED_AT: Final = 2_000
"""Projects with a credential among which those that somebody manages are looked for."""


@dataclass(frozen=True, slots=True)
class Testable:
    """A credential, and as runs of which projects somebody may have it tested."""

    __test__ = False  # pytest: this is no test
    credential: StoredCredential
    may_open: bool
    """Whether they may see the credential itself."""
    projects: tuple[Project, ...]
    """Each one before those below it."""
    is_complete: bool


def ask_for_test(tx: Transaction, actor: Actor, wanted: TestConnection, clock: Clock) -> VaultTask:
    """Queue a connection test. Raises what `project_for` and `queue_test` do; `InvalidInput` for an unknown pool."""
    project = project_for(tx, actor, wanted.project_id, Permission.MANAGE_CREDENTIALS)
    pool_id = find_pool(tx, actor.organization_id, wanted.pool)
    if pool_id is None:
        raise InvalidInput.of("pool", "names no pool of runners of this organization")
    asked = Asked(project, CredentialId(wanted.credential_id), pool_id, tuple(wanted.paths))
    return queue_test(tx, asked, actor, clock)


def test_for(tx: Transaction, actor: Actor, test_id: UUID) -> tuple[VaultTask, Project]:
    """Give a connection test and its project, for those who manage the project's credentials. Raises `NotFound`."""
    task = store.get_task(tx, actor.organization_id, VaultTaskId(test_id))
    project = get_project(tx, actor.organization_id, task.project_id) if task else None
    if task is None or project is None or not actor.may(Permission.MANAGE_CREDENTIALS, project.scope):
        raise NotFound("there is no such connection test")
    return task, project


def testable(tx: Transaction, actor: Actor, credential_id: UUID, limit: int) -> Testable:
    """Give a Vault credential with at most `limit` projects that get it and whose credentials this actor manages.

    Raises `NotFound` unless the actor may see the credential, or manages a project that gets it.
    """
    credential = get_credential(tx, actor.organization_id, CredentialId(credential_id))
    if credential is None or credential.kind is not CredentialKind.VAULT_OIDC:
        raise _no_such()
    manages_all = actor.projects_with(Permission.MANAGE_CREDENTIALS) is None
    most = limit if manages_all else MOST_LOOKED_AT
    found = projects_reached(tx, credential, most + 1)
    mine = [
        path[-1]
        for path in found[:most]
        if actor.may(Permission.MANAGE_CREDENTIALS, ScopePath(actor.organization_id, path))
    ]
    may_open = _may_see(tx, actor, credential)
    if not (mine or may_open):
        raise _no_such()
    known = list_by_id(tx, actor.organization_id, mine[:limit])
    return Testable(
        credential=credential,
        may_open=may_open,
        projects=tuple(known[item] for item in mine[:limit] if item in known),
        is_complete=len(found) <= most and len(mine) <= limit,
    )


def _may_see(tx: Transaction, actor: Actor, credential: StoredCredential) -> bool:
    if credential.project_id is None:
        return actor.may(Permission.VIEW_CREDENTIALS, ScopePath(actor.organization_id))
    owner = get_project(tx, actor.organization_id, ProjectId(credential.project_id))
    return owner is not None and actor.may(Permission.VIEW_CREDENTIALS, owner.scope)


def _no_such() -> NotFound:
    return NotFound("there is no such Vault OIDC credential")
