"""A deployment's inputs: what its run is given, decided and frozen when it is queued, and kept sealed."""

from collections.abc import Sequence
from dataclasses import dataclass

from runpass.errors import InvalidInput
from runpass.ids import DeploymentId, OrganizationId
from runpass.protocol.run_lease import Command, Phase, RunFacts, Variable
from runpass.protocol.wire import decode
from runpass.server.db.encryption import Cipher, Place
from runpass.server.db.engine import Transaction
from runpass.server.deployments import store
from runpass.server.deployments.model import Deployment, DeploymentType, Inputs
from runpass.server.templates.model import GitSource, Template
from runpass.server.templates.steps import StepCommands, commands_of, unrunnable


def inputs_place(deployment_id: DeploymentId, organization_id: OrganizationId) -> Place:
    """Give where a deployment's frozen inputs stand."""
    return Place("deployments", "inputs_sealed", str(deployment_id), organization_id)


def inputs_of(tx: Transaction, cipher: Cipher, deployment: Deployment) -> Inputs:
    """Give a deployment's frozen inputs."""
    place = inputs_place(deployment.id, deployment.organization_id)
    return decode(Inputs, cipher.unseal(store.sealed_inputs(tx, deployment.id), place))


def commands_for(inputs: Inputs, phase: Phase) -> tuple[Command, ...]:
    """Give what a lease of this phase runs."""
    return inputs.plan if phase is Phase.PLAN else inputs.commands


def own_revision(template: Template) -> str:
    """Give the revision that the template itself names; empty for the default branch, and where there is no code."""
    return template.source.revision if isinstance(template.source, GitSource) else ""


def own_repository(template: Template) -> str:
    """Give the repository that the template itself names."""
    return template.source.repository if isinstance(template.source, GitSource) else ""


@dataclass(frozen=True, slots=True)
class Work:
    """What a deployment is to do, before it is turned into commands."""

    kind: DeploymentType
    template: Template
    requires_approval: bool
    task_commands: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


def frozen_inputs(work: Work, facts: RunFacts, variables: tuple[Variable, ...], tag: str | None) -> Inputs:
    """Give a deployment's inputs. A template that no runner runs is a refusal in them, which the run ends with.

    Raises `InvalidInput` for a repository or revision that git must not be given.
    """
    refusal = unrunnable(work.template.type)
    if refusal is not None:
        return Inputs(run=facts, commands=(), variables=variables, env0_tag=tag, refusal=refusal)
    try:
        steps = commands_of(
            work.template.type,
            work.template.source,
            revision=facts.revision or "",
            repository=facts.repository or "",
            workspace_name=facts.workspace_name,
            targets=work.targets,
        )
    except ValueError as error:
        raise InvalidInput(str(error)) from None
    plan, commands = _phases(work, steps)
    return Inputs(run=facts, plan=plan, commands=commands, variables=variables, env0_tag=tag)


def _phases(work: Work, steps: StepCommands) -> tuple[tuple[Command, ...], tuple[Command, ...]]:
    """Give the commands before an approval, and those that change something.

    Without an approval the latter are all that is run, so they begin with the plan unless they plan by themselves.
    """
    if work.kind is DeploymentType.TASK:
        return (), (*steps.checkout, *_numbered(work.task_commands))
    is_destroy = work.kind is DeploymentType.DESTROY
    plan, change = (steps.destroy_plan, steps.destroy) if is_destroy else (steps.plan, steps.apply)
    if work.requires_approval or steps.apply_includes_plan:
        return plan, change
    return (), (*plan, *change)


def _numbered(scripts: Sequence[str]) -> tuple[Command, ...]:
    return tuple(Command(step=f"task:{number}", script=script) for number, script in enumerate(scripts, start=1))
