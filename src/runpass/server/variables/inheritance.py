"""Which value a variable has in an environment: the lowest place wins."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from runpass.ids import EnvironmentId, OrganizationId, ProjectId, TemplateId
from runpass.server.variables.model import ConfigurationVariable, VariableScope


def places(
    organization_id: OrganizationId,
    *,
    template_id: TemplateId | None = None,
    path: Sequence[ProjectId] = (),
    environment_id: EnvironmentId | None = None,
) -> list[tuple[VariableScope, UUID]]:
    """Give the places an environment inherits from, weakest first (`path`: root project first)."""
    found: list[tuple[VariableScope, UUID]] = [(VariableScope.GLOBAL, organization_id)]
    if template_id is not None:
        found.append((VariableScope.BLUEPRINT, template_id))
    found.extend((VariableScope.PROJECT, project) for project in path)
    if environment_id is not None:
        found.append((VariableScope.ENVIRONMENT, environment_id))
    return found


def resolve(
    order: Sequence[tuple[VariableScope, UUID]], variables: Iterable[ConfigurationVariable]
) -> list[ConfigurationVariable]:
    """Give one variable for each (type, name): the one from the last place of `order` that has it."""
    rank = {place: position for position, place in enumerate(order)}
    chosen: dict[tuple[int, str], ConfigurationVariable] = {}
    for variable in sorted(variables, key=lambda item: rank[(item.scope, item.scope_id)]):
        chosen[(variable.type, variable.name)] = variable
    return [chosen[key] for key in sorted(chosen)]
