"""A form that somebody who is signed in sent: who it is, the fields, what it asks for, then on or the page again."""

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from runpass.errors import Conflict, InvalidInput, PreconditionFailed, RunpassError
from runpass.server.access.actors import Actor
from runpass.server.access.visits import visit
from runpass.server.web.answering import Fields
from runpass.server.web.forms import MOST_BYTES, posted
from runpass.server.web.pages import redirection

Rule = Callable[[Request, Actor, Fields], str]
"""Does what a form asks for; gives the path to go to."""
Show = Callable[[Request, Actor, Fields, RunpassError], Response]
"""Gives the page again, with what was sent and what was wrong with it."""


async def answer_form(request: Request, rule: Rule, show: Show, *, most_bytes: int = MOST_BYTES) -> Response:
    """Do what a form of ours asks for, and go on to another page; or show its page again with what is wrong.

    Raises what `visit` and `posted` raise, and of the rule what no form can mend.
    """
    who = await run_in_threadpool(visit, request)
    fields = await posted(request, who.bearer, most_bytes=most_bytes)

    def answer() -> Response:
        try:
            return redirection(rule(request, who.actor, fields))
        except (InvalidInput, Conflict, PreconditionFailed) as error:
            return show(request, who.actor, fields, error)

    return await run_in_threadpool(answer)
