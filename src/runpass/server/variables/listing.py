"""What counts at a place: its own variables and what it inherits, each with where it comes from. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from runpass.server.variables.inheritance import overridden, resolve, unfilled
from runpass.server.variables.model import Place, VariableRecord


@dataclass(frozen=True, slots=True)
class Listed:
    """A variable as one place sees it."""

    variable: VariableRecord
    is_here: bool
    counts: bool
    """Not, where one of a higher place is read-only."""
    overrides: VariableRecord | None
    is_missing: bool
    """Whether nothing can be deployed, because it is required and empty."""


def listed(order: Sequence[Place], variables: Iterable[VariableRecord]) -> list[Listed]:
    """Give a place's own variables, then those that it inherits and that count; both by type and name.

    `order`: the places whose variables these are, the place itself last.
    """
    found = list(variables)
    counting = resolve(order, found)
    above = overridden(order, found)
    empty = {item.id for item in unfilled(order, found) if item.clear_value == ""}
    ids, here = {item.id for item in counting}, order[-1]
    own = sorted((item for item in found if item.place == here), key=lambda item: (item.type, item.name))
    inherited = [item for item in counting if item.place != here]
    return [
        Listed(item, item.place == here, item.id in ids, above.get(item.id), item.id in empty)
        for item in (*own, *inherited)
    ]
