"""From resolved variables to what the commands of a run find in their environment. Pure."""

from collections.abc import Iterable, Sequence

from runpass.errors import InvalidInput
from runpass.protocol.run_lease import Variable
from runpass.server.variables.inheritance import unfilled
from runpass.server.variables.model import TERRAFORM_VARIABLE, ConfigurationVariable, Place, VariableRecord

TERRAFORM_PREFIX = "TF_VAR_"


def check_required(order: Sequence[Place], variables: Iterable[ConfigurationVariable]) -> None:
    """Raise `InvalidInput` that names every variable which some place of `order` requires and which has no value."""
    empty = sorted({item.name for item in unfilled(order, variables) if not item.value.reveal()})
    if empty:
        raise InvalidInput(f"these variables are required and have no value: {', '.join(empty)}")


def for_commands(resolved: Iterable[ConfigurationVariable]) -> tuple[Variable, ...]:
    """Give resolved variables as the commands find them: Terraform's as `TF_VAR_<name>`, the others as they are.

    Raises `InvalidInput` that names every two that would have one name.
    """
    listed = list(resolved)
    _check_clashes(listed)
    return tuple(Variable(name=handed_name(item), value=item.value, sensitive=item.is_sensitive) for item in listed)


def handed_name(variable: VariableRecord) -> str:
    """Give the name that the commands find a variable under."""
    return f"{TERRAFORM_PREFIX}{variable.name}" if variable.type == TERRAFORM_VARIABLE else variable.name


def _check_clashes(resolved: Sequence[ConfigurationVariable]) -> None:
    of_shell = {item.name for item in resolved if item.type != TERRAFORM_VARIABLE}
    clashing = [item for item in resolved if item.type == TERRAFORM_VARIABLE and handed_name(item) in of_shell]
    if clashing:
        named = "; ".join(
            f"the Terraform variable {item.name} and the environment variable {handed_name(item)}" for item in clashing
        )
        raise InvalidInput(f"two variables would be handed to the commands under one name: {named}")
