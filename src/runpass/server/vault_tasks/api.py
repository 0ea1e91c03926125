"""JSON routes of connection tests: ours, env0 has no counterpart."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field, StringConstraints

from runpass.errors import InvalidInput, NotFound
from runpass.ids import CredentialId, VaultTaskId
from runpass.protocol.vault_tasks import MAX_PATH, MAX_PATHS, Checked, Verdict
from runpass.server.access.dependencies import Caller
from runpass.server.access.permissions import Permission
from runpass.server.deployments.answers import RefusalCheckAnswer
from runpass.server.http.dependencies import Db, Now
from runpass.server.http.wire import ApiModel, Moment, PoolName
from runpass.server.runners.model import DEFAULT_POOL
from runpass.server.runners.store import find_pool
from runpass.server.tenancy.lookup import project_for
from runpass.server.tenancy.store import get_project
from runpass.server.vault_tasks import store
from runpass.server.vault_tasks.connection_tests import Asked, queue_test
from runpass.server.vault_tasks.model import TaskStatus, VaultTask

router = APIRouter(prefix="/connection-tests", tags=["Connection tests"])

SecretPath = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PATH, pattern=r"^[^\x00-\x1f\x7f]+$")]


class TestConnection(ApiModel):
    """Request: which credential to test, as runs of which project, and what they should be able to read."""

    __test__ = False  # pytest: this is no test
    project_id: UUID
    credential_id: UUID
    pool: PoolName = DEFAULT_POOL
    paths: Annotated[list[SecretPath], Field(max_length=MAX_PATHS, default_factory=list)]


class CheckAnswer(ApiModel):
    """Response: one check."""

    name: str
    verdict: Verdict
    seen: str
    next_step: str | None = None
    explained: Annotated[list[RefusalCheckAnswer], Field(default_factory=list)]


class ConnectionTestAnswer(ApiModel):
    """Response: a connection test and, once it is `DONE`, its checks in the order in which they were made."""

    id: UUID
    project_id: UUID
    credential_id: UUID
    status: TaskStatus
    runner_id: UUID | None = None
    requested_by: str
    created_at: Moment
    finished_at: Moment | None = None
    checks: list[CheckAnswer] | None = None


@router.post("", status_code=201)
def test_connection(body: TestConnection, request: Request, caller: Caller, db: Db, clock: Now) -> ConnectionTestAnswer:
    """Ask a runner of a pool to log in as a run of the project would, and to say what it sees on the way.

    The server itself never connects to a Vault.
    """
    with db.write() as tx:
        project = project_for(tx, caller, body.project_id, Permission.MANAGE_CREDENTIALS)
        pool_id = find_pool(tx, caller.organization_id, body.pool)
        if pool_id is None:
            raise InvalidInput.of("pool", "names no pool of runners of this organization")
        asked = Asked(project, CredentialId(body.credential_id), pool_id, tuple(body.paths))
        task = queue_test(tx, asked, caller, clock)
    request.app.state.wakeups.work_arrived(pool_id)
    return _answer(task, task.status(clock.now()))


@router.get("/{test_id}")
def get(test_id: UUID, caller: Caller, db: Db, clock: Now) -> ConnectionTestAnswer:
    """Give a connection test, for those who manage the project's credentials."""
    with db.read() as tx:
        task = store.get_task(tx, caller.organization_id, VaultTaskId(test_id))
        project = get_project(tx, caller.organization_id, task.project_id) if task else None
    if task is None or project is None or not caller.may(Permission.MANAGE_CREDENTIALS, project.scope):
        raise NotFound("there is no such connection test")
    return _answer(task, task.status(clock.now()))


def _answer(task: VaultTask, status: TaskStatus) -> ConnectionTestAnswer:
    return ConnectionTestAnswer(
        id=task.id,
        project_id=task.project_id,
        credential_id=task.credential_id,
        status=status,
        runner_id=task.runner_id,
        requested_by=task.requested_by,
        created_at=task.created_at,
        finished_at=task.finished_at,
        checks=None if task.checks is None else [_check(item) for item in task.checks],
    )


def _check(found: Checked) -> CheckAnswer:
    explained = [RefusalCheckAnswer.model_validate(item.model_dump()) for item in found.explained]
    return CheckAnswer(
        name=found.name, verdict=found.verdict, seen=found.seen, next_step=found.next_step, explained=explained
    )
