"""What the page of policies shows beside its form: the tokens of one environment's runs, now and as proposed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from runpass.errors import Conflict, InvalidInput, NotFound
from runpass.ids import EnvironmentId
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission
from runpass.server.db.engine import Transaction
from runpass.server.deployments.subject_cases import TokenCase, cases_of, lost
from runpass.server.settings import ServerSettings
from runpass.server.tenancy import policy_forms, store
from runpass.server.tenancy.environment_store import Wanted, get_environment, list_environments
from runpass.server.tenancy.lookup import environment_for
from runpass.server.tenancy.model import Environment, Organization
from runpass.server.tenancy.policies import decided
from runpass.server.web.fields import Choice

MOST_CHOICES: Final = 100
"""Environments to choose from, the oldest."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A preview: the tokens, or why there are none."""

    environment_id: str
    cases: tuple[TokenCase, ...] = ()
    lost: int = 0
    problem: str = ""


def environments_to_choose(tx: Transaction, actor: Actor, chosen: str) -> list[Choice]:
    """Give environments by their names; the chosen one among them."""
    found = [one for one in _environments(tx, actor) if one.template_id]
    one = _get(tx, actor, chosen)
    if one is not None and one.id not in {each.id for each in found}:
        found.insert(0, one)
    names = store.list_by_id(tx, actor.organization_id, {each.project_id for each in found})
    return [
        Choice(str(each.id), f"{names[each.project_id].name} / {each.name}")
        for each in found
        if each.project_id in names
    ]


def shown(
    tx: Transaction,
    actor: Actor,
    organization: Organization,
    asked: tuple[str, Mapping[str, Any] | None],
    settings: ServerSettings,
) -> Shown | None:
    """Give the preview of an environment and of what a form sent, or of the policies as they are.

    Without an environment it is the first one; None where there is none that anything runs in.
    """
    chosen, sent = asked
    if not chosen:
        chosen = next((str(one.id) for one in _environments(tx, actor) if one.template_id), "")
    if not chosen:
        return None
    try:
        proposed = organization.policies if sent is None else _proposed(organization, sent)
        environment, project = environment_for(tx, actor, UUID(chosen), Permission.VIEW_PROJECT)
        cases = cases_of(tx, (organization, environment, project), proposed, settings)
    except (InvalidInput, NotFound, Conflict) as error:
        return Shown(chosen, problem=error.message)
    except ValueError:
        return Shown("", problem="this is no environment's id")
    return Shown(chosen, tuple(cases), lost(cases))


def _proposed(organization: Organization, sent: Mapping[str, Any]) -> dict[str, Any]:
    wanted = policy_forms.identity_of(sent).model_dump(mode="json", by_alias=False, exclude_unset=True)
    return {**organization.policies, **decided(wanted)}


def _environments(tx: Transaction, actor: Actor) -> list[Environment]:
    return list_environments(tx, actor.organization_id, Wanted(is_active=True), limit=MOST_CHOICES)


def _get(tx: Transaction, actor: Actor, chosen: str) -> Environment | None:
    try:
        return get_environment(tx, actor.organization_id, EnvironmentId(UUID(chosen)))
    except ValueError:
        return None
