"""env0's Terraform provider against a running server: every call of our examples, in Terraform's order, for real."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

import env0_provider as provider
import vault_provider
from env0_provider import GONE, Env0Api, ProviderError, State
from env0_provider_environment import KINDS
from git_server import GitServer
from runpass.local.admin import Admin
from scene import PASSWORD, Scene
from terraform_files import Resource, evaluate, resources, variables

EXAMPLES = Path(__file__).parents[2] / "examples" / "terraform"
CLIENT_SIDE = {"force_destroy", "wait_for_destroy", "omit_api_key_secret"}
"""Attributes that steer the provider and are never sent."""
SERVICE = """
variable "name" { type = string }
variable "size" { type = string }
resource "terraform_data" "service" { input = "${var.name}-${var.size}" }
output "service" { value = terraform_data.service.output }
"""


@dataclass
class Terraform:
    """One working directory: what was applied, in order, and what Terraform would know of it."""

    api: Env0Api
    given: dict[str, Any]
    states: dict[str, State] = field(default_factory=dict)
    applied: list[Resource] = field(default_factory=list)

    def wanted(self, resource: Resource) -> dict[str, Any]:
        return evaluate(dict(resource.attributes), self.given, self.states)

    def apply(self, directory: str) -> None:
        file = EXAMPLES / directory / "main.tf"
        self.given = {**variables(file), **self.given}
        for resource in resources(file):
            self.states[resource.address] = provider.apply(self.api, KINDS[resource.kind], self.wanted(resource))
            self.applied.append(resource)

    def plan(self) -> dict[str, Any]:
        """Refresh everything; give what a plan would show: nothing, if the server says what it was told."""
        shown: dict[str, Any] = {}
        for resource in self.applied:
            state = provider.refresh(self.api, KINDS[resource.kind], self.states[resource.address])
            self.states[resource.address] = state
            changes = provider.plan(self.wanted(resource), state) if state else {"": "gone"}
            shown |= {f"{resource.address}.{name}": change for name, change in changes.items()}
        return shown

    def update(self, address: str, **changes: Any) -> None:
        """Change attributes in the configuration and apply that."""
        at, resource = next((n, item) for n, item in enumerate(self.applied) if item.address == address)
        kind = KINDS[resource.kind]
        assert kind.update is not None
        assert not set(changes) & kind.forces_new
        state = self.states[address]
        wanted = {**self.wanted(resource), **changes}
        kind.update(self.api, state, wanted)
        self.states[address] = provider.refresh(self.api, kind, {**state, **changes})
        attributes = {**resource.attributes, **_written(changes)}
        self.applied[at] = Resource(resource.kind, resource.name, attributes, resource.needs)

    def destroy(self) -> None:
        for resource in reversed(self.applied):
            KINDS[resource.kind].delete(self.api, self.states[resource.address])


@dataclass(frozen=True)
class Newcomer:
    """An organization of its own with a runner, as a user of env0 would find it."""

    admin: Admin
    http: httpx2.Client
    name: str

    def terraform(self, **given: Any) -> Terraform:
        api = Env0Api(self.http)
        api.start()
        return Terraform(api, {"name": self.name, **given})


@pytest.fixture(scope="module")
def newcomer(scene: Scene) -> Iterator[Newcomer]:
    with ExitStack() as stack:
        name = scene.unique("newcomer")
        (admin,) = scene.stage.found([name])
        stack.callback(admin.close)
        scene.stage.start_runner(stack, admin, name)
        key_id, secret = admin._key  # noqa: SLF001 -- what a user copies from the terminal
        http = httpx2.Client(
            base_url=f"{scene.stage.settings.public_url}/api/", auth=(key_id, secret.reveal()), trust_env=False
        )
        yield Newcomer(admin, stack.enter_context(http), name)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with GitServer(tmp_path_factory.mktemp("git")) as server:
        yield server.repository("service", {"service/main.tf": SERVICE})


@pytest.mark.skipif(
    shutil.which("terraform") is None, reason="the example deploys with Terraform, which is not on PATH"
)
def test_the_whole_guide_by_env0s_provider_from_nothing_to_nothing(scene: Scene, newcomer: Newcomer, repository: str):
    terraform = newcomer.terraform(vault_address=scene.openbao.address, repository=repository)
    terraform.apply("env0")
    ids = {name: terraform.states[address]["id"] for name, address in OUTPUTS.items()}
    set_up_vault(scene, newcomer, ids)
    terraform.given |= ids
    terraform.apply("environment")
    assert terraform.plan() == {}
    environment = terraform.states["env0_environment.staging"]["id"]
    deployment = terraform.api.call("GET", f"/environments/{environment}")["latestDeploymentLogId"]
    assert provider.wait_for(terraform.api, deployment) == "SUCCESS", newcomer.admin.log(deployment)
    answer = terraform.api.call("GET", f"/environments/deployments/{deployment}")
    assert answer["output"]["service"]["value"] == "staging-small"
    assert PASSWORD not in newcomer.admin.log(deployment)
    assert terraform.plan() == {}
    every_attribute_was_sent(terraform)

    terraform.update("env0_project.project", description="Another description")
    terraform.update("env0_template.service", description="Another one", revision="")
    terraform.update("env0_vault_oidc_credentials.vault", version="1.19.0")
    terraform.update("env0_configuration_variable.region", value="eu-west-1")
    terraform.update("env0_organization_policy.policy", enable_oidc=False)
    terraform.update("env0_environment.staging", name=f"{newcomer.name}-renamed", ttl="2027-01-02T03:04:05Z")
    assert terraform.plan() == {}
    changed = [{**terraform.states["env0_environment.staging"]["configuration"][1], "value": "other"}]
    terraform.update("env0_environment.staging", configuration=changed)
    again = terraform.api.call("GET", f"/environments/{environment}")
    assert again["latestDeploymentLogId"] != deployment
    assert provider.wait_for(terraform.api, again["latestDeploymentLogId"]) == "SUCCESS"
    assert terraform.plan() == {}

    imports_settle(terraform)
    terraform.destroy()
    for resource in terraform.applied:
        if resource.kind not in {"env0_environment", "env0_organization_policy"}:  # these are never dropped
            if resource.kind.endswith("_assignment") and "cloud" in resource.kind:
                continue  # its project is gone, and with it the question
            assert provider.refresh(terraform.api, KINDS[resource.kind], terraform.states[resource.address]) is GONE
    status, answer = terraform.api.ask("POST", f"/environments/{environment}/destroy")
    assert status == 400, answer


OUTPUTS = {
    "project_id": "env0_project.project",
    "credential_id": "env0_vault_oidc_credentials.vault",
    "template_id": "env0_template.service",
    "organization_id": "env0_organization_policy.policy",
}


def set_up_vault(scene: Scene, newcomer: Newcomer, ids: Mapping[str, str]) -> None:
    settings = scene.stage.settings
    given = {"name": newcomer.name, "issuer_url": settings.issuer_url, "audience": settings.audience, **ids}
    states: dict[str, dict[str, Any]] = {}
    with scene.operator() as operator:
        for resource in resources(EXAMPLES / "vault" / "main.tf"):
            attributes, make = vault_provider.KINDS[resource.kind]
            wanted = evaluate(dict(resource.attributes), given, states)
            assert set(wanted) <= attributes, resource.address
            make(operator, wanted)
            states[resource.address] = wanted
        operator.write(f"secrets-for-{newcomer.name}/data/app", {"data": {"password": PASSWORD}})


def every_attribute_was_sent(terraform: Terraform) -> None:
    """What stands in the files is what went over the wire: every value of every attribute."""
    wire = repr([(path, body) for method, path, body in terraform.api.sent if method != "GET"])
    for resource in terraform.applied:
        for name, value in terraform.wanted(resource).items():
            if name in CLIENT_SIDE or value in (None, ""):
                continue
            if isinstance(value, bool) or name == "type":
                assert resource.kind in KINDS
            elif isinstance(value, list):
                assert all(repr(part)[1:-1] in wire for item in value for part in _leaves(item)), resource.address
            else:
                assert repr(value).strip("'") in wire, (resource.address, name)


def _written(value: Any) -> Any:
    """Give a value as it stands in a file."""
    if isinstance(value, dict):
        return {name: _written(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_written(item) for item in value]
    return f'"{value}"' if isinstance(value, str) else value


def _leaves(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [str(item) for name, item in value.items() if name not in {"is_sensitive", "type"}]
    return [str(value)]


def imports_settle(terraform: Terraform) -> None:
    """An import by id knows what the API tells; after one apply the plan is empty."""
    for resource in terraform.applied:
        kind = KINDS[resource.kind]
        if not kind.importable:
            continue
        known = {"id": terraform.states[resource.address]["id"]}
        kept = {name: value for name, value in terraform.wanted(resource).items() if name in {"value", "configuration"}}
        state = provider.refresh(terraform.api, kind, {**kept, **known})
        differs = set(provider.plan(terraform.wanted(resource), state)) - CLIENT_SIDE
        never_told = {
            "address",
            "version",
            "role_name",
            "jwt_auth_backend_path",
            "namespace",
            "project_id",
            "template_id",
        }
        assert differs <= never_told, (resource.address, differs)
        if differs and kind.update is not None:
            kind.update(terraform.api, state, terraform.wanted(resource))


def test_a_project_is_not_deleted_under_a_destroy_unless_its_user_forces_it(scene: Scene, newcomer: Newcomer):
    """The race of `terraform destroy` without `wait_for_destroy`: the destroy is queued, and nobody has run it."""
    api, admin = newcomer.terraform().api, newcomer.admin
    admin.call("POST", "/runners/join-tokens", {"organizationId": admin.organization_id, "pool": "nobody"})
    project = provider.create_project(api, {"name": scene.unique("race")})
    body = {"name": scene.unique("race"), "type": "shell", "commands": ["true"]}
    template = api.call("POST", "/blueprints", {**body, "organizationId": api.organization_id})["id"]
    provider.attach(api, {"template_id": template, "project_id": project})
    deploy = {"blueprintId": template, "runnerPool": "nobody"}
    environment = api.call("POST", "/environments", {"name": "race", "projectId": project, "deployRequest": deploy})
    state = {"id": environment["id"], "force_destroy": True, "wait_for_destroy": False}
    KINDS["env0_environment"].delete(api, state)
    with pytest.raises(ProviderError, match="active environment"):
        provider.delete_project(api, {"id": project})
    provider.delete_project(api, {"id": project, "force_destroy": True})
    assert provider.read_project(api, {"id": project}) is GONE
    found = api.call("GET", f"/environments/{environment['id']}")
    assert found["isArchived"] is True
    status, _ = api.ask("POST", f"/environments/{environment['id']}/destroy")
    assert status == 400


@pytest.mark.skipif(not os.environ.get("ENV0_PROVIDER_MIRROR"), reason="ENV0_PROVIDER_MIRROR names no provider mirror")
def test_the_real_provider_applies_plans_nothing_and_destroys(
    scene: Scene, newcomer: Newcomer, repository: str, tmp_path: Path
):
    mirror = os.environ["ENV0_PROVIDER_MIRROR"]
    rc = tmp_path / "terraformrc"
    rc.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
    key_id, secret = newcomer.admin._key  # noqa: SLF001 -- what a user copies from the terminal
    environment = {
        **os.environ,
        "TF_CLI_CONFIG_FILE": str(rc),
        "TF_IN_AUTOMATION": "1",
        "ENV0_API_ENDPOINT": f"{scene.stage.settings.public_url}/api",
        "ENV0_API_KEY": key_id,
        "ENV0_API_SECRET": secret.reveal(),
        "TF_VAR_name": scene.unique("real"),
        "TF_VAR_vault_address": scene.openbao.address,
        "TF_VAR_repository": repository,
    }
    where = tmp_path / "env0"
    where.mkdir()
    (where / "main.tf").write_text((EXAMPLES / "env0" / "main.tf").read_text())
    for arguments in (
        ["init", "-input=false"],
        ["apply", "-auto-approve", "-input=false"],
        ["plan", "-detailed-exitcode", "-input=false"],
        ["destroy", "-auto-approve", "-input=false"],
    ):
        subprocess.run(["terraform", *arguments], cwd=where, env=environment, check=True, timeout=300)
