"""A throw-away stage: a dev OpenBao, a server and runners on free ports, all gone when it is closed.

What `runpass demo`, the benchmarks and the system tests stand on: the very programs that a user runs.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from runpass.local.admin import Admin
from runpass.local.openbao import DevOpenBao, find_binary, free_port, install_tool
from runpass.local.programs import Program, server_is_ready, write_private
from runpass.runner.kept_key import FILE_NAME
from runpass.server.opening import open_parts
from runpass.server.settings import ServerSettings, load_settings
from runpass.server.tenancy.founding import Founded, found_organization
from runpass.vault.desired import KV_PATH, SWEEPER, DesiredState, Guide, guide
from runpass.vault.reconcile import setup
from runpass.vault.sweeper import with_sweeper

MOUNT: Final = "jwt"
ROLE: Final = "deploy"


@dataclass(slots=True)
class Stage:
    """What runs, and where."""

    root: Path
    settings: ServerSettings
    server: Program | None = None
    runners: list[Program] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the server answers."""
        return self.settings.public_url

    def found(self, names: Sequence[str]) -> list[Admin]:
        """Make organizations, straight in the database as `runpass init` does; give their admins."""
        parts = open_parts(self.settings)
        try:
            founded = [found_organization(parts.database, name, parts.clock) for name in names]
        finally:
            parts.close()
        return [_admin(self.url, item) for item in founded]

    def start_server(self, stack: ExitStack) -> None:
        """Start the server and wait until it is ready."""
        values = {
            "data_dir": self.settings.data_dir,
            "public_url": self.settings.public_url,
            "listen_port": self.settings.listen_port,
            "database_url": self.settings.database_url,
            "lease_seconds": self.settings.lease_seconds,
            "token_lifetime_seconds": self.settings.token_lifetime_seconds,
            "log_level": "warning",
        }
        name = f"server-{self.settings.listen_port}"
        self.server = stack.enter_context(Program(name, values, self.root / "etc"))
        self.server.wait_until(server_is_ready(f"http://127.0.0.1:{self.settings.listen_port}"))

    def start_runner(self, stack: ExitStack, api: Admin, name: str, *, capacity: int = 2) -> Program:
        """Start a runner for an organization and wait until it has joined."""
        token_file = self.root / "etc" / f"{name}.join-token"
        write_private(token_file, api.join_token(uses=1).reveal())
        state = self.root / f"runner-{name}"
        values: dict[str, Any] = {
            "url": self.url,
            "name": name,
            "join_token_file": token_file,
            "state_dir": state,
            "work_dir": self.root / f"work-{name}",
            "tool_path": (install_tool(find_binary(), self.root / "tools").parent,),
            "capacity": capacity,
            "allow_unisolated": True,
            "drain_seconds": 2.0,
        }
        runner = stack.enter_context(Program(f"runner-{name}", values, self.root / "etc"))
        runner.wait_until((state / FILE_NAME).exists)
        self.runners.append(runner)
        return runner

    def guide(self, organization: str, credential: str, projects: Sequence[str]) -> Guide:
        """Give the facts for the Vault side of one credential."""
        return Guide(
            issuer=self.settings.issuer_url,
            jwks_url=self.settings.jwks_url,
            audience=self.settings.audience,
            organization_id=UUID(organization),
            credential_id=UUID(credential),
            project_ids=tuple(UUID(project) for project in projects),
            role_name=ROLE,
            mount=MOUNT,
            kv_path=KV_PATH,
        )


@contextmanager
def throw_away_stage(*, lease_seconds: float = 30.0, database_url: str = "") -> Iterator[Stage]:
    """Give an empty stage on a free port; nothing runs yet."""
    root = Path(tempfile.mkdtemp(prefix="runpass-stage-"))
    root.chmod(0o711)  # runs have users of their own and must be able to pass through to their workspaces
    try:
        loaded = load_settings(
            environment={},
            data_dir=root / "server",
            database_url=database_url,
            listen_port=free_port(),
            lease_seconds=lease_seconds,
        )
        yield Stage(root, loaded.settings)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def set_up_vault(openbao: DevOpenBao, facts: Guide, secrets: dict[str, dict[str, str]]) -> int:
    """Do the Vault side of the guide as the operator and store secrets; give the number of changes."""
    with openbao.root() as operator:
        changes = setup(operator, with_sweeper(guide(facts), facts.organization_id))
        for path, values in secrets.items():
            operator.write(f"{facts.kv_path}/data/{path}", {"data": values})
    return len(changes)


def record_roles(api: Admin, credential: str, state: DesiredState) -> None:
    """Let the server know the role of a credential, as `vault apply` does: how long its tokens live, for one."""
    role = next(item for item in state.roles if item.name != SWEEPER)
    recorded = {"role": role.parameters(), "config": state.auth.config.parameters()}
    place = {"roleName": role.name, "mount": state.auth.path, "namespace": state.namespace}
    body = place | {name: json.dumps(value) for name, value in recorded.items()}
    api.call("PUT", f"/credentials/{credential}/recorded-role", body)


def tokens_outstanding(openbao: DevOpenBao, mount: str = MOUNT) -> int:
    """Count the live tokens that came from logins at this mount, as OpenBao itself lists them."""
    with openbao.root() as operator:
        accessors = operator.list("auth/token/accessors").data["keys"]
        count = 0
        for accessor in accessors:
            found = operator.write("auth/token/lookup-accessor", {"accessor": accessor}, accept={400, 403, 404})
            count += found.body.get("data") is not None and found.data.get("path") == f"auth/{mount}/login"
        return count


def _admin(url: str, founded: Founded) -> Admin:
    made = founded.admin_key
    return Admin(url, str(founded.organization.id), made.key.api_key_id, made.secret)
