"""The stage of the benchmarks: OpenBao, server, one runner for eight, a project with its credential, a secret."""

from contextlib import ExitStack
from dataclasses import dataclass

from runpass.local.admin import Admin
from runpass.local.openbao import DevOpenBao
from runpass.local.stage import MOUNT, ROLE, Stage, set_up_vault, throw_away_stage
from runpass.runner.isolation import detect
from runpass.runner.settings import DEFAULT_UID_BASE
from runpass.vault.desired import KV_PATH

PASSWORD = "correct-horse-battery-staple"  # noqa: S105 -- a secret of the benchmark's own
REFERENCE = f"${{vault:{KV_PATH}/app.password}}"


@dataclass(frozen=True)
class Play:
    stage: Stage
    openbao: DevOpenBao
    api: Admin
    project: str
    credential: str
    isolation: str

    def template(self, name: str, command: str) -> str:
        body = {"name": name, "type": "shell", "commands": [command], "organizationId": self.api.organization_id}
        template = self.api.call("POST", "/blueprints", body)["id"]
        self.api.call("PATCH", f"/blueprints/{template}/projects", {"projectId": self.project})
        return template

    def environment(self, name: str, template: str) -> str:
        """Make an environment that reads the secret; nothing is deployed yet."""
        body = {
            "name": name,
            "projectId": self.project,
            "deployRequest": {"blueprintId": template},
            "configurationChanges": [{"name": "DB_PASSWORD", "value": REFERENCE}],
            "preventAutoDeploy": True,
        }
        return self.api.call("POST", "/environments", body)["id"]


def open_play(stack: ExitStack) -> Play:
    stage = stack.enter_context(throw_away_stage())
    openbao = stack.enter_context(DevOpenBao())
    (api,) = stage.found(["Bench"])
    stage.start_server(stack)
    stack.callback(api.close)
    stage.start_runner(stack, api, "bench", capacity=8)
    project = api.project("bench")
    credential = api.credential("vault", openbao.address, ROLE, MOUNT)
    api.assign(credential, project)
    facts = stage.guide(api.organization_id, credential, [project])
    set_up_vault(openbao, facts, {"app": {"password": PASSWORD}})
    return Play(stage, openbao, api, project, credential, detect(DEFAULT_UID_BASE).kind.value)
