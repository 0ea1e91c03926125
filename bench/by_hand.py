"""The same secret without runpass: two bare calls over a reused connection, and the commands people type."""

import subprocess
import time
from datetime import timedelta

from bench.play import PASSWORD, Play
from bench.samples import Row
from runpass.local.openbao import find_binary
from runpass.local.stage import MOUNT, ROLE
from runpass.secret import Secret
from runpass.server.issuer.claims import WorkloadClaims
from runpass.server.issuer.minting import Minter
from runpass.server.opening import open_parts
from runpass.vault.desired import KV_PATH


class ByHand:
    """Holds an identity token that the role accepts, as a run of the play would."""

    name = ""

    def __init__(self, play: Play) -> None:
        self.play = play
        parts = open_parts(play.stage.settings)
        settings = play.stage.settings
        organization = play.api.organization_id
        same = "0198f000-0000-7000-8000-000000000000"
        claims = WorkloadClaims(
            organization_id=organization,
            organization=organization,
            project_id=play.project,
            project_name="bench",
            template_id=same,
            template_name="bench",
            environment_id=same,
            environment_name="bench",
            workspace_name="bench",
            deployment_log_id=same,
            deployment_type="deploy",
            phase="apply",
            runner_id=same,
            runner_pool="default",
            runner_isolation="uid",
            credential_id=play.credential,
        )
        minter = Minter(parts.ring, settings.issuer_url, parts.clock)
        lifetime = timedelta(minutes=15)
        self.jwt = minter.mint(claims, subject=organization, audience=settings.audience, lifetime=lifetime).token
        parts.close()

    def measure(self, runs: int) -> Row:
        samples = []
        for number in range(runs + 3):
            started = time.perf_counter()
            if self.once() != PASSWORD:
                raise SystemExit(f"{self.name}: the secret was not read")
            if number >= 3:
                samples.append((time.perf_counter() - started) * 1000)
        return Row(self.name, tuple(samples))

    def once(self) -> str:
        raise NotImplementedError


class BareCalls(ByHand):
    """Login and read, over one connection that stays open."""

    name = "two bare Vault calls, reused connection"

    def __init__(self, play: Play) -> None:
        super().__init__(play)
        self.client = play.openbao.client()

    def once(self) -> str:
        login = self.client.write(f"auth/{MOUNT}/login", {"role": ROLE, "jwt": self.jwt})
        view = self.client.with_token(Secret(login.auth["client_token"]))
        return view.read(f"{KV_PATH}/data/app").data["data"]["password"]


class Commands(ByHand):
    """`bao write auth/…/login` and `bao kv get`, as processes."""

    name = "bao write login + bao kv get"

    def once(self) -> str:
        bao = str(find_binary())
        environment = {"BAO_ADDR": self.play.openbao.address, "HOME": str(self.play.stage.root)}
        login = [bao, "write", "-field=token", f"auth/{MOUNT}/login", f"role={ROLE}", "jwt=-"]
        token = subprocess.run(
            login, input=self.jwt.reveal(), env=environment, capture_output=True, text=True, check=True
        ).stdout
        read = [bao, "kv", "get", f"-mount={KV_PATH}", "-field=password", "app"]
        environment["BAO_TOKEN"] = token
        return subprocess.run(read, env=environment, capture_output=True, text=True, check=True).stdout.strip()
