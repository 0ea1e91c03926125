"""What a variable may be called and hold, before it is saved. Pure; no sentence repeats a value."""

from collections.abc import Iterable

from runpass.errors import FieldError, InvalidInput
from runpass.protocol.variable_names import is_reserved, is_well_formed
from runpass.protocol.wire import summary
from runpass.server.http.patterns import matches
from runpass.server.variables.model import ENVIRONMENT_VARIABLE, Details, ValueFormat
from runpass.server.variables.output_references import find_references as find_output_references
from runpass.vault.errors import ReferenceInvalid
from runpass.vault.references import find_references as find_secret_references


def check_names(found: Iterable[tuple[str, str, int]]) -> None:
    """Refuse names that no run could be given; each is (the caller's field, name, type).

    Raises `InvalidInput` with one error for each bad name.
    """
    errors = []
    for field, name, type_ in found:
        if not is_well_formed(name):
            errors.append(FieldError(field, "must be letters, digits and underscores, not starting with a digit"))
        elif type_ == ENVIRONMENT_VARIABLE and is_reserved(name):
            errors.append(FieldError(field, "is reserved: runpass or the shell decides it"))
    if errors:
        raise InvalidInput(summary(errors, len(errors)), tuple(errors))


def value_refusal(value: str, details: Details) -> str | None:
    """Say why a variable with these details may not have this value, or nothing if it may. An empty value may be."""
    if not value:
        return None
    allowed = details.value_schema.enum
    if allowed and value not in allowed:
        return "must be one of the values in schema.enum"
    if details.regex and not matches(details.regex, value):
        return "must match the whole regex"
    return _reference_refusal(value, details)


def _reference_refusal(value: str, details: Details) -> str | None:
    try:
        find_secret_references(value)
        find_output_references(value, is_output=details.value_schema.format is ValueFormat.ENVIRONMENT_OUTPUT)
    except ReferenceInvalid as error:
        return f"{error.message}. {error.hint or ''}".strip()
    except ValueError as error:
        return str(error)
    return None
