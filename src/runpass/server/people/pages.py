"""The pages of an organization's people: inviting, other roles, a new invitation, ending sessions, removal."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import Conflict, InvalidInput, RunpassError
from runpass.ids import OrganizationId, PersonId, SessionId
from runpass.server.access import people_store, session_store, store
from runpass.server.access.actors import ActorKind
from runpass.server.access.pages import uuid_in
from runpass.server.access.people import INVITATION, Invited, PersonRequest, found_person, invite_person, person_actor
from runpass.server.access.people_store import Person
from runpass.server.access.permissions import Permission
from runpass.server.access.sessions import end_session_of
from runpass.server.access.visits import Visit, visit
from runpass.server.db.engine import Transaction
from runpass.server.people import identity_store
from runpass.server.people.changing import change_roles, invite_again, remove_person
from runpass.server.people.person_forms import parsed
from runpass.server.people.role_forms import AT_FIRST, NewPerson, Roles, fields_with_projects, roles_after
from runpass.server.web.answering import answer_page, problem_of
from runpass.server.web.errors import to_sign_in
from runpass.server.web.forms import posted
from runpass.server.web.navigation import ORGANIZATIONS, Section
from runpass.server.web.pages import redirection

Change = Callable[[Transaction, Request, Visit, Person, Mapping[str, str]], Invited | None]


def people_page(request: Request) -> Response:
    """List the people."""
    return _list(request, _allowed(request))


async def invite(request: Request) -> Response:
    """Invite somebody, and show the code in this answer alone, which no cache keeps."""
    who = await run_in_threadpool(_allowed, request)
    fields = await posted(request, who.bearer)
    return await run_in_threadpool(_invited, request, who, fields)


def person_page(request: Request) -> Response:
    """Show one person, with the sessions."""
    return _one(request, _allowed(request))


def _changing(change: Change, place: str = "") -> Callable[[Request], Any]:
    """Give the handler of a form on a person's page; `place` is where it leads, below the list."""

    async def handler(request: Request) -> Response:
        who = await run_in_threadpool(_allowed, request)
        fields = await posted(request, who.bearer)
        return await run_in_threadpool(_changed, request, who, fields, change, place)

    return handler


def _roles(tx: Transaction, request: Request, who: Visit, person: Person, fields: Mapping[str, str]) -> None:
    form, now = parsed(Roles, fields), request.app.state.clock.now()
    on = roles_after(form, person.project_roles)
    change_roles(tx, who.actor, person.id, role=form.organization_role, on=on, now=now)


def _again(tx: Transaction, request: Request, who: Visit, person: Person, _: Mapping[str, str]) -> Invited:
    return invite_again(tx, who.actor, person.id, request.app.state.clock)


def _remove(tx: Transaction, request: Request, who: Visit, person: Person, _: Mapping[str, str]) -> None:
    remove_person(tx, who.actor, person.id, request.app.state.clock.now())


def _end(tx: Transaction, request: Request, who: Visit, person: Person, _: Mapping[str, str]) -> None:
    session, now = SessionId(uuid_in(request, "session_id")), request.app.state.clock.now()
    end_session_of(tx, person_actor(person), session, by=who.actor.audit_name, now=now)


NAVIGATION: Final = (Section("People", "people", Permission.MANAGE_PEOPLE, 70),)
_PEOPLE: Final = "/organizations/{organization_id}/people"
_PERSON: Final = f"{_PEOPLE}/{{person_id}}"
ROUTES: Final = (
    Route(_PEOPLE, people_page, methods=["GET"]),
    Route(_PEOPLE, invite, methods=["POST"]),
    Route(_PERSON, person_page, methods=["GET"]),
    Route(f"{_PERSON}/roles", _changing(_roles, "/{person_id}"), methods=["POST"]),
    Route(f"{_PERSON}/invite", _changing(_again), methods=["POST"]),
    Route(f"{_PERSON}/remove", _changing(_remove), methods=["POST"]),
    Route(f"{_PERSON}/sessions/{{session_id}}/end", _changing(_end, "/{person_id}"), methods=["POST"]),
)


def _allowed(request: Request) -> Visit:
    who = visit(request)
    organization = OrganizationId(uuid_in(request, "organization_id"))
    who.actor.require_organization(organization, Permission.MANAGE_PEOPLE)
    return who


def _invited(request: Request, who: Visit, fields: Mapping[str, str]) -> Response:
    try:
        form = parsed(NewPerson, fields)
        wanted = PersonRequest(
            organization_id=who.actor.organization_id,
            sign_in_name=form.sign_in_name,
            display_name=form.display_name,
            organization_role=form.organization_role,
            project_roles=roles_after(form, {}),
        )
        with request.app.state.database.write() as tx:
            invited = invite_person(tx, wanted, by=who.actor.audit_name, clock=request.app.state.clock)
    except (InvalidInput, Conflict) as error:
        return _list(request, who, given=fields, error=error)
    return _list(request, who, invited=invited)


def _changed(request: Request, who: Visit, fields: Mapping[str, str], change: Change, place: str) -> Response:
    person_id = PersonId(uuid_in(request, "person_id"))
    try:
        with request.app.state.database.write() as tx:
            person = found_person(tx, who.actor.organization_id, person_id)
            invited = change(tx, request, who, person, fields)
    except InvalidInput as error:
        return _one(request, who, given=fields, error=error)
    except Conflict as error:
        return _one(request, who, error=error)
    if not _is_still_in(request, who):
        return to_sign_in(request)
    if invited is not None:
        return _list(request, who, invited=invited)
    return redirection(f"{ORGANIZATIONS}/{who.actor.organization_id}/people" + place.format(person_id=person_id))


def _is_still_in(request: Request, who: Visit) -> bool:
    """Whether the visitor has a session left: a change of one's own roles ends it."""
    if who.actor.kind is not ActorKind.PERSON:
        return True
    with request.app.state.database.read() as tx:
        left = session_store.list_sessions(tx, who.actor, request.app.state.clock.now())
    return any(session.id == who.session.id for session in left)


def _list(
    request: Request,
    who: Visit,
    *,
    given: Any = None,
    error: RunpassError | None = None,
    invited: Invited | None = None,
) -> Response:
    organization = who.actor.organization_id
    wrong = error if isinstance(error, InvalidInput) else None
    with request.app.state.database.read() as tx:
        projects = store.project_names(tx, organization)
        people = people_store.list_people(tx, organization)
    values = {
        "organization_id": organization,
        "people": people,
        "now": request.app.state.clock.now(),
        "fields": fields_with_projects(NewPerson, projects, given or AT_FIRST, wrong),
        "problem": problem_of(error, "made"),
        "invited": invited.person if invited else None,
        "code": invited.code.reveal() if invited else "",
        "hours": int(INVITATION.total_seconds() // 3600),
        "join_at": f"{request.app.state.settings.public_url}/console/join",
    }
    return answer_page(request, "people/people.html", values, error)


def _one(
    request: Request,
    who: Visit,
    *,
    given: Any = None,
    error: RunpassError | None = None,
) -> Response:
    organization = who.actor.organization_id
    wrong = error if isinstance(error, InvalidInput) else None
    with request.app.state.database.read() as tx:
        person = found_person(tx, organization, PersonId(uuid_in(request, "person_id")))
        projects = store.project_names(tx, organization)
        sessions = session_store.list_sessions(tx, person_actor(person), request.app.state.clock.now())
        has_provider = identity_store.has_identity(tx, person.id)
    now = {"organizationRole": person.organization_role.value}
    values = {
        "organization_id": organization,
        "person": person,
        "has_provider": has_provider,
        "roles": [f"{role.value} of {projects.get(item, item)}" for item, role in person.project_roles.items()],
        "sessions": sessions,
        "fields": fields_with_projects(Roles, projects, given or now, wrong),
        "problem": problem_of(error),
    }
    return answer_page(request, "people/person.html", values, error)
