"""JSON routes of connection tests: ours, env0 has no counterpart."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from runpass.protocol.vault_tasks import Checked, Verdict
from runpass.server.access.dependencies import Caller
from runpass.server.deployments.answers import RefusalCheckAnswer
from runpass.server.http.dependencies import Db, Now
from runpass.server.http.wire import ApiModel, Moment
from runpass.server.vault_tasks.asking_for_tests import ask_for_test, test_for
from runpass.server.vault_tasks.model import TaskStatus, VaultTask
from runpass.server.vault_tasks.test_requests import TestConnection

router = APIRouter(prefix="/connection-tests", tags=["Connection tests"])


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
        task = ask_for_test(tx, caller, body, clock)
    request.app.state.wakeups.work_arrived(task.pool_id)
    return _answer(task, task.status(clock.now()))


@router.get("/{test_id}")
def get(test_id: UUID, caller: Caller, db: Db, clock: Now) -> ConnectionTestAnswer:
    """Give a connection test, for those who manage the project's credentials."""
    with db.read() as tx:
        task, _ = test_for(tx, caller, test_id)
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
