"""The page of one template: what it runs and where, and the forms for those who may change it."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from runpass.errors import InvalidInput, NotFound, RunpassError
from runpass.server.access.actors import Actor
from runpass.server.access.form_posts import answer_form
from runpass.server.access.pages import uuid_in
from runpass.server.access.permissions import Permission
from runpass.server.access.visits import visit
from runpass.server.db.engine import Transaction
from runpass.server.http.preconditions import entity_tag
from runpass.server.templates import managing
from runpass.server.templates.attaching_forms import attach_fields, attached_projects, body_of_attaching
from runpass.server.templates.changing import usable
from runpass.server.templates.forms import MOST_BYTES, body_of, form_of, kept_of, typed
from runpass.server.templates.model import Template
from runpass.server.templates.requests import TemplateBody
from runpass.server.tenancy.environment_store import count_of_template
from runpass.server.web.answering import Fields, answer_page, done_of, problem_of, seen_in
from runpass.server.web.fields import as_it_was

_DONE: Final = {
    "created": "The template was made. Attach it to a project, so that something can run it.",
    "changed": "The template was changed.",
    "attached": "The project, and all below it, may run the template.",
    "detached": "The template was taken away from the project.",
}


def template_page(request: Request) -> Response:
    """Show one template."""
    return _show(request, visit(request).actor, {})


async def change(request: Request) -> Response:
    """Change what a template is called and runs. What no form shows stays."""
    return await answer_form(request, _change, _show, most_bytes=MOST_BYTES)


async def delete(request: Request) -> Response:
    """Delete a template."""
    return await answer_form(request, _delete, _show, most_bytes=MOST_BYTES)


async def attach(request: Request) -> Response:
    """Let a project, and all below it, run a template."""
    return await answer_form(request, _attach, _show, most_bytes=MOST_BYTES)


async def detach(request: Request) -> Response:
    """Take a template away from a project."""
    return await answer_form(request, _detach, _show, most_bytes=MOST_BYTES)


ROUTES: Final = (
    Route("/templates/{template_id}", template_page, methods=["GET"]),
    Route("/templates/{template_id}", change, methods=["POST"]),
    Route("/templates/{template_id}/delete", delete, methods=["POST"]),
    Route("/templates/{template_id}/projects", attach, methods=["POST"]),
    Route("/templates/{template_id}/projects/{project_id}/detach", detach, methods=["POST"]),
)


def _change(request: Request, actor: Actor, fields: Fields) -> str:
    template_id, state = uuid_in(request, "template_id"), request.app.state
    with state.database.write() as tx:
        template = usable(managing.template_for(tx, actor, template_id, Permission.MANAGE_TEMPLATES))
        sent = as_it_was(fields, typed(template) or {})
        wanted = body_of(TemplateBody, sent, {}, kept_of(template))
        managing.change(tx, actor, template_id, wanted, if_match=seen_in(fields), now=state.clock.now())
    return f"/console/templates/{template_id}?done=changed"


def _delete(request: Request, actor: Actor, fields: Fields) -> str:
    state = request.app.state
    with state.database.write() as tx:
        template_id = uuid_in(request, "template_id")
        managing.delete(tx, actor, template_id, if_match=seen_in(fields), now=state.clock.now())
    return f"/console/organizations/{actor.organization_id}/templates?done=deleted"


def _attach(request: Request, actor: Actor, fields: Fields) -> str:
    template_id, state = uuid_in(request, "template_id"), request.app.state
    with state.database.write() as tx:
        # First the template of the path, so that what is not found after it is the project, which has a field.
        managing.template_for(tx, actor, template_id, Permission.VIEW_TEMPLATES)
        wanted = body_of_attaching(fields)
        try:
            managing.attach(tx, actor, template_id, wanted.project_id, state.clock.now())
        except NotFound as error:
            raise InvalidInput.of("projectId", error.message) from None
    return f"/console/templates/{template_id}?done=attached"


def _detach(request: Request, actor: Actor, _: Fields) -> str:
    template_id, project_id = uuid_in(request, "template_id"), uuid_in(request, "project_id")
    with request.app.state.database.write() as tx:
        managing.detach(tx, actor, template_id, project_id, request.app.state.clock.now())
    return f"/console/templates/{template_id}?done=detached"


def _show(request: Request, actor: Actor, sent: Fields, error: RunpassError | None = None) -> Response:
    with request.app.state.database.read() as tx:
        template = managing.template_for(tx, actor, uuid_in(request, "template_id"), Permission.VIEW_TEMPLATES)
        values = attached_projects(request, tx, actor, template)
        values |= _forms(tx, actor, template, sent, error)
    values |= {
        "template": template,
        "seen": sent.get("seen") or entity_tag(template.updated_at),
        "problem": problem_of(error),
        "done": done_of(request, _DONE),
    }
    return answer_page(request, "templates/template.html", values, error)


def _forms(
    tx: Transaction, actor: Actor, template: Template, sent: Fields, error: RunpassError | None
) -> dict[str, Any]:
    """Give the forms that the visitor may send; those of a deleted template are none."""
    wrong = error if isinstance(error, InvalidInput) else None
    may_manage = actor.may_somewhere(Permission.MANAGE_TEMPLATES) and not template.is_deleted
    now = typed(template)
    changed = None
    if may_manage and now is not None:
        changed = form_of(template.type, {**now, **sent}, wrong, may_become_another=True)
    return {
        "may_manage": may_manage,
        "change_fields": changed,
        "attach_fields": attach_fields(tx, actor, template, sent, wrong),
        "environments": count_of_template(tx, template.organization_id, template.id) if may_manage else 0,
    }
