"""The page of the first run. Once there is an organization, it is not there."""

from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Any, Final

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import InvalidInput, NotFound
from runpass.secret import Secret
from runpass.server.access.entrances import NO_COOKIE, as_person, enter, entrance, posted_by_nobody
from runpass.server.access.people import checked_sign_in_name
from runpass.server.access.people_store import Person
from runpass.server.access.sign_ins import SignIns
from runpass.server.http.wire import ApiModel, Name
from runpass.server.people.person_forms import NewPassword, SignInName, check_password, parsed
from runpass.server.tenancy.setting_up import FILE_NAME, FirstOnes, WrongToken, check_token, needs_set_up, set_up
from runpass.server.web.fields import errors_of, fields_of
from runpass.server.web.places import HOME

_WRONG: Final = "The set-up token is wrong, was used, or is too old. Make a new one: runpass set-up-token"


class SettingUp(ApiModel):
    """The set-up token, and what it is for."""

    token: Annotated[
        Secret,
        Field(title="Set-up token", description="From the terminal or the file that the server's start named."),
    ]
    organization: Annotated[
        Name, Field(title="Organization", description="Who uses this server: a company, or a team.", examples=["Acme"])
    ]
    sign_in_name: SignInName
    display_name: Annotated[Name, Field(title="Display name", description="What others see.", examples=["Ann Smith"])]
    new_password: NewPassword


def set_up_page(request: Request) -> Response:
    """Show the form."""
    if not needs_set_up(request.app.state.database):
        raise NotFound("there is no such page")
    return _form(request)


async def set_up_with_token(request: Request) -> Response:
    """Make the first organization and its admin, and sign the admin in."""
    if not await run_in_threadpool(needs_set_up, request.app.state.database):
        raise NotFound("there is no such page")
    fields = await posted_by_nobody(request)
    if fields is None:
        return _form(request, problem=NO_COOKIE, status=HTTPStatus.BAD_REQUEST)
    try:
        person = await _made(request, parsed(SettingUp, fields))
    except InvalidInput as error:
        return _form(request, fields, error, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    except WrongToken:
        return _form(request, fields, problem=_WRONG, status=HTTPStatus.UNAUTHORIZED)
    return await enter(request, as_person(request, person), HOME)


ROUTES: Final = (
    Route("/set-up", set_up_page, methods=["GET"]),
    Route("/set-up", set_up_with_token, methods=["POST"]),
)


async def _made(request: Request, wanted: SettingUp) -> Person:
    state = request.app.state
    sign_ins: SignIns = state.sign_ins
    now = state.clock.now()
    stored = await run_in_threadpool(check_token, state.database, wanted.token, now)
    name = checked_sign_in_name(wanted.sign_in_name)
    check_password(wanted.new_password, name, wanted.display_name)
    first = FirstOnes(organization=wanted.organization, sign_in_name=name, display_name=wanted.display_name)
    hashed = await sign_ins.passwords.hashed(wanted.new_password)

    def make() -> Person:
        with state.database.write() as tx:
            person = set_up(tx, stored, first, hashed, now)
        with suppress(OSError):  # the token in it is used up
            (state.settings.data_dir / FILE_NAME).unlink(missing_ok=True)
        return person

    return await run_in_threadpool(make)


def _form(
    request: Request,
    given: Any = None,
    error: InvalidInput | None = None,
    problem: str = "",
    status: int = HTTPStatus.OK,
) -> Response:
    fields = fields_of(SettingUp, given, errors_of(error) if error else None)
    return entrance(request, "tenancy/set_up.html", {"fields": fields}, problem, status)
