"""Pages of connection tests: asking for one, seeing it while it goes on, and what came of earlier ones."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import InvalidInput, NotFound, RunpassError, TooManyRequests
from runpass.ids import ProjectId
from runpass.protocol.wire import decode
from runpass.server.access.actors import Actor
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.users import user, users
from runpass.server.access.visits import visit
from runpass.server.credentials.store import get_credential
from runpass.server.db.engine import Transaction
from runpass.server.runners.model import IN_TOUCH
from runpass.server.runners.store import get_runner, pool_name, serves
from runpass.server.tenancy.lookup import project_for
from runpass.server.tenancy.model import Project
from runpass.server.tenancy.project_places import places_of
from runpass.server.tenancy.store import list_by_id
from runpass.server.tenancy.visibility import visible_to
from runpass.server.vault_tasks import store
from runpass.server.vault_tasks.asking_for_tests import Testable, ask_for_test, test_for, testable
from runpass.server.vault_tasks.model import TaskStatus, VaultTask
from runpass.server.vault_tasks.test_requests import TestConnection
from runpass.server.vault_tasks.test_view import view_of
from runpass.server.web.answering import Fields, answer_page, problem_of
from runpass.server.web.fields import Choice, FieldKind, FormField, errors_of, fields_of
from runpass.server.web.forms import posted
from runpass.server.web.pages import NO_STORE, redirection
from runpass.server.web.paging import PAGE, offset_of, paged

_ALL: Final = "/credentials/{credential_id}/tests"
_ONE: Final = f"{_ALL}/{{test_id}}"
_MOST_CHOICES: Final = 100
_MOST_BYTES: Final = 131_072
"""Of a form: fifty paths, whose characters are each sent as three."""


def tests_page(request: Request) -> Response:
    """Show the form for a connection test, and the tests before it."""
    return _show(request, visit(request).actor, {})


async def start(request: Request) -> Response:
    """Have a connection tested, and go to the page of the test."""
    who = await run_in_threadpool(visit, request)
    fields = await posted(request, who.bearer, most_bytes=_MOST_BYTES)
    return await run_in_threadpool(_start, request, who.actor, fields)


def test_page(request: Request) -> Response:
    """Show one test."""
    actor = visit(request).actor
    with request.app.state.database.read() as tx:
        values = _values(request, tx, actor)
    return answer_page(request, "vault_tasks/test.html", values)


def checks_part(request: Request) -> Response:
    """Give the part of the page that changes, for a page that is open; nothing while it is as `seen` says."""
    actor = visit(request).actor
    with request.app.state.database.read() as tx:
        values = _values(request, tx, actor)
    if values["state"] == request.query_params.get("seen"):
        return Response(status_code=204, headers=dict(NO_STORE))
    answer: Response = request.app.state.pages.fragment(request, "vault_tasks/_test.html", values)
    return answer


ROUTES: Final = (
    Route(_ALL, tests_page, methods=["GET"]),
    Route(_ALL, start, methods=["POST"]),
    Route(_ONE, test_page, methods=["GET"]),
    Route(f"{_ONE}/checks", checks_part, methods=["GET"]),
)


def _values(request: Request, tx: Transaction, actor: Actor) -> dict[str, Any]:
    """Give what a page says of a test. Raises `NotFound`, also for one that is another credential's."""
    now: datetime = request.app.state.clock.now()
    task, project = test_for(tx, actor, uuid_in(request, "test_id"))
    if task.credential_id != uuid_in(request, "credential_id"):
        raise NotFound("there is no such connection test")
    status = task.status(now)
    waits = status is TaskStatus.QUEUED
    has_runner = not waits or serves(tx, project, task.pool_id, now - IN_TOUCH)
    return {
        "test": view_of(task, status),
        "state": f"{status.value}{'' if has_runner else '-alone'}",
        "has_runner": has_runner,
        "project": project,
        "credential": get_credential(tx, actor.organization_id, task.credential_id),
        "pool": pool_name(tx, task.pool_id),
        "runner": get_runner(tx, task.runner_id) if task.runner_id else None,
        "asked_by": user(tx, actor.organization_id, task.requested_by),
        "path": _path(task),
    }


def _path(task: VaultTask) -> str:
    return f"/console/credentials/{task.credential_id}/tests/{task.id}"


def _start(request: Request, actor: Actor, fields: Fields) -> Response:
    state, credential_id = request.app.state, uuid_in(request, "credential_id")
    given = {
        "projectId": fields.get("projectId", ""),
        "credentialId": str(credential_id),
        "pool": fields.get("pool", "").strip(),
        "paths": _lines(fields),
    }
    try:
        with state.database.write() as tx:
            # First the credential of the path, so that what is not found after it is the project, which has a field.
            _testable(tx, actor, credential_id, fields.get("projectId", ""))
            wanted = decode(TestConnection, json.dumps({key: value for key, value in given.items() if value}).encode())
            try:
                task = ask_for_test(tx, actor, wanted, state.clock)
            except NotFound as error:
                raise InvalidInput.of("projectId", error.message) from None
    except (InvalidInput, TooManyRequests) as error:
        return _show(request, actor, fields, error)
    state.wakeups.work_arrived(task.pool_id)
    return redirection(_path(task))


def _lines(fields: Fields) -> list[str]:
    return [line.strip() for line in fields.get("paths", "").splitlines() if line.strip()]


def _testable(tx: Transaction, actor: Actor, credential_id: UUID, project_id: str) -> Testable:
    """Give the credential with the projects to choose from, the one that was named among them.

    Raises `NotFound` for a credential that the visitor may neither see nor test.
    """
    found = testable(tx, actor, credential_id, _MOST_CHOICES)
    try:
        named = project_for(tx, actor, UUID(project_id), Permission.MANAGE_CREDENTIALS)
    except (ValueError, RunpassError):
        return found
    return found if named in found.projects else replace(found, projects=(*found.projects, named))


def _show(request: Request, actor: Actor, sent: Fields, error: RunpassError | None = None) -> Response:
    chosen = sent.get("projectId", request.query_params.get("project", ""))
    offset = 0 if error else offset_of(request)
    now: datetime = request.app.state.clock.now()
    with request.app.state.database.read() as tx:
        found = _testable(tx, actor, uuid_in(request, "credential_id"), chosen)
        visible = visible_to(tx, actor, Permission.MANAGE_CREDENTIALS)
        credential = found.credential
        tasks = store.list_tasks(tx, actor.organization_id, credential.id, visible, limit=PAGE + 1, offset=offset)
        rows, paging = paged(request, tasks)
        projects = list_by_id(tx, actor.organization_id, {task.project_id for task in rows})
        askers = users(tx, actor.organization_id, {task.requested_by for task in rows})
        places = places_of(tx, actor, found.projects)
    wrong = _wrong(error)
    values = {
        "organization_id": actor.organization_id,
        "credential": credential,
        "may_open": found.may_open,
        "is_complete": found.is_complete,
        "fields": _fields(found.projects, places, sent, chosen, wrong) if found.projects else [],
        "rows": [
            {
                "test": view_of(task, task.status(now)),
                "path": _path(task),
                "project": projects.get(task.project_id),
                "asked_by": askers[task.requested_by],
            }
            for task in rows
        ],
        "paging": paging,
        "problem": problem_of(error, "tested"),
    }
    answer = answer_page(request, "vault_tasks/tests.html", values, error)
    if isinstance(error, TooManyRequests):
        answer.headers["Retry-After"] = str(error.retry_after_seconds)
    return answer


def _wrong(error: RunpassError | None) -> Mapping[str, str]:
    """Give what is wrong by field of the form."""
    if not isinstance(error, InvalidInput):
        return {}
    found = errors_of(error)
    places = {name: name.partition(".")[0] for name in found}  # one of several paths
    by_field = {places[name]: message for name, message in found.items()}
    if "credentialId" in by_field:  # it is the path's own: so the project is not one that gets it
        by_field.setdefault("projectId", "must be a project whose runs get this credential")
    return by_field


def _fields(
    projects: Sequence[Project],
    places: Mapping[ProjectId, tuple[Project, ...]],
    sent: Fields,
    chosen: str,
    wrong: Mapping[str, str],
) -> list[FormField]:
    given = {"projectId": chosen, "paths": sent.get("paths", "")} | ({"pool": sent["pool"]} if "pool" in sent else {})
    drawn = {one.name: one for one in fields_of(TestConnection, given, wrong)}
    choices = tuple(Choice(str(one.id), " / ".join(item.name for item in (*places[one.id], one))) for one in projects)
    return [
        replace(drawn["projectId"], kind=FieldKind.CHOICE, choices=choices),
        replace(drawn["pool"], is_required=True),
        replace(drawn["paths"], kind=FieldKind.TEXT, example="kv/app.password"),
    ]
