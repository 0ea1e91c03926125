"""The way to the first deployment: what is done, what comes next, and where or with which command (pure)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from runpass.ids import OrganizationId
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import Permission


class Step(StrEnum):
    """One of the first steps, in the order in which they are taken."""

    RUNNER = "runner"
    CREDENTIAL = "credential"
    PROJECT = "project"
    ASSIGNMENT = "assignment"
    VAULT = "vault"
    TEMPLATE = "template"
    ENVIRONMENT = "environment"
    DEPLOYMENT = "deployment"


@dataclass(frozen=True, slots=True)
class Instruction:
    """How a step is taken."""

    title: str
    why: str
    place: str
    """The part of a path after the organization's id."""
    command: str
    permission: Permission


@dataclass(frozen=True, slots=True)
class FirstStep:
    """A step as the page shows it."""

    instruction: Instruction
    path: str
    is_done: bool
    is_next: bool


INSTRUCTIONS: Final[Mapping[Step, Instruction]] = {
    Step.RUNNER: Instruction(
        "Start a runner",
        "It runs the deployments, and it alone talks to your Vault.",
        "runners#join",
        "runpass join-token create --output join-token",
        Permission.MANAGE_RUNNERS,
    ),
    Step.CREDENTIAL: Instruction(
        "Make a credential for your Vault",
        "It says where the Vault is and which role to ask for. It holds no secret.",
        "credentials/new",
        "runpass credential create --name vault --address https://vault.example.com:8200 --role deploy",
        Permission.MANAGE_CREDENTIALS,
    ),
    Step.PROJECT: Instruction(
        "Make a project",
        "Environments stand in projects, and rights are given on them.",
        "projects#new",
        "runpass project create --name web",
        Permission.CREATE_PROJECT,
    ),
    Step.ASSIGNMENT: Instruction(
        "Assign the credential to the project",
        "Only the runs of projects that have the credential can log in with it.",
        "credentials",
        "runpass credential assign vault web",
        Permission.MANAGE_CREDENTIALS,
    ),
    Step.VAULT: Instruction(
        "Set up the Vault, and test the connection",
        "The page of your credential has the commands for the Vault, and a test with which a runner tries them.",
        "credentials",
        "runpass vault apply --credential vault\nrunpass credential test vault --project web",
        Permission.MANAGE_CREDENTIALS,
    ),
    Step.TEMPLATE: Instruction(
        "Make a template",
        "It says what a deployment runs: shell commands, or Terraform from a git repository.",
        "templates/new",
        "runpass template create --name hello --attach web --command 'echo hello'",
        Permission.MANAGE_TEMPLATES,
    ),
    Step.ENVIRONMENT: Instruction(
        "Make an environment",
        "It is what a template is deployed as, with variables of its own.",
        "projects",
        "runpass environment create --name production --project web --template hello",
        Permission.RUN_APPLY,
    ),
    Step.DEPLOYMENT: Instruction(
        "Deploy it",
        "A runner takes it, logs in to the Vault, runs the commands and leaves nothing behind.",
        "projects",
        "runpass deployment start production --follow",
        Permission.RUN_APPLY,
    ),
}


def steps_of(actor: Actor) -> list[Step]:
    """Give the steps that somebody may take anywhere in the organization.

    SECURITY: whether a step is done tells of the whole organization, so it is told to nobody with a part of it alone.
    """
    return [step for step, item in INSTRUCTIONS.items() if actor.projects_with(item.permission) is None]


def first_steps(
    organization_id: OrganizationId, shown: Sequence[Step], done: Collection[Step]
) -> tuple[FirstStep, ...]:
    """Give these steps as the page shows them; the first that is not done comes next."""
    comes_next = next((step for step in shown if step not in done), None)
    return tuple(
        FirstStep(
            instruction=INSTRUCTIONS[step],
            path=f"/console/organizations/{organization_id}/{INSTRUCTIONS[step].place}",
            is_done=step in done,
            is_next=step is comes_next,
        )
        for step in shown
    )
