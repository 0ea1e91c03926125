"""Which value a variable has in an environment: the lowest place wins, unless one above is read-only."""

from collections.abc import Iterable, Sequence
from typing import TypeVar
from uuid import UUID

from runpass.ids import EnvironmentId, OrganizationId, ProjectId, TemplateId
from runpass.server.variables.model import Place, VariableRecord, VariableScope

V = TypeVar("V", bound=VariableRecord)


def places(
    organization_id: OrganizationId,
    *,
    template_id: TemplateId | None = None,
    path: Sequence[ProjectId] = (),
    environment_id: EnvironmentId | None = None,
) -> list[Place]:
    """Give the places an environment inherits from, weakest first (`path`: root project first)."""
    found: list[tuple[VariableScope, UUID]] = [(VariableScope.GLOBAL, organization_id)]
    if template_id is not None:
        found.append((VariableScope.BLUEPRINT, template_id))
    found.extend((VariableScope.PROJECT, project) for project in path)
    if environment_id is not None:
        found.append((VariableScope.ENVIRONMENT, environment_id))
    return found


def resolve(order: Sequence[Place], variables: Iterable[V]) -> list[V]:
    """Give one variable for each (type, name): that of the last place of `order` that has it.

    SECURITY: a read-only one wins over every lower one, also over one that was there before it.
    """
    chosen: dict[tuple[int, str], V] = {}
    for variable in _weakest_first(order, variables):
        above = chosen.get((variable.type, variable.name))
        if above is None or not above.details.is_readonly:
            chosen[(variable.type, variable.name)] = variable
    return [chosen[key] for key in sorted(chosen)]


def overridden(order: Sequence[Place], variables: Iterable[V]) -> dict[UUID, V]:
    """Give, by a variable's id, the one of the next place above that it overrides."""
    last: dict[tuple[int, str], V] = {}
    found: dict[UUID, V] = {}
    for variable in _weakest_first(order, variables):
        key = (variable.type, variable.name)
        if key in last:
            found[variable.id] = last[key]
        last[key] = variable
    return found


def unfilled(order: Sequence[Place], variables: Iterable[V]) -> list[V]:
    """Give what is required by any place, among the variables that these resolve to."""
    listed = list(variables)
    required = {(item.type, item.name) for item in listed if item.details.is_required}
    return [item for item in resolve(order, listed) if (item.type, item.name) in required]


def _weakest_first(order: Sequence[Place], variables: Iterable[V]) -> list[V]:
    rank = {place: position for position, place in enumerate(order)}
    return sorted(variables, key=lambda item: rank[item.place])
