"""Two organizations at a real server, with one of every kind of bearer, and a real OpenBao that trusts the server.

No runner runs: the tests are the runners, and so hold every secret that one is given.
"""

import base64
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
from sqlalchemy import update

from programs import RunningServer, start_server, wait_until
from runpass.local.admin import Admin
from runpass.local.openbao import DevOpenBao
from runpass.protocol.credentials.fields import TokenFormat, audience
from runpass.server.db.schema.deployments import run_leases
from runpass.server.opening import Parts, open_parts
from runpass.server.settings import load_settings
from runpass.server.tenancy.founding import found_organization
from runpass.vault.desired import Guide, guide
from runpass.vault.reconcile import setup
from runpass.vault.sweeper import with_sweeper

ELSEWHERE = "sts.example.com"
"""An audience that jobs ask for by themselves."""
REGISTRATION = {"name": "played", "version": "1", "protocol": 2, "isolation": "uid", "capacity": 8}

Json = dict[str, Any]


def bearer(value: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {value}"}


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@dataclass(frozen=True)
class PlayedRunner:
    """A runner whose calls a test makes."""

    http: httpx2.Client
    id: str
    key: str

    def call(self, path: str, body: Json | None = None, **headers: str) -> httpx2.Response:
        """Ask the runner's door; `task_secret="x"` becomes the header `Runpass-Task-Secret`."""
        named = {f"Runpass-{name.replace('_', '-').title()}": value for name, value in headers.items()}
        return self.http.post(f"/runner/v1{path}", json=body, headers={**bearer(self.key), **named})

    def given(self, path: str, body: Json | None = None, **headers: str) -> Json:
        answer = self.call(path, body, **headers)
        assert answer.status_code == httpx2.codes.OK, (path, answer.status_code, answer.text)
        found: Json = answer.json()
        return found

    def holding(self, lease: Json, door: str, **body: Any) -> httpx2.Response:
        """Ask a door of a lease, as its holder does."""
        body = {"fencingToken": lease["fencingToken"], **body}
        return self.call(f"/run-leases/{lease['leaseId']}/{door}", body, lease_secret=lease["leaseSecret"])

    def identity(self, lease: Json, **purpose: str) -> Json:
        found: Json = self.holding(lease, "identity-token", purpose=purpose).raise_for_status().json()
        return found

    def on_demand(self, lease: Json, wanted: str) -> str:
        """Ask for a token as the job does."""
        headers = bearer(lease["idTokenRequestToken"])
        answer = self.http.get(f"/id-token/v1/{lease['leaseId']}", params={"audience": wanted}, headers=headers)
        return str(answer.raise_for_status().json()["value"])


@dataclass(frozen=True)
class VaultSide:
    """What an organization set up in one namespace: `runpass vault apply`, and roles for what jobs hold themselves."""

    project: str
    credential: str
    audience: str
    mount: str
    kv: str
    namespace: str


@dataclass(frozen=True)
class Standing:
    """A server, two organizations and an OpenBao."""

    server: RunningServer
    openbao: DevOpenBao
    parts: Parts
    http: httpx2.Client
    bao: httpx2.Client
    ours: Admin
    theirs: Admin
    api_key: tuple[str, str]
    shared: str

    def join_token(self, admin: Admin, pool: str = "default", uses: int = 1, seconds: int = 600) -> Json:
        body = {"organizationId": admin.organization_id, "pool": pool, "uses": uses, "lifetimeSeconds": seconds}
        found: Json = admin.call("POST", "/runners/join-tokens", body)
        return found

    def register(self, join_token: str) -> httpx2.Response:
        return self.http.post("/runner/v1/register", json=REGISTRATION, headers=bearer(join_token))

    def runner(self, pool: str = "default", admin: Admin | None = None) -> PlayedRunner:
        joined = self.register(self.join_token(admin or self.ours, pool)["joinToken"]).raise_for_status().json()
        return PlayedRunner(self.http, joined["runnerId"], joined["runnerKey"])

    def queue(self, project: str, pool: str = "default") -> str:
        """Deploy; give the deployment's id."""
        name, organization = f"run-{uuid4().hex[:8]}", self.ours.organization_id
        template = {"name": name, "type": "shell", "commands": ["true"], "organizationId": organization}
        template_id = self.ours.call("POST", "/blueprints", template)["id"]
        self.ours.call("PATCH", f"/blueprints/{template_id}/projects", {"projectId": project})
        wanted = {"blueprintId": template_id, "runnerPool": pool}
        made = self.ours.call("POST", "/environments", {"name": name, "projectId": project, "deployRequest": wanted})
        return str(made["latestDeploymentLogId"])

    def begin(self, project: str, runner: PlayedRunner, pool: str = "default") -> Json:
        """Deploy, and give the run lease that the runner gets."""
        deployment = self.queue(project, pool)
        lease = runner.given("/run-leases")
        assert lease["run"]["deploymentId"] == deployment
        return lease

    def vault_side(self, token_format: TokenFormat, namespace: str = "") -> VaultSide:
        """Make a project with a credential, and what it needs in a namespace of the OpenBao."""
        name = f"matrix-{uuid4().hex[:8]}"
        mount, kv, project = f"jwt-{name}", f"kv-{name}", self.ours.project(name)
        value = {
            "address": self.openbao.address,
            "version": "2.7.2",
            "roleName": "credential",
            "jwtAuthBackendPath": mount,
            "tokenFormat": token_format,
            **({"namespace": namespace} if namespace else {}),
        }
        organization = self.ours.organization_id
        body = {"name": name, "type": "VAULT_OIDC", "value": value, "organizationId": organization}
        credential = UUID(self.ours.call("POST", "/credentials", body)["id"])
        self.ours.assign(str(credential), project)
        named = audience(token_format, "vault", shared=self.shared, credential_id=credential)
        facts = Guide(
            issuer=f"{self.server.url}/",
            jwks_url=f"{self.server.url}/.well-known/jwks.json",
            audience=named,
            organization_id=UUID(organization),
            credential_id=credential,
            project_ids=(UUID(project),),
            role_name="credential",
            mount=mount,
            kv_path=kv,
            namespace=namespace,
        )
        with self.openbao.root() as root, self.openbao.root(namespace=namespace) as operator:
            setup(root, with_sweeper(guide(facts), UUID(organization)))
            operator.write(f"{kv}/data/app", {"data": {"password": "text"}})
            for role, bound in (("job", self.shared), ("elsewhere", ELSEWHERE)):
                operator.write(f"auth/{mount}/role/{role}", self._role_for_jobs(project, bound))
        return VaultSide(project, str(credential), named, mount, kv, namespace)

    def _role_for_jobs(self, project: str, bound_audience: str) -> Json:
        """A role as an operator writes it for the token that a job itself holds: nothing of it names a credential."""
        claims = {"apiKeyType": "oidc", "organizationId": self.ours.organization_id, "projectId": project}
        common = {"role_type": "jwt", "user_claim": "environmentId", "token_policies": ["default"], "token_ttl": 60}
        return {**common, "bound_audiences": [bound_audience], "bound_claims": claims}

    def vault(self, method: str, path: str, namespace: str = "", token: str = "", body: Any = None) -> httpx2.Response:
        """Ask the OpenBao as anybody can."""
        named = {"X-Vault-Namespace": namespace, "X-Vault-Token": token}
        headers = {name: value for name, value in named.items() if value}
        return self.bao.request(method, f"/v1/{path}", json=body, headers=headers)

    def log_in(self, side: VaultSide, role: str, jwt: str) -> httpx2.Response:
        return self.vault("POST", f"auth/{side.mount}/login", side.namespace, body={"role": role, "jwt": jwt})

    def vault_token(self, side: VaultSide, runner: PlayedRunner, lease: Json) -> tuple[Json, Json]:
        """Log in and tell the server of it, as a runner does; give the identity token and the Vault's `auth`."""
        token = runner.identity(lease, kind="credential", credentialId=side.credential)
        auth: Json = self.log_in(side, "credential", token["token"]).raise_for_status().json()["auth"]
        given = {"accessor": auth["accessor"], "ttlSeconds": auth["lease_duration"], "renewable": auth["renewable"]}
        runner.holding(lease, f"vault-logins/{token['loginId']}", given=given).raise_for_status()
        return token, auth


@dataclass(frozen=True)
class Lost:
    """A deployment whose first runner never spoke, so that another one has it now."""

    first: PlayedRunner
    lost: Json
    second: PlayedRunner
    held: Json


def stand(directory: Path, openbao: DevOpenBao, stack: ExitStack) -> Standing:
    """Start a server with two organizations. Leases live for ten minutes."""
    settings: Mapping[str, object] = {"rate_limit_requests": 0, "failed_login_limit": 0, "lease_seconds": 600}
    server = start_server(directory, log_level="error", **settings)
    stack.callback(server.program.stop)
    parts = open_parts(load_settings(environment=server.environment).settings)
    stack.callback(parts.close)
    ours, theirs = (found_organization(parts.database, name, parts.clock) for name in ("acme", "globex"))
    admins = [
        Admin(server.url, str(item.organization.id), item.admin_key.key.api_key_id, item.admin_key.secret)
        for item in (ours, theirs)
    ]
    for admin in admins:
        stack.callback(admin.close)
    http, bao = (
        stack.enter_context(httpx2.Client(base_url=url, trust_env=False, timeout=30))
        for url in (server.url, openbao.address)
    )
    api_key = (ours.admin_key.key.api_key_id, ours.admin_key.secret.reveal())
    return Standing(server, openbao, parts, http, bao, *admins, api_key, shared=server.url)


def lose(standing: Standing) -> Lost:
    """Have a runner lose a run before it began, and another one get it, as after ten minutes of silence."""
    pool = f"lost-{uuid4().hex[:8]}"
    first, second = standing.runner(pool), standing.runner(pool)
    lost = standing.begin(standing.ours.project(pool), first, pool)
    with standing.parts.database.write() as tx:
        mine = run_leases.c.id == UUID(lost["leaseId"])
        tx.execute(update(run_leases).where(mine).values(expires_at=standing.parts.clock.now()))
    found: list[Json] = []

    def again() -> bool:
        answer = second.call("/run-leases")
        found.extend([answer.json()] if answer.status_code == httpx2.codes.OK else [])
        return bool(found)

    wait_until(again, "the deployment waits again")
    assert found[0]["run"]["deploymentId"] == lost["run"]["deploymentId"]
    return Lost(first, lost, second, found[0])
