"""The stage of the chaos: one server, two runners of one pool, an OpenBao with two namespaces, proxies in between."""

import contextlib
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from cutting_proxy import CuttingProxy, cutting_proxy
from runpass.api_client import FINAL
from runpass.errors import RunpassError
from runpass.local.openbao import DevOpenBao
from runpass.local.programs import Program
from runpass.local.stage import Stage
from runpass.secret import Secret
from runpass.server.vault_tasks.sweeps import FIRST_TAKES
from scene import Project, Scene

RUNNERS = ("one", "two")
FIRST_TTL = 40
"""Seconds. Longer than the ten within which a reported token must be dead, so that only a sweep can have ended it."""
FAULTS = ("runner killed", "server killed", "server cut", "vault cut", "sealed", "killed before the report")


class SealableOpenBao(DevOpenBao):
    """Knows how to unseal itself again."""

    unseal_key = ""

    def _read_line(self, line: str) -> str | None:
        if line.startswith("Unseal Key: "):
            self.unseal_key = line.removeprefix("Unseal Key: ").strip()
        return super()._read_line(line)

    def seal(self) -> None:
        with self.root() as operator:
            operator.write("sys/seal")

    def unseal(self) -> None:
        with self.client() as anybody:
            anybody.write("sys/unseal", {"key": Secret(self.unseal_key)})


@dataclass
class Play:
    """What is on the stage, and what was seen."""

    stage: Stage
    openbao: SealableOpenBao
    scene: Scene
    stack: ExitStack
    directory: Path
    """Where commands leave a mark for each step that they run."""
    dice: random.Random
    proxies: dict[str, CuttingProxy] = field(default_factory=dict)
    programs: dict[str, Program] = field(default_factory=dict)
    projects: list[Project] = field(default_factory=list)
    plain: str = ""
    """A project without a credential."""
    faults: Counter[str] = field(default_factory=Counter)
    ended_at: dict[str, float] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    acknowledged: dict[str, dict[tuple[str, str], str]] = field(default_factory=lambda: defaultdict(dict))
    """Each log event that the API ever gave: by deployment, by step and event id."""
    alive_at: dict[str, float] = field(default_factory=dict)
    """When a token of a deployment was last seen alive."""
    shut: list[tuple[float, float]] = field(default_factory=list)
    """When nobody could sweep: OpenBao was sealed, or the server or a runner was down."""

    def open_proxies(self) -> None:
        """Stand between runner and server, and between runner and OpenBao."""
        for name, port in (("server", self.stage.settings.listen_port), ("vault", self.openbao.port)):
            self.proxies[name] = self.stack.enter_context(cutting_proxy(port))

    def start_server(self) -> None:
        self.stage.start_server(self.stack)

    def start_runner(self, name: str) -> None:
        """Start a runner, or the same one again, that reaches the server through the proxy."""
        seen = self.stage.settings.model_copy(update={"public_url": f"http://127.0.0.1:{self.proxies['server'].port}"})
        self.programs[name] = replace(self.stage, settings=seen).start_runner(
            self.stack, self.scene.api, name, capacity=3
        )

    def set_up(self, namespace: str) -> None:
        """Give a project a credential that reaches OpenBao through the proxy, and a role with a short first TTL."""
        project = self.scene.guided(namespace=namespace)
        with self.openbao.root(namespace=namespace) as operator:
            path = f"auth/{project.mount}/role/{project.role}"
            operator.write(path, {**operator.read(path).data, "token_ttl": FIRST_TTL})
        value = {"address": f"http://127.0.0.1:{self.proxies['vault'].port}", "version": "2", "namespace": namespace}
        value |= {"roleName": project.role, "jwtAuthBackendPath": project.mount}
        body = {"type": "VAULT_OIDC", "value": value, "organizationId": self.scene.api.organization_id}
        self.scene.api.call("PATCH", f"/credentials/{project.credential}", body)
        self.projects.append(project)

    def deploy(self, number: int) -> str:
        """Start a deployment of three commands, each of which marks that it ran."""
        # Every third has nothing to do with a Vault, and so asks the server for nothing before it begins.
        project = None if number % 3 == 2 else self.projects[number % len(self.projects)]
        secret = {} if project is None else {"DB_PASSWORD": project.reference}
        check = "true" if project is None else 'test -n "$DB_PASSWORD"'
        commands = [
            f'echo "step {step} of {number}"; echo {step} >> {self.directory}/$ENV0_DEPLOYMENT_LOG_ID; '
            f'{check}; sleep {self.dice.uniform(0.2, 1.0):.2f}; echo "end of {step}"'
            for step in (1, 2, 3)
        ]
        name = self.scene.unique("chaos")
        where = self.plain if project is None else project.id
        return again(lambda: self.scene.api.start(name, where, commands, secret))

    def look(self, deployments: list[str]) -> None:
        """Note what the API says now of those that have not ended, and every log event that it gives."""
        for deployment in deployments:
            with contextlib.suppress(RunpassError):
                if deployment in self.ended_at:
                    continue
                api = self.scene.api
                status = api.call("GET", f"/environments/deployments/{deployment}")["status"]
                self.acknowledged[deployment] |= self.log_of(deployment)
                if status in FINAL:
                    self.ended_at[deployment], self.statuses[deployment] = time.monotonic(), status

    def log_of(self, deployment: str) -> dict[tuple[str, str], str]:
        api = self.scene.api
        return {
            (step["name"], str(event["eventId"])): event["message"]
            for step in api.steps(deployment)
            for event in api.events(deployment, step["name"])
        }

    def look_at_tokens(self) -> set[str]:
        """Note, and give, which deployments have a token that is alive. Those of sweepers end within their minute."""
        alive: set[str] = set()
        for project in self.projects:
            tokens = self.scene.tokens(project.mount, namespace=project.namespace)
            alive |= {token["meta"]["deploymentLogId"] for token in tokens if "deploymentLogId" in token["meta"]}
        self.alive_at |= dict.fromkeys(alive, time.monotonic())
        return alive

    def reported(self) -> set[str]:
        """Give the deployments of which the server was told every accessor."""
        path = self.stage.settings.database_url.removeprefix("sqlite:///")
        query = "SELECT deployment_id FROM vault_logins GROUP BY deployment_id HAVING count(*) = count(accessor_sealed)"
        with contextlib.closing(sqlite3.connect(path)) as database:
            return {str(UUID(row[0])) for row in database.execute(query)}

    def overlap(self, since: float, until: float) -> float:
        """Give how many of these seconds there was perhaps nobody who could sweep."""
        total, done = 0.0, since
        for begin, end in sorted(self.shut):
            total += max(0.0, min(end, until) - max(begin, done))
            done = max(done, min(end, until))
        return total


def again(work: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Do something that fails while the server is down."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return work()
        except RunpassError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


class Faults(threading.Thread):
    """Makes faults, each kind at least once, until told to stop."""

    def __init__(self, play: Play) -> None:
        super().__init__(daemon=True)
        self._play = play
        self._over = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            for kind in self._kinds():
                if self._over.wait(self._play.dice.uniform(0.3, 1.2)):
                    return
                began = time.monotonic()
                if self._make(kind):
                    self._play.faults[kind] += 1
                # Who was killed may have been sweeping: somebody else is sent only when its time is over.
                given_again = 2 * FIRST_TAKES.total_seconds() if "killed" in kind else 0.0
                self._play.shut.append((began, time.monotonic() + given_again))
        except BaseException as failure:  # noqa: BLE001 -- the test shows it
            self.failure = failure

    def end(self) -> None:
        self._over.set()
        self.join(60)

    def _kinds(self) -> Iterator[str]:
        while True:
            kinds = list(FAULTS)
            self._play.dice.shuffle(kinds)
            yield from kinds

    def _make(self, kind: str) -> bool:
        play = self._play
        name = play.dice.choice(RUNNERS)
        match kind:
            case "runner killed":
                self._kill_runner(name)
            case "server killed":
                os.kill(play.stage.server.pid, signal.SIGKILL)
                time.sleep(play.dice.uniform(0, 0.5))
                play.start_server()
            case "server cut":
                return play.proxies["server"].cut() > 0
            case "vault cut":
                return play.proxies["vault"].cut() > 0
            case "sealed":
                play.openbao.seal()
                time.sleep(play.dice.uniform(0.2, 1.0))
                play.openbao.unseal()
            case _:
                return self._kill_before_the_report()
        return True

    def _kill_before_the_report(self) -> bool:
        """Kill whoever has logged in and is about to say so: the server will never know the accessor."""
        proxy = self._play.proxies["server"]
        proxy.hold(b"/vault-logins/")
        if not proxy.held.wait(10):
            proxy.let_go()
            return False
        for name in RUNNERS:
            os.kill(self._play.programs[name].pid, signal.SIGKILL)
        proxy.cut()
        proxy.let_go()
        for name in RUNNERS:
            self._play.start_runner(name)
        return True

    def _kill_runner(self, name: str) -> None:
        os.kill(self._play.programs[name].pid, signal.SIGKILL)
        time.sleep(self._play.dice.uniform(0, 0.5))
        self._play.start_runner(name)
