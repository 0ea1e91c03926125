"""Pages of a person alone: joining with an invitation code, and changing one's own password."""

from http import HTTPStatus
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import InvalidInput
from runpass.ids import PersonId
from runpass.secret import Secret
from runpass.server.access.actors import ActorKind
from runpass.server.access.entrances import NO_COOKIE, as_person, enter, entrance, posted_by_nobody
from runpass.server.access.people import WrongCode, found_person, invited_person, join
from runpass.server.access.people_store import Person
from runpass.server.access.refusals import Refusals
from runpass.server.access.sessions import start_session_of
from runpass.server.access.sign_ins import SignIns, WrongPassword
from runpass.server.access.visits import Visit, visit
from runpass.server.db.engine import Transaction
from runpass.server.http.limiting import source
from runpass.server.people.changing import change_password
from runpass.server.people.person_forms import ChangingPassword, Joining, check_password, parsed
from runpass.server.web.fields import errors_of, fields_of
from runpass.server.web.forms import posted
from runpass.server.web.pages import redirection
from runpass.server.web.places import HOME, SESSIONS

_WRONG_CODE: Final = "The name or the code is wrong, or the code was used, or is too old."
_WRONG_PASSWORD: Final = "The current password is wrong."  # noqa: S105 -- a sentence


def join_page(request: Request) -> Response:
    """Show the form for an invitation code."""
    return _join_form(request)


async def join_with_code(request: Request) -> Response:
    """Use an invitation up: set the password, and begin a session."""
    fields = await posted_by_nobody(request)
    if fields is None:
        return _join_form(request, problem=NO_COOKIE, status=HTTPStatus.BAD_REQUEST)
    try:
        person = await _joined(request, parsed(Joining, fields))
    except InvalidInput as error:
        return _join_form(request, fields.get("signInName", ""), error, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except WrongCode:
        return _join_form(request, fields.get("signInName", ""), problem=_WRONG_CODE, status=HTTPStatus.UNAUTHORIZED)
    return await enter(request, as_person(request, person), HOME)


def password_page(request: Request) -> Response:
    """Show the form for another password. API keys have none, so they are led on."""
    who = visit(request)
    return _password_form(request) if who.actor.kind is ActorKind.PERSON else redirection(SESSIONS)


async def change_own_password(request: Request) -> Response:
    """Put another password in the place of one's own: every session ends, and this browser gets a new one."""
    who = await run_in_threadpool(visit, request)
    fields = await posted(request, who.bearer)
    if who.actor.kind is not ActorKind.PERSON:
        return redirection(SESSIONS)
    refusals: Refusals = request.app.state.refusals
    try:
        person, new = await _proved_again(request, who, parsed(ChangingPassword, fields))
    except InvalidInput as error:
        return _password_form(request, error, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except WrongPassword as error:
        if error.person is not None:
            refusals.wrong_password(error.person)
        return _password_form(request, problem=_WRONG_PASSWORD, status=HTTPStatus.UNAUTHORIZED)
    now, came_from = request.app.state.clock.now(), source(request.scope)

    def start(tx: Transaction) -> Secret:
        return start_session_of(tx, change_password(tx, person, new, now), came_from, now)

    return await enter(request, start, SESSIONS)


ROUTES: Final = (
    Route("/join", join_page, methods=["GET"]),
    Route("/join", join_with_code, methods=["POST"]),
    Route("/password", password_page, methods=["GET"]),
    Route("/password", change_own_password, methods=["POST"]),
)


async def _joined(request: Request, wanted: Joining) -> Person:
    state = request.app.state
    sign_ins: SignIns = state.sign_ins
    now = state.clock.now()
    if not wanted.sign_in_name.isprintable():
        raise WrongCode("the name cannot be anybody's")
    person = await run_in_threadpool(invited_person, state.database, wanted.sign_in_name, wanted.code, now)
    check_password(wanted.new_password, person.sign_in_name, person.display_name)
    hashed = await sign_ins.passwords.hashed(wanted.new_password)

    def use() -> Person:
        with state.database.write() as tx:
            return join(tx, person, wanted.code, hashed, now)

    return await run_in_threadpool(use)


async def _proved_again(request: Request, who: Visit, wanted: ChangingPassword) -> tuple[Person, str]:
    """Give the person whose current password was right, and the hash of the new one."""
    sign_ins: SignIns = request.app.state.sign_ins
    person = await run_in_threadpool(_own, request, who)
    proved = await sign_ins.prove(person.sign_in_name, wanted.current_password, source(request.scope))
    check_password(wanted.new_password, person.sign_in_name, person.display_name)
    return proved, await sign_ins.passwords.hashed(wanted.new_password)


def _own(request: Request, who: Visit) -> Person:
    with request.app.state.database.read() as tx:
        return found_person(tx, who.actor.organization_id, PersonId(who.actor.id))


def _join_form(
    request: Request,
    name: str = "",
    error: InvalidInput | None = None,
    problem: str = "",
    status: int = HTTPStatus.OK,
) -> Response:
    fields = fields_of(Joining, {"signInName": name}, errors_of(error) if error else None)
    return entrance(request, "people/join.html", {"fields": fields}, problem, status)


def _password_form(
    request: Request, error: InvalidInput | None = None, problem: str = "", status: int = HTTPStatus.OK
) -> Response:
    fields = fields_of(ChangingPassword, None, errors_of(error) if error else None)
    values = {"fields": fields, "problem": problem}
    answer: Response = request.app.state.pages.page(request, "people/password.html", values, status)
    return answer
