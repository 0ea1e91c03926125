"""The two pages of a sign-in with a provider: on the way there, and back."""

import hmac
from http import HTTPStatus
from typing import Final

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import Conflict, NotFound, Unauthenticated
from runpass.secret import Secret
from runpass.server.access.entrances import NO_COOKIE, as_person, enter, posted_by_nobody
from runpass.server.access.people_store import Person
from runpass.server.openid.accounts import account_of
from runpass.server.openid.id_tokens import NotProved
from runpass.server.openid.opening import OpenId
from runpass.server.openid.transport import ProviderFailed
from runpass.server.openid.under_way import NotUnderWay, UnderWay, begin, take
from runpass.server.web.cookies import SIGN_IN, cookie

_log = structlog.get_logger(__name__)
_LONGEST: Final = 4096
_NOT_OURS: Final = "This sign-in was not begun in this browser, was used already, or took longer than ten minutes."
_FAILED: Final = "The provider does not answer as it should. Try again later, or ask whoever runs this server."
_NOT_PROVED: Final = "The provider's answer does not prove who you are."
_SAID_NO: Final = "The provider did not sign you in."
_NO_ROLE: Final = "You are who you say, but no group of yours has a role here. Ask an admin for one."
_FULL: Final = "The organization has no room for one more person."


async def go(request: Request) -> Response:
    """Begin a sign-in and send the browser to the provider."""
    openid = _openid(request)
    fields = await posted_by_nobody(request)
    browser = cookie(request, SIGN_IN)
    if fields is None or browser is None:
        return _refused(request, NO_COOKIE, HTTPStatus.BAD_REQUEST)
    try:
        async with openid.turns:
            url = await run_in_threadpool(_begun, request, openid, browser, fields.get("next", ""))
    except ProviderFailed as error:
        return _provider_failed(request, error)
    # A page that goes on by itself: after a form, browsers hold redirections to our policy's `form-action` too.
    answer: Response = request.app.state.pages.page(
        request, "openid/going.html", {"url": url, "provider": _name(request)}
    )
    answer.headers["Refresh"] = f"0; url={url}"
    return answer


async def callback(request: Request) -> Response:
    """Take the provider's answer, and begin a session."""
    openid = _openid(request)
    try:
        under_way = await run_in_threadpool(_taken, request)
        async with openid.turns:
            person = await run_in_threadpool(_proved, request, openid, under_way)
        if person is None:
            return _refused(request, _NO_ROLE, HTTPStatus.FORBIDDEN)
        return await enter(request, as_person(request, person), under_way.place)
    except NotUnderWay:
        return _refused(request, _NOT_OURS, HTTPStatus.BAD_REQUEST)
    except ProviderFailed as error:
        return _provider_failed(request, error)
    except NotProved as error:
        _log.warning("openid.not_proved", message=error.message)
        return _refused(request, _NOT_PROVED, HTTPStatus.UNAUTHORIZED)
    except _SaidNo:
        return _refused(request, _SAID_NO, HTTPStatus.UNAUTHORIZED)
    except Unauthenticated:  # the account was removed between the provider's answer and the session
        return _refused(request, _NO_ROLE, HTTPStatus.FORBIDDEN)
    except Conflict as error:
        _log.warning("openid.no_account", code=error.code, message=error.message)
        return _refused(request, _FULL, HTTPStatus.CONFLICT)


ROUTES: Final = (
    Route("/sign-in/openid", go, methods=["POST"]),
    Route("/sign-in/callback", callback, methods=["GET"]),
)


class _SaidNo(Exception):
    """The provider answered with an error, as when somebody turned back there."""


def _openid(request: Request) -> OpenId:
    openid: OpenId | None = request.app.state.openid
    if openid is None:
        raise NotFound("nobody signs in here with a provider")
    return openid


def _begun(request: Request, openid: OpenId, browser: Secret, place: str) -> str:
    openid.provider.metadata()  # first, so that nothing is stored for a provider that does not answer
    with request.app.state.database.write() as tx:
        found = begin(tx, browser, place, request.app.state.clock.now())
    return openid.provider.authorization_url(state=found.state.reveal(), nonce=found.nonce, verifier=found.verifier)


def _taken(request: Request) -> UnderWay:
    state, browser = _parameter(request, "state"), cookie(request, SIGN_IN)
    if state is None or browser is None:
        raise NotUnderWay("no state, or no cookie")
    with request.app.state.database.write() as tx:
        return take(tx, Secret(state), browser, request.app.state.clock.now())


def _proved(request: Request, openid: OpenId, under_way: UnderWay) -> Person | None:
    _check_sender(request, openid)
    code = _parameter(request, "code")
    if code is None:
        raise _SaidNo
    proved = openid.id_tokens.proved(openid.provider.redeem(Secret(code), under_way.verifier), under_way.nonce)
    with request.app.state.database.write() as tx:
        return account_of(tx, proved, openid.roles.granted(proved.groups), request.app.state.clock.now())


def _check_sender(request: Request, openid: OpenId) -> None:
    """Raise `NotProved` for an answer that comes from another provider than the one that was asked (RFC 9207)."""
    if "iss" not in request.query_params:
        if openid.provider.metadata().names_itself:
            raise NotProved("the answer does not say which provider it comes from")
        return
    sender = _parameter(request, "iss") or ""
    if not hmac.compare_digest(sender.encode(), openid.provider.issuer.encode()):
        raise NotProved("the answer comes from another provider")


def _parameter(request: Request, name: str) -> str | None:
    """Give a parameter of the answer; None unless it is there exactly once and could be one."""
    found = request.query_params.getlist(name)
    is_one = len(found) == 1 and 0 < len(found[0]) <= _LONGEST and found[0].isascii() and found[0].isprintable()
    return found[0] if is_one else None


def _provider_failed(request: Request, error: ProviderFailed) -> Response:
    _log.warning("openid.provider_failed", message=error.message)
    return _refused(request, _FAILED, HTTPStatus.BAD_GATEWAY)


def _refused(request: Request, problem: str, status: int) -> Response:
    values = {"problem": problem, "provider": _name(request)}
    answer: Response = request.app.state.pages.page(request, "openid/refused.html", values, status)
    return answer


def _name(request: Request) -> str:
    name: str = request.app.state.settings.openid_name
    return name
