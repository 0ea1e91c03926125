"""The first steps of the first page: their order, who is told of them, and that their commands are ones of ours."""

import shlex
from uuid import uuid4

import pytest
import typer

from runpass.cli.main import app
from runpass.ids import ApiKeyId, OrganizationId, ProjectId
from runpass.server.access.actors import Actor
from runpass.server.access.permissions import OrganizationRole, ProjectRole
from runpass.server.first_page.first_steps import INSTRUCTIONS, Step, first_steps, steps_of

ORGANIZATION = OrganizationId(uuid4())


def actor(role: OrganizationRole, on_project: ProjectRole | None = None) -> Actor:
    roles = {ProjectId(uuid4()): on_project} if on_project else {}
    return Actor(ApiKeyId(uuid4()), "key", ORGANIZATION, role, roles)


def test_the_first_that_is_not_done_comes_next():
    found = first_steps(ORGANIZATION, list(Step), {Step.RUNNER, Step.PROJECT})
    assert [step.is_done for step in found[:3]] == [True, False, True]
    assert [step.instruction.title for step in found if step.is_next] == ["Make a credential for your Vault"]
    assert not any(step.is_next for step in first_steps(ORGANIZATION, list(Step), set(Step)))
    assert all(step.path.startswith(f"/console/organizations/{ORGANIZATION}/") for step in found)


def test_whoever_has_a_part_of_the_organization_alone_is_not_told_of_all_of_it():
    assert steps_of(actor(OrganizationRole.ADMIN)) == list(Step)
    assert steps_of(actor(OrganizationRole.USER)) == []
    for role in ProjectRole:
        assert steps_of(actor(OrganizationRole.USER, role)) == []


@pytest.mark.parametrize("step", list(Step))
def test_its_command_is_one_that_the_command_line_takes(step: Step):
    for line in INSTRUCTIONS[step].command.splitlines():
        program, *words = shlex.split(line)
        assert program == "runpass"
        command = typer.main.get_command(app)
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        command.make_context(line, words).close()
