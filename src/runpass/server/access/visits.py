"""Who asks for a page: what every page of the console that is not public begins with."""

from dataclasses import dataclass

from starlette.requests import Request

from runpass.errors import Unauthenticated
from runpass.secret import Secret
from runpass.server.access.actors import Actor, ActorKind
from runpass.server.access.permissions import Permission
from runpass.server.access.session_store import Session
from runpass.server.access.sessions import find_session
from runpass.server.web.cookies import SESSION, cookie
from runpass.server.web.forms import form_token
from runpass.server.web.pages import Visitor


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who is signed in."""

    actor: Actor
    session: Session
    bearer: Secret


def visit(request: Request) -> Visit:
    """Give who is signed in. Asks the database, so it is called in a thread. Raises `Unauthenticated`.

    SECURITY: the cookie alone counts here, and nowhere else: an API key in a header opens no page.
    """
    bearer = cookie(request, SESSION)
    if bearer is None:
        raise Unauthenticated("this needs a session")
    session, actor = find_session(request.app.state.database, bearer, request.app.state.clock)
    request.state.actor = actor
    permissions = frozenset(permission.value for permission in Permission if actor.may_somewhere(permission))
    is_person = actor.kind is ActorKind.PERSON
    request.state.visitor = Visitor(
        actor.name, form_token(bearer), str(actor.organization_id), permissions, is_person=is_person
    )
    return Visit(actor, session, bearer)
