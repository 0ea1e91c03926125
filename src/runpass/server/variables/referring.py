"""Who may write a reference to another environment's output: only who may see that environment.

SECURITY: a run resolves references with the rights of its starter. Without this check, somebody who may change a
variable could leave a reference there and wait for a starter who sees more: the output would reach the writer's code.
"""

from collections.abc import Sequence

from runpass.errors import FieldError, InvalidInput, NotFound
from runpass.protocol.wire import summary
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.tenancy.lookup import environment_for
from runpass.server.variables import store
from runpass.server.variables.model import ValueFormat, VariableRecord
from runpass.server.variables.output_references import OutputReference, find_references
from runpass.server.variables.saving import Wanted


def check_references(tx: Transaction, writer: Actor, written: Sequence[Wanted]) -> None:
    """Raise `InvalidInput` that names every variable with a reference to what its writer may not see, or is not there.

    A value that stays as it is was written by somebody who could see it.
    """
    errors = tuple(
        FieldError(f"{item.where}value", "refers to an environment that is not there, or that you may not see")
        for item in written
        if not _may_be_written(tx, writer, item)
    )
    if errors:
        raise InvalidInput(summary(errors, len(errors)), errors)


def _may_be_written(tx: Transaction, writer: Actor, wanted: Wanted) -> bool:
    references = _references(wanted)
    if not references or _stays(_stored(tx, writer, wanted), wanted):
        return True
    return all(_sees(tx, writer, reference) for reference in references)


def _references(wanted: Wanted) -> tuple[OutputReference, ...]:
    is_output = wanted.details.value_schema.format is ValueFormat.ENVIRONMENT_OUTPUT
    try:
        return find_references(wanted.value.reveal(), is_output=is_output)
    except ValueError:
        return ()  # refused with a sentence of its own when it is saved


def _stored(tx: Transaction, writer: Actor, wanted: Wanted) -> VariableRecord | None:
    """Give the variable that would be changed."""
    organization, place = writer.organization_id, wanted.place
    if wanted.id is not None:
        found = store.get_record(tx, organization, wanted.id)
        return found if found is not None and found.place == place else None
    same = store.list_namesakes(tx, organization, [place], name=wanted.name, type_=wanted.type)
    return same[0] if same else None


def _stays(stored: VariableRecord | None, wanted: Wanted) -> bool:
    if stored is None or stored.clear_value != wanted.value.reveal():
        return False
    return stored.details.value_schema.format is wanted.details.value_schema.format


def _sees(tx: Transaction, writer: Actor, reference: OutputReference) -> bool:
    try:
        environment_for(tx, writer, reference.environment_id, Permission.VIEW_PROJECT)
    except NotFound:
        return False
    return True
