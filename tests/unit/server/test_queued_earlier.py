"""Deployments that were queued by an earlier version: their sealed inputs still open as what they were."""

from uuid import uuid4

from runpass.protocol.run_lease import Command, Phase, RunFacts
from runpass.protocol.wire import decode, encode
from runpass.secret import Secret
from runpass.server.deployments.inputs import commands_for
from runpass.server.deployments.model import Inputs

IDS = {f"{name}_id": uuid4() for name in ("organization", "project", "environment", "deployment", "template")}
NAMES = {f"{name}_name": name for name in ("organization", "project", "environment", "template", "workspace")}
FACTS = RunFacts.model_validate({**IDS, **NAMES, "deployment_type": "deploy"})


def test_commands_that_had_no_names_get_those_they_were_run_under():
    facts = encode(FACTS).decode()
    old = f'{{"run": {facts}, "commands": ["one", "two"], "variables": [{{"name": "A", "value": "secret"}}]}}'
    inputs = decode(Inputs, old.encode())
    assert commands_for(inputs, Phase.APPLY) == (
        Command(step="shell:1", script="one"),
        Command(step="shell:2", script="two"),
    )
    assert (commands_for(inputs, Phase.PLAN), inputs.refusal) == ((), None)
    assert [item.value for item in inputs.variables] == [Secret("secret")]


def test_inputs_of_today_come_back_as_they_were():
    plan, apply = Command(step="tf:plan", script="plan"), Command(step="tf:apply", script="apply")
    inputs = Inputs(run=FACTS, plan=(plan,), commands=(plan, apply), refusal="no")
    assert decode(Inputs, encode(inputs)) == inputs
