"""The console's first page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.access.users import users
from runpass.server.access.visits import visit
from runpass.server.db.engine import Transaction
from runpass.server.deployments.answers import RefusalAnswer, refusal_answer
from runpass.server.deployments.deployment_view import STATUS, TYPES, path_of, tone
from runpass.server.deployments.model import Deployment
from runpass.server.deployments.newest import newest_deployments
from runpass.server.deployments.outstanding import Outstanding, outstanding
from runpass.server.deployments.outstanding_places import RunPlace, places_of_runs
from runpass.server.first_page import store
from runpass.server.first_page.first_steps import FirstStep, first_steps, steps_of
from runpass.server.runners.model import IN_TOUCH
from runpass.server.tenancy.lookup import own_organization
from runpass.server.tenancy.setting_up import needs_set_up
from runpass.server.tenancy.visibility import visible_to
from runpass.server.web.answering import answer_page
from runpass.server.web.pages import redirection
from runpass.server.web.places import SET_UP

NEWEST: Final = 10
REFUSED: Final = 5
OF_LATE: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Run:
    """A deployment as the page shows it."""

    path: str
    kind: str
    status: str
    tone: str
    """The class of the state's colour."""
    place: RunPlace
    started_by: str
    queued_at: datetime
    comment: str
    refusal: RefusalAnswer | None


def first_page(request: Request) -> Response:
    """Show the visitor's organization; without any, the first run comes first."""
    if needs_set_up(request.app.state.database):
        return redirection(SET_UP)
    actor = visit(request).actor
    actor.require_organization(actor.organization_id, Permission.VIEW_ORGANIZATION)
    now: datetime = request.app.state.clock.now()
    with request.app.state.database.read() as tx:
        values = {
            "organization": own_organization(tx, actor),
            "steps": _steps(tx, actor),
            "runners": _runners(tx, actor, now),
            "outstanding": _outstanding(tx, actor, now),
            "sees_projects": actor.may_somewhere(Permission.VIEW_PROJECT),
            "may_deploy": actor.may_somewhere(Permission.RUN_PLAN),
            "of_late_days": OF_LATE.days,
            **_runs(tx, actor, now),
        }
    return answer_page(request, "first_page/first_page.html", values)


ROUTES: Final = (Route("/", first_page, methods=["GET"]),)


def _steps(tx: Transaction, actor: Actor) -> Sequence[FirstStep]:
    """Give the first steps as long as one of them is left."""
    shown = steps_of(actor)
    done = store.steps_done(tx, actor.organization_id) if shown else frozenset()
    return () if done.issuperset(shown) else first_steps(actor.organization_id, shown, done)


def _runners(tx: Transaction, actor: Actor, now: datetime) -> tuple[int, int] | None:
    """Give how many runners are in touch and how many there are, to those who may see them."""
    if actor.projects_with(Permission.MANAGE_RUNNERS) is not None:
        return None
    return store.count_in_touch(tx, actor.organization_id, now - IN_TOUCH)


def _outstanding(tx: Transaction, actor: Actor, now: datetime) -> Outstanding | None:
    if not actor.may_somewhere(Permission.VIEW_CREDENTIALS):
        return None
    return outstanding(tx, actor, actor.organization_id, None, now)


def _runs(tx: Transaction, actor: Actor, now: datetime) -> Mapping[str, Any]:
    """Give the newest deployments, and those that were refused of late."""
    visible, organization_id = visible_to(tx, actor), actor.organization_id
    newest = newest_deployments(tx, organization_id, visible, NEWEST)
    refused = newest_deployments(tx, organization_id, visible, REFUSED, refused=True)
    of_late = [item for item in refused if item.queued_at > now - OF_LATE]
    both = [*newest, *of_late]
    places = places_of_runs(tx, organization_id, {item.id for item in both})
    starters = users(tx, organization_id, {item.started_by for item in both})

    def run(item: Deployment) -> Run:
        starter = starters[item.started_by]
        return Run(
            path=path_of(item),
            kind=TYPES[item.type],
            status=STATUS[item.status],
            tone=tone(item.status),
            place=places[item.id],
            started_by=starter.name or starter.user_id,
            queued_at=item.queued_at,
            comment=item.comment,
            refusal=refusal_answer(item),
        )

    return {"newest": [run(item) for item in newest], "refused": [run(item) for item in of_late]}
