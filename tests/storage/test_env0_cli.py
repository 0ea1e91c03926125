"""env0's command line (`@env0/cli`): every call of its commands, in its order, and what it makes of the answers.

Its polling ends at the first state that is not `IN_PROGRESS`, nor `QUEUED` if the deployment it began with was; it then
fails unless the state is one of `GOOD`.
"""

from collections.abc import Callable
from typing import Any

import pytest

from factories import Tenant, holder
from management_api import ManagementApi
from runpass.protocol.reports import Finish, LogEvent, LogLevel, Outcome, Report, Step, StepStatus
from runpass.server.deployments.run_leases import finish, save_report, take
from runpass.server.templates.model import Template
from runpass.server.tenancy.model import Project

GOOD = {"SUCCESS", "WAITING_FOR_USER", "CANCELLED"}


def work(tenant: Tenant, while_it_runs: Callable[[], object]) -> None:
    """Let a runner do what is there to do, in a step that ends before the deployment does."""
    runner = tenant.runner()
    lease = take(tenant.world.rules, runner)
    assert lease is not None
    at = tenant.world.clock.now()
    line = LogEvent(step="one", number=1, at=at, level=LogLevel.INFO, message=f"did {lease.phase.value}")
    step = Step(name="one", order=0, status=StepStatus.SUCCESS, started_at=at, completed_at=at)
    told = Report(fencing_token=lease.fencing_token, steps=(step,), events=(line,))
    save_report(tenant.world.rules, holder(runner, lease), told)
    while_it_runs()
    finish(
        tenant.world.rules, holder(runner, lease), Finish(fencing_token=lease.fencing_token, outcome=Outcome.SUCCESS)
    )


class CommandLine:
    """What the commands do once they have read their options."""

    def __init__(self, api: ManagementApi, tenant: Tenant, project: Project) -> None:
        self.api, self.tenant, self.project = api, tenant, project

    def environment(self, name: str) -> dict[str, Any] | None:
        found = self.api.call("GET", f"/environments?projectId={self.project.id}&name={name}")
        return found[0] if found else None

    def there(self, name: str) -> dict[str, Any]:
        found = self.environment(name)
        assert found is not None
        return found

    def deploy(self, name: str, template: Template, **more: Any) -> str:
        changes = [{"isSensitive": False, "name": "A", "value": "1", "scope": "DEPLOYMENT", "type": 0}]
        environment = self.environment(name)
        if environment is None:
            body = {
                "name": name,
                "projectId": str(self.project.id),
                "deployRequest": {"blueprintId": str(template.id), "blueprintRevision": "main"},
                "configurationChanges": changes,
                **more,
            }
            made = self.api.call("POST", "/environments", body, status=201)
            return self.poll(made["latestDeploymentLog"])
        path = f"/environments/{environment['id']}/deployments"
        return self.poll(self.api.call("POST", path, {"configurationChanges": changes, **more}, status=201))

    def decide(self, name: str, end: str = "") -> str:
        """Do what `approve` and `cancel` do."""
        environment = self.there(name)
        assert environment["status"] == "WAITING_FOR_USER"
        latest: dict[str, Any] = environment["latestDeploymentLog"]
        self.api.call("PUT", f"/environments/deployments/{latest['id']}{end}")
        return self.poll(latest)

    def destroy(self, name: str, *, requires_approval: bool) -> str:
        environment = self.there(name)
        path = f"/environments/{environment['id']}"
        if requires_approval != environment["requiresApproval"]:
            self.api.call("PUT", path, {"requiresApproval": requires_approval})
        query = "skipStateRefresh=true&checkoutUpdatedCode=true"
        return self.poll(self.api.call("POST", f"{path}/destroy?{query}", status=201))

    def poll(self, begun: dict[str, Any]) -> str:
        """Ask until it ends, with a runner that takes what it finds only after the first question."""
        goes_on = {"IN_PROGRESS", *({"QUEUED"} & {begun["status"]})}
        while True:
            status: str = self.api.call("GET", f"/environments/deployments/{begun['id']}")["status"]
            self.read_logs(begun["id"])
            if status not in goes_on:
                assert status in GOOD
                return status
            work(self.tenant, lambda: self.read_logs(begun["id"]))

    def read_logs(self, deployment: str) -> list[str]:
        """Read the steps that have ended; it would wait for the others, and never pauses for these."""
        steps = self.api.call("GET", f"/deployments/{deployment}/steps")
        read = []
        for step in steps:
            path, start, more = f"/deployments/{deployment}/steps/{step['name']}/log", "", True
            while more:
                page = self.api.call("GET", f"{path}{start}")
                read += [event["message"] for event in page["events"]]
                start = f"?startTime={page['nextStartTime']}" if page["nextStartTime"] else start
                more = page["hasMoreLogs"]
                assert not more or page["events"], "it would ask for ever"
        return read


@pytest.fixture
def env0(api: ManagementApi, tenant: Tenant, project: Project) -> CommandLine:
    return CommandLine(api, tenant, project)


def test_the_commands_of_env0s_command_line_do_what_they_say(env0: CommandLine, template: Template):
    assert env0.deploy("made", template, requiresApproval=True) == "WAITING_FOR_USER"
    assert env0.decide("made") == "SUCCESS"
    assert env0.deploy("made", template, userRequiresApproval=True) == "WAITING_FOR_USER"
    assert env0.decide("made", "/cancel") == "CANCELLED"
    assert env0.destroy("made", requires_approval=False) == "SUCCESS"
    gone = env0.there("made")
    assert (gone["isArchived"], gone["requiresApproval"]) == (True, False)
    assert env0.read_logs(gone["latestDeploymentLogId"]) == ["did destroy"]
