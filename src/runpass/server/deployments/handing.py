"""The variables of a run: inherited, references to other environments' outputs resolved, fit for a program."""

from collections.abc import Sequence

from runpass.errors import InvalidInput
from runpass.ids import EnvironmentId, TemplateId
from runpass.protocol.run_lease import RunFacts, Variable
from runpass.server.access.actors import Actor
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.deployments.references import (
    MAX_VARIABLE_BYTES,
    MAX_VARIABLES_BYTES,
    TOO_LARGE_TOGETHER,
    with_outputs,
)
from runpass.server.issuer.claims import MAX_CLAIM
from runpass.server.tenancy.model import Project
from runpass.server.variables.handing import check_required, for_commands
from runpass.server.variables.inheritance import places, resolve
from runpass.server.variables.model import ENVIRONMENT_VARIABLE, ConfigurationVariable
from runpass.server.variables.store import list_variables

OIDC_TAG = "ENV0_OIDC_TAG"
"""SECURITY: becomes the claim `env0Tag`, so it is read only from places that an admin decides."""

_TAG = (OIDC_TAG, ENVIRONMENT_VARIABLE)


def handed(
    tx: Transaction, cipher: Cipher, starter: Actor, project: Project, facts: RunFacts
) -> tuple[tuple[Variable, ...], str | None]:
    """Give a run's variables, and the value of `ENV0_OIDC_TAG` where an admin set it.

    Raises `InvalidInput` that names the variables which no run could be given.
    """
    template_id, environment_id = TemplateId(facts.template_id), EnvironmentId(facts.environment_id)
    order = places(project.organization_id, template_id=template_id, path=project.path, environment_id=environment_id)
    found = list_variables(tx, cipher, project.organization_id, order)
    check_required(order, found)
    effective = [item for item in resolve(order, found) if (item.name, item.type) != _TAG]
    return _fitting(for_commands(with_outputs(tx, cipher, starter, effective))), _tag(found, project)


def _fitting(variables: tuple[Variable, ...]) -> tuple[Variable, ...]:
    """Give the variables if a program can be given them all. Raises `InvalidInput` otherwise."""
    total = 0
    for item in variables:
        size = len(f"{item.name}={item.value.reveal()}".encode()) + 1
        if size > MAX_VARIABLE_BYTES:
            raise InvalidInput(
                f"the variable {item.name} is longer than {MAX_VARIABLE_BYTES} bytes with its name:"
                " no program could be started with it"
            )
        total += size
    if total > MAX_VARIABLES_BYTES:
        raise InvalidInput(TOO_LARGE_TOGETHER)
    return variables


def _tag(variables: Sequence[ConfigurationVariable], project: Project) -> str | None:
    trusted = places(project.organization_id, path=project.path)
    found = [
        item for item in variables if (item.name, item.type) == _TAG and item.place in trusted and not item.is_sensitive
    ]
    if not found:
        return None
    tag = resolve(trusted, found)[-1].value.reveal()
    if len(tag) > MAX_CLAIM:
        raise InvalidInput(f"the value of {OIDC_TAG} is longer than {MAX_CLAIM} characters, so no token could carry it")
    return tag
