"""References to outputs: `${env0:<environment id>:<output>}` in a variable becomes what that environment gave back.

SECURITY: only inside the organization, and only for an environment that the starter of the run may see. What is not
there and what may not be seen are refused with the same sentence.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from runpass.errors import FieldError, InvalidInput, NotFound
from runpass.ids import EnvironmentId
from runpass.protocol.outputs import Output
from runpass.protocol.wire import summary
from runpass.secret import Secret
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.deployments.outputs import environment_outputs
from runpass.server.tenancy.lookup import environment_for
from runpass.server.variables.model import ConfigurationVariable, ValueFormat
from runpass.server.variables.output_references import (
    OutputReference,
    find_references,
    substitute,
    substituted_length,
)
from runpass.vault.references import count_references

MAX_VARIABLE_BYTES = 131_072
"""Linux starts no program with a longer `NAME=value`, the NUL behind it counted (`MAX_ARG_STRLEN`)."""

MAX_VARIABLES_BYTES = 1_048_576
TOO_LARGE_TOGETHER = f"the variables of this environment are longer than {MAX_VARIABLES_BYTES} bytes together"


def with_outputs(
    tx: Transaction, cipher: Cipher, starter: Actor, variables: Iterable[ConfigurationVariable]
) -> list[ConfigurationVariable]:
    """Give the variables with every reference resolved; one that got a sensitive output is sensitive itself.

    Raises `InvalidInput` that names every variable which cannot be resolved, or for more than a run could be given.

    SECURITY: nothing is put together that would be refused for its length: a few references, repeated in many
    variables, would else fill the memory of the server.
    """
    outputs = _Outputs(tx, cipher, starter)
    resolved: list[ConfigurationVariable] = []
    errors: list[FieldError] = []
    total = 0
    for variable in variables:
        try:
            resolved.append(_resolved(variable, outputs))
        except _Unresolvable as error:
            errors.append(FieldError(variable.name, str(error)))
            continue
        total += len(resolved[-1].value.reveal())
        if total > MAX_VARIABLES_BYTES:
            raise InvalidInput(TOO_LARGE_TOGETHER)
    if errors:
        raise InvalidInput(summary(errors, len(errors)), tuple(errors))
    return resolved


class _Unresolvable(Exception):
    """Why a variable cannot be resolved, without any value."""


@dataclass
class _Outputs:
    """The outputs of the environments that the starter may see, each read once."""

    tx: Transaction
    cipher: Cipher
    starter: Actor
    read: dict[UUID, Mapping[str, Output]] = field(default_factory=dict)
    texts: dict[OutputReference, Secret] = field(default_factory=dict)

    def of(self, environment_id: UUID) -> Mapping[str, Output]:
        """Give an environment's outputs; none for one that is not there or not to be seen."""
        if environment_id not in self.read:
            self.read[environment_id] = self._look_up(environment_id)
        return self.read[environment_id]

    def _look_up(self, environment_id: UUID) -> Mapping[str, Output]:
        try:
            environment, _ = environment_for(self.tx, self.starter, environment_id, Permission.VIEW_PROJECT)
        except NotFound:
            return {}
        return environment_outputs(self.tx, self.cipher, environment.organization_id, EnvironmentId(environment.id))


def _resolved(variable: ConfigurationVariable, outputs: _Outputs) -> ConfigurationVariable:
    written = variable.value.reveal()
    is_output = variable.details.value_schema.format is ValueFormat.ENVIRONMENT_OUTPUT
    try:
        references = find_references(written, is_output=is_output)
    except ValueError as error:
        raise _Unresolvable(str(error)) from None
    if not references:
        return variable
    found = {reference: _find(reference, outputs) for reference in references}
    texts = outputs.texts
    for reference, output in found.items():
        if reference not in texts:
            texts[reference] = Secret(output.text)
    if substituted_length(written, texts) > MAX_VARIABLE_BYTES:
        raise _Unresolvable(f"would be longer than {MAX_VARIABLE_BYTES} bytes with the outputs that it refers to")
    value = substitute(written, texts, is_output=is_output)
    if count_references(value.reveal()) != count_references(written):
        # SECURITY: whoever decides that environment's outputs must not choose what this run reads from its Vault.
        raise _Unresolvable("refers to an output that holds a reference to a secret, which is not followed")
    sensitive = variable.is_sensitive or any(output.sensitive for output in found.values())
    return replace(variable, value=value, clear_value=None if sensitive else value.reveal())


def _find(reference: OutputReference, outputs: _Outputs) -> Output:
    output = outputs.of(reference.environment_id).get(reference.output)
    if output is None:
        raise _Unresolvable("refers to an output that is not there, or of an environment that you may not see")
    if output.value is None:
        raise _Unresolvable("refers to an output that has no value")
    return output
