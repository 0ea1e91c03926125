"""What the forms of environments share: the desk of their rules, a form that is sent twice, and its errors."""

import json
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from runpass.errors import RunpassError
from runpass.server.access import form_posts
from runpass.server.access.actors import Actor
from runpass.server.db.engine import Transaction
from runpass.server.deployments.dependencies import Desk, desk_of
from runpass.server.environments.idempotency import Done, Remember, do_once
from runpass.server.environments.idempotency_store import AskedOnce
from runpass.server.tenancy.project_pages import MOST_BYTES
from runpass.server.web.answering import Fields
from runpass.server.web.errors import in_sentences
from runpass.server.web.forms import FIELD

Rule = Callable[[Request, Desk, Fields], str]
"""Does what a form asks for; gives the path to go to."""
Draw = Callable[[Request, Desk, Fields, RunpassError | None], Response]
"""Draws the form: empty, or with what was sent and what was wrong with it."""

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")


async def answer_form(request: Request, rule: Rule, draw: Draw) -> Response:
    """Answer a form whose rule needs a desk."""

    def at_desk(request: Request, actor: Actor, fields: Fields) -> str:
        return rule(request, desk_of(request, actor), fields)

    def again(request: Request, actor: Actor, fields: Fields, error: RunpassError) -> Response:
        return draw(request, desk_of(request, actor), fields, error)

    return await form_posts.answer_form(request, at_desk, again, most_bytes=MOST_BYTES)


def new_key() -> str:
    """Give what a form carries so that sending it twice, as with a second click, queues one deployment."""
    return secrets.token_urlsafe(16)


def once(request: Request, desk: Desk, fields: Fields, work: Callable[[Transaction, Remember], Done]) -> Done:
    """Do the work of a form, or give what the same form did before. Raises as `do_once`."""
    key = fields.get("once", "")
    if not _KEY.fullmatch(key):
        return do_once(desk, None, Response(), work)
    sent = json.dumps(sorted((name, value) for name, value in fields.items() if name != FIELD))
    parts = (request.method.encode(), request.url.path.encode(), sent.encode())
    asked = AskedOnce(desk.caller.organization_id, desk.caller.audit_name, key, desk.cipher.fingerprints(*parts))
    return do_once(desk, asked, Response(), work)


def place_of(done: Done) -> str:
    """Give the page of what was queued, or of the environment where nothing was."""
    if done.deployment is not None:
        return f"/console/deployments/{done.deployment.id}"
    return f"/console/environments/{done.environment.id}?done=created"


def problem_above(error: RunpassError | None, at_fields: Mapping[str, str], drawn: set[str]) -> str:
    """Give what is said above a form: what stands at a field of it is not said twice."""
    if error is None:
        return ""
    if at_fields and set(at_fields) <= drawn:
        return "Nothing was done: see what is wrong below."
    return in_sentences(error)
