"""`runpass demo`: the whole guide on real parts, thrown away afterwards: OpenBao, server, runner, five deployments.

Reads from top to bottom as the guide does. Nothing is pretended: each step talks to the programs a user would run.
"""

import json
import re
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from runpass.clock import SYSTEM_CLOCK
from runpass.errors import RunpassError
from runpass.local.admin import Admin
from runpass.local.openbao import DevOpenBao
from runpass.local.programs import write_private
from runpass.local.progress import Progress
from runpass.local.stage import (
    MOUNT,
    ROLE,
    Stage,
    record_roles,
    set_up_vault,
    throw_away_stage,
    tokens_outstanding,
)
from runpass.protocol.registration import Isolation
from runpass.protocol.reports import SETUP_VAULT_STEP
from runpass.runner.isolation import detect
from runpass.runner.settings import DEFAULT_UID_BASE
from runpass.vault.desired import KV_PATH, guide

PASSWORD: Final = "correct-horse-battery-staple"  # noqa: S105 -- the secret that the demo shows to be kept
REFERENCE: Final = f"${{vault:{KV_PATH}/app.password}}"
SAME: Final = "the command line and the variable DB_PASSWORD gave the same secret"
COMMANDS: Final = [
    'echo "I am $ENV0_ENVIRONMENT_NAME of project $ENV0_PROJECT_NAME, and nobody stored a token for me"',
    f"bao kv get -mount={KV_PATH} -field=password app",
    f'test "$(bao kv get -mount={KV_PATH} -field=password app)" = "$DB_PASSWORD" && echo "{SAME}"',
]
JOB_REFUSED: Final = (
    "the job tried the login itself; the token it holds carries no credentialId, and its project is not the role's"
)
_VAULT_SAID: Final = re.compile(r"^\s*\* (.+)$", re.MULTILINE)


@dataclass(slots=True)
class Result:
    """What the demo found; `problems` is empty when everything was as it should be."""

    issuer: str = ""
    vault_version: str = ""
    deployment: dict[str, Any] = field(default_factory=dict)
    refusals: list[dict[str, Any]] = field(default_factory=list)
    tokens_outstanding: int = -1
    problems: list[str] = field(default_factory=list)

    def expect(self, holds: bool, sentence: str) -> None:  # noqa: FBT001 -- reads as a sentence
        """Note a problem unless this holds."""
        if not holds:
            self.problems.append(sentence)


@dataclass(frozen=True, slots=True)
class Cast:
    """Everything that runs, and the two organizations' admins."""

    stage: Stage
    openbao: DevOpenBao
    acme: Admin
    globex: Admin


def run_demo(*, as_json: bool, keep: bool | None = None, logs: Path | None = None) -> int:
    """Walk the guide; give the exit code: 0 when everything was as it should be, 1 otherwise.

    `keep` leaves the programs running until Ctrl-C (default: on a terminal, without `as_json`). `logs` is where each
    deployment's log is written as a text file; default: a fresh directory that stays.
    """
    progress = Progress(quiet=as_json)
    result = Result()
    started = SYSTEM_CLOCK.monotonic()
    where = logs or Path(tempfile.mkdtemp(prefix="runpass-demo-logs-"))
    with ExitStack() as stack:
        try:
            cast = _set_the_stage(stack, progress, result)
            _deploy(cast, progress, result, where)
            _refuse(cast, progress, result, where)
            with progress.step("revoked", "Count the tokens that are left at OpenBao") as say:
                result.tokens_outstanding = tokens_outstanding(cast.openbao)
                result.expect(result.tokens_outstanding == 0, "tokens of finished runs are still alive at OpenBao")
                _compare_with_the_server(cast, result)
                say(f"{result.tokens_outstanding} outstanding: every run's token was revoked, as the server knows")
        except RunpassError as error:
            result.problems.append(error.message + (f" ({error.hint})" if error.hint else ""))
            cast = None
        seconds = SYSTEM_CLOCK.monotonic() - started
        if as_json:
            progress.line(json.dumps(_summary(result, progress, seconds)))
        else:
            _show(progress, result, seconds, where)
        if cast and (keep if keep is not None else progress.is_terminal and not as_json):
            _stay(cast, progress)
    return 1 if result.problems else 0


def _compare_with_the_server(cast: Cast, result: Result) -> None:
    """Note a problem unless the server knows that nothing is left, of either organization."""
    for api in (cast.acme, cast.globex):
        counts = api.outstanding()["vaultTokens"]
        said = f"{counts['known']} known, {counts['unknown']} unknown"
        result.expect(not any(counts.values()), f"the server counts tokens as outstanding: {said}")


def _stay(cast: Cast, progress: Progress) -> None:
    """Leave everything running until Ctrl-C, and say how to look around."""
    key_file = cast.stage.root / "etc" / "acme.json"
    write_private(key_file, cast.acme.key_file())
    progress.heading("To look around from another terminal")
    progress.plain(f"export RUNPASS_URL={cast.stage.url} RUNPASS_API_KEY_FILE={key_file}")
    progress.plain("runpass environment list; runpass deployment list production; runpass deployment log ID")
    progress.until_interrupted("It all stays until you press Ctrl-C.")


def _set_the_stage(stack: ExitStack, progress: Progress, result: Result) -> Cast:
    stage = stack.enter_context(throw_away_stage())
    with progress.step("openbao", "Start a real OpenBao server") as say:
        openbao = stack.enter_context(DevOpenBao())
        with openbao.client() as client:
            result.vault_version = str(client.read("sys/health").body["version"])
        say(f"OpenBao {result.vault_version} at {openbao.address}")
    with progress.step("server", "Start the server: issuer and control plane") as say:
        acme, globex = stage.found(["Acme", "Globex"])
        stage.start_server(stack)
        result.issuer = stage.settings.issuer_url
        for api in (acme, globex):
            stack.callback(api.close)
        say(f"issuer {stage.settings.issuer_url}, keys at {stage.settings.jwks_url}")
    with progress.step("runner", "Start runners; each joins with a token that is good for one use") as say:
        detected = detect(DEFAULT_UID_BASE)
        projects = 3 if detected.kind is Isolation.NONE else 1  # an unisolated runner serves one project only
        for number in range(projects):
            stage.start_runner(stack, acme, f"acme-{number + 1}")
        stage.start_runner(stack, globex, "globex-1")
        say(detected.why)
        if detected.kind is Isolation.NONE:
            say("Runs are not kept apart here: fine for a demo, not for secrets that matter.")
    return Cast(stage, openbao, acme, globex)


def _deploy(cast: Cast, progress: Progress, result: Result, logs: Path) -> None:
    api = cast.acme
    with progress.step("credential", "Make project and Vault OIDC credential, assign one to the other") as say:
        project = api.project("web")
        credential = api.credential("vault", cast.openbao.address, ROLE, MOUNT)
        api.assign(credential, project)
        say("address, role and mount path: no secret in it")
    with progress.step("vault", "Set up the Vault side: JWT auth method, policy, role, a secret") as say:
        facts = cast.stage.guide(api.organization_id, credential, [project])
        record_roles(api, credential, guide(facts))
        changes = set_up_vault(cast.openbao, facts, {"app": {"password": PASSWORD}})
        say(f"{changes} changes; the role binds organization, project and credential")
    with progress.step("deployment", "Deploy: identity token, login, secret, commands, revocation") as say:
        deployment = api.deploy("production", project, COMMANDS, {"DB_PASSWORD": REFERENCE})
        seconds = _seconds_to_secret(api, deployment)
        result.deployment = {"id": deployment["id"], "status": deployment["status"], "secondsToSecret": seconds}
        log = api.log(deployment["id"])
        write_private(logs / "production.log", log)
        result.expect(deployment["status"] == "SUCCESS", f"the deployment ended as {deployment['status']}")
        result.expect(SAME in log, "the commands did not see the secret")
        result.expect(PASSWORD not in log, "the secret stands in the log")
        say(f"{deployment['status']}, the first command had its secret {seconds * 1000:.0f} ms after the request")


def _refuse(cast: Cast, progress: Progress, result: Result, logs: Path) -> None:
    with progress.step("refusals", "Show that everybody else is refused: four more real deployments") as say:
        api, other, address = cast.acme, cast.globex, cast.openbao.address
        api.enable_oidc()
        variables = {"DB_PASSWORD": REFERENCE}
        unassigned = api.project("unassigned")
        _refusal(api, "no-credential", unassigned, result, logs, variables=variables)
        elsewhere = other.project("web")
        other.assign(other.credential("vault", address, ROLE, MOUNT), elsewhere)
        _refusal(other, "other-organization", elsewhere, result, logs, variables=variables)
        mistaken = api.project("mistaken")
        api.assign(api.credential("typo", address, "deplyo", MOUNT), mistaken)
        _refusal(api, "unknown-role", mistaken, result, logs, variables=variables)
        login = f"bao write -address={address} auth/{MOUNT}/login role={ROLE} jwt=-"
        command = f'printf %s "$ENV0_OIDC_TOKEN" | {login}'
        _refusal(api, "not-assigned", unassigned, result, logs, commands=[command], step="shell:1")
        say(", ".join(item["case"] for item in result.refusals))


def _refusal(  # noqa: PLR0913 -- the last three are what tells the cases apart
    api: Admin,
    case: str,
    project: str,
    result: Result,
    logs: Path,
    *,
    commands: list[str] | None = None,
    variables: dict[str, str] | None = None,
    step: str = SETUP_VAULT_STEP,
) -> None:
    deployment = api.deploy(case, project, commands or ["echo this must not run"], variables)
    log = api.log(deployment["id"])
    write_private(logs / f"{case}.log", log)
    refusal = deployment.get("refusal") or {}
    said = refusal.get("vaultError") or next(iter(_VAULT_SAID.findall(log)), None)
    entry = {
        "case": case,
        "status": deployment["status"],
        "reason": refusal.get("reason") or JOB_REFUSED,
        "vaultError": said,
    }
    result.refusals.append(entry)
    result.expect(deployment["status"] == "FAILURE", f"{case} ended as {deployment['status']}, not as FAILURE")
    result.expect(deployment.get("failedStep") == step, f"{case} failed at {deployment.get('failedStep')}, not {step}")
    result.expect((said is None) == (case == "no-credential"), f"{case}: Vault's words are not as expected")
    result.expect("this must not run" not in log, f"{case} ran a command")


def _seconds_to_secret(api: Admin, deployment: dict[str, Any]) -> float:
    first = next((step for step in api.steps(deployment["id"]) if step["name"] == "shell:1"), None)
    if first is None or first.get("startedAt") is None:
        return -1.0
    began = datetime.fromisoformat(first["startedAt"]) - datetime.fromisoformat(deployment["queuedAt"])
    return round(began.total_seconds(), 3)


def _summary(result: Result, progress: Progress, seconds: float) -> dict[str, Any]:
    return {
        "issuer": result.issuer,
        "vaultVersion": result.vault_version,
        "steps": progress.steps,
        "deployment": result.deployment,
        "refusals": result.refusals,
        "tokensOutstanding": result.tokens_outstanding,
        "seconds": round(seconds, 3),
        **({"problems": result.problems} if result.problems else {}),
    }


def _show(progress: Progress, result: Result, seconds: float, logs: Path) -> None:
    if result.deployment:
        progress.heading("The deployment's log")
        progress.untrusted((logs / "production.log").read_text(encoding="utf-8"))
        progress.heading("Who was refused, and why")
        for item in result.refusals:
            progress.pair(item["case"], item["reason"] or "")
            if item["vaultError"]:
                progress.pair("", f"Vault said: {item['vaultError']}")
    progress.heading("Where to look")
    progress.pair("logs", f"{logs}/*.log: each deployment's log, to read later")
    progress.pair("next", "runpass up: the same for keeps; docs/tutorials/first-deployment.md walks it by hand")
    for problem in result.problems:
        progress.problem(problem)
    if not result.problems:
        progress.good(f"Everything was as it should be, in {seconds:.1f} s.")
