"""The scene of the system tests: one real server, one real runner and the shared OpenBao, for a whole worker."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest

from runpass.local.admin import Admin
from runpass.local.openbao import DevOpenBao
from runpass.local.stage import Stage, throw_away_stage
from runpass.secret import Secret
from runpass.vault.client import VaultClient
from runpass.vault.desired import Guide, guide
from runpass.vault.reconcile import setup
from runpass.vault.sweeper import with_sweeper

PASSWORD = "correct-horse-battery-staple"
NOT_RUN = "echo this-must-not-run"


@dataclass
class Project:
    """A project with its credential, the Vault side set up for exactly this pair, and a secret to read."""

    id: str
    credential: str
    mount: str
    kv: str
    role: str
    namespace: str = ""

    @property
    def reference(self) -> str:
        return f"${{vault:{self.kv}/app.password}}"


@dataclass
class Scene:
    stage: Stage
    openbao: DevOpenBao
    api: Admin
    other: Admin
    names: set[str] = field(default_factory=set)

    def unique(self, prefix: str) -> str:
        return f"{prefix}-{uuid4().hex[:8]}"

    def guided(self, *, namespace: str = "") -> Project:
        """Walk steps 1 and 2 of the guide: Vault side, project, credential, assignment, one secret."""
        name = self.unique("guided")
        project = self.api.project(name)
        kv, mount = self.unique("kv"), self.unique("jwt")
        value = {"namespace": namespace} if namespace else {}
        credential = self.credential(self.openbao.address, name, mount, **value)
        self.api.assign(credential, project)
        facts = Guide(
            issuer=self.stage.settings.issuer_url,
            jwks_url=self.stage.settings.jwks_url,
            audience=self.stage.settings.audience,
            organization_id=UUID(self.api.organization_id),
            credential_id=UUID(credential),
            project_ids=(UUID(project),),
            role_name=name,
            mount=mount,
            kv_path=kv,
            policy_name=name,
            namespace=namespace,
        )
        with self.openbao.root() as operator:
            setup(operator, with_sweeper(guide(facts), facts.organization_id))
            operator.in_namespace(namespace).write(f"{kv}/data/app", {"data": {"password": PASSWORD}})
        return Project(project, credential, mount, kv, name, namespace)

    def credential(self, address: str, role: str, mount: str, *, api: Admin | None = None, **more: Any) -> str:
        api = api or self.api
        value = {"address": address, "version": "2.7.2", "roleName": role, "jwtAuthBackendPath": mount, **more}
        body = {"name": role, "type": "VAULT_OIDC", "value": value, "organizationId": api.organization_id}
        return api.call("POST", "/credentials", body)["id"]

    def with_vault_at(self, address: str, *, role: str = "any", mount: str = "jwt", **more: str) -> str:
        """Make a project whose credential points somewhere else; give the project's id."""
        project = self.api.project(self.unique("elsewhere"))
        self.api.assign(self.credential(address, role, mount, **more), project)
        return project

    def deploy(
        self, project: str, *commands: str, api: Admin | None = None, **variables: str
    ) -> tuple[dict[str, Any], str]:
        """Deploy and wait; give the deployment and its whole log."""
        api = api or self.api
        deployment = api.deploy(self.unique("environment"), project, list(commands), variables)
        return deployment, api.log(deployment["id"])

    def tokens(self, mount: str, *, namespace: str = "") -> list[dict[str, Any]]:
        """Give the live tokens that came from logins at a mount, as OpenBao lists them."""
        with self.openbao.root(namespace=namespace) as operator:
            found = []
            listed = operator.list("auth/token/accessors", accept={404})  # 404: there are none at all
            for accessor in listed.data.get("keys", []):
                answer = operator.write("auth/token/lookup-accessor", {"accessor": accessor}, accept={400, 403, 404})
                data = answer.body.get("data")
                if data and data["path"] == f"auth/{mount}/login":
                    found.append(data)
            return found

    def operator(self, namespace: str = "") -> VaultClient:
        return self.openbao.root(namespace=namespace)


@contextmanager
def as_role(scene: Scene, project: str, role: str) -> Iterator[Admin]:
    """Somebody with this role on a project, and nothing else."""
    api = scene.api
    permissions = {"organizationRole": "User", "projectsPermissions": [{"projectId": project, "projectRole": role}]}
    body = {"name": scene.unique(role), "organizationId": api.organization_id, "permissions": permissions}
    made = api.call("POST", "/api-keys", body)
    url = scene.stage.settings.public_url
    with closing(Admin(url, api.organization_id, made["apiKeyId"], Secret(made["apiKeySecret"]))) as client:
        yield client


@pytest.fixture(scope="session")
def scene(openbao: DevOpenBao) -> Iterator[Scene]:
    with ExitStack() as stack:
        stage = stack.enter_context(throw_away_stage())
        api, other = stage.found(["Acme", "Globex"])
        stage.start_server(stack)
        for admin in (api, other):
            stack.callback(admin.close)
        stage.start_runner(stack, api, "acme", capacity=4)
        stage.start_runner(stack, other, "globex")
        yield Scene(stage, openbao, api, other)
