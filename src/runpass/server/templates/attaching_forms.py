"""Which projects a template is attached to, and the form that attaches it to one more, as somebody may see them."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from starlette.requests import Request

from runpass.errors import InvalidInput
from runpass.protocol.wire import decode
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.templates.model import Template
from runpass.server.templates.requests import AttachProject
from runpass.server.tenancy import store
from runpass.server.tenancy.model import Project
from runpass.server.tenancy.project_places import places_of
from runpass.server.tenancy.visibility import visible_to
from runpass.server.web.fields import Choice, FieldKind, FormField, errors_of, fields_of, values_of
from runpass.server.web.paging import PAGE, offset_of, paged

_MOST_CHOICES: Final = 200
"""Projects in a list to choose from; beyond that, an id is typed."""


def attached_projects(request: Request, tx: Transaction, actor: Actor, template: Template) -> dict[str, Any]:
    """Give a page of the projects that have a template, and how many of these the visitor may not see.

    SECURITY: what projects are called is for those who may see them.
    """
    offset = offset_of(request)
    ids, paging = paged(request, sorted(template.project_ids)[offset : offset + PAGE + 1])
    found = store.list_by_id(tx, actor.organization_id, ids) if ids else {}
    seen = [found[item] for item in ids if item in found and actor.may(Permission.VIEW_PROJECT, found[item].scope)]
    above = places_of(tx, actor, seen)
    rows = [
        (project, above[project.id], actor.may(Permission.EDIT_PROJECT_SETTINGS, project.scope)) for project in seen
    ]
    return {"projects": rows, "unseen": len(ids) - len(seen), "paging": paging if request.method == "GET" else None}


def attach_fields(
    tx: Transaction, actor: Actor, template: Template, sent: Mapping[str, str], error: InvalidInput | None
) -> list[FormField]:
    """Give the form that attaches a template; none for whoever may not, or where there is nothing left."""
    if template.is_deleted or template.is_single_use or not actor.may_somewhere(Permission.EDIT_PROJECT_SETTINGS):
        return []
    where = visible_to(tx, actor, Permission.EDIT_PROJECT_SETTINGS)
    found = store.list_projects(tx, actor.organization_id, where, limit=_MOST_CHOICES + 1, as_tree=True)
    fields = fields_of(AttachProject, {"projectId": sent.get("projectId", "")}, errors_of(error) if error else {})
    if len(found) > _MOST_CHOICES:
        return [replace(one, help=f"{one.help} Its id stands on its page.") for one in fields]
    left = [project for project in found if project.id not in template.project_ids]
    above = places_of(tx, actor, left)
    choices = tuple(Choice(str(project.id), _path(project, above[project.id])) for project in left)
    return [replace(one, kind=FieldKind.CHOICE, choices=choices) for one in fields] if choices else []


def body_of_attaching(posted: Mapping[str, str]) -> AttachProject:
    """Give what the form sent. Raises `InvalidInput`."""
    return decode(AttachProject, json.dumps(values_of(AttachProject, posted)).encode())


def _path(project: Project, above: tuple[Project, ...]) -> str:
    return " / ".join(one.name for one in (*above, project))
