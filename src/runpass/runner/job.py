"""One run lease from start to cleanup. Whatever happens on the way, the cleanup does, and in the same order."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

import structlog

from runpass.clock import Clock
from runpass.errors import JobError, RunpassError, StaleLease, Unauthenticated
from runpass.protocol.identity import IdentityToken
from runpass.protocol.outputs import MAX_OUTPUT_BYTES
from runpass.protocol.reports import SETUP_VAULT_STEP, LogLevel, Outcome, StepStatus
from runpass.protocol.run_lease import Phase, RunLease
from runpass.runner import ending, environment, passed_on, setup_vault
from runpass.runner.cell import Cell, Isolator
from runpass.runner.control_plane import ControlPlane, TemporaryFailure
from runpass.runner.credentials.account import LoginAccount
from runpass.runner.credentials.handed import TOKEN_FILE, HandedTokens
from runpass.runner.credentials.vault_oidc import VaultLogins, VaultPools
from runpass.runner.ending import Ending, RunEnds
from runpass.runner.heartbeat import Heartbeats
from runpass.runner.identity import Identity
from runpass.runner.limits import Limits
from runpass.runner.mask_file import MaskFile
from runpass.runner.masking import Mask
from runpass.runner.outputs import NoOutputs, outputs_of
from runpass.runner.owned_files import SecretFiles
from runpass.runner.reporter import Reporter
from runpass.runner.secret_forms import unmasked
from runpass.runner.settings import RunnerSettings
from runpass.runner.setup_vault import SetupVault, VaultSetup
from runpass.runner.steps import Commands
from runpass.runner.stop import Reason, Stop
from runpass.runner.token_files import TokenFiles
from runpass.runner.watch import Watch
from runpass.runner.workspace import OUTPUT_NAME, PASSED_NAME, Workspace, WorkspaceRoot
from runpass.secret import Secret
from runpass.terminal_text import shown

log = structlog.get_logger()
VARIABLES_STEP: Final = "setup-variables"
"""Appears only where it fails: a variable has a name or a value that no run can be given."""
SHORTENED: Final = (
    "The secrets are large, so some of them are masked in this log as they are, and not in every spelling."
)


@dataclass(frozen=True, slots=True)
class Workbench:
    """What all runs of one runner share."""

    settings: RunnerSettings
    control_plane: ControlPlane
    isolator: Isolator
    workspaces: WorkspaceRoot
    vaults: VaultPools
    clock: Clock
    lease_seconds: float
    limits: Limits


class Job:
    """One run. It is told to end through `stop`, never cancelled."""

    def __init__(self, lease: RunLease, bench: Workbench, stop: Stop) -> None:
        self._lease = lease
        self._bench = bench
        self._stop = stop
        self._mask = Mask()
        self._identity = Identity(bench.control_plane, lease, self._mask)
        self._account = LoginAccount(lambda login, given: bench.control_plane.vault_login(lease, login, given))
        self._handed = HandedTokens(self._write_token)
        self._logins = VaultLogins(bench.vaults, self._mask, self._account, self._handed.replace, self._say_meanwhile)
        self._heartbeats = Heartbeats(bench.control_plane, lease, bench.lease_seconds, bench.clock)
        self._reporter = Reporter(
            lambda report: bench.control_plane.report(lease, report), lease.fencing_token, stop, bench.clock
        )
        self._token_files = TokenFiles(self._identity, self._say_now, bench.clock)
        self._own: frozenset[str] = frozenset()
        self._cell: Cell | None = None
        self._making: asyncio.Task[Workspace] | None = None
        self._workspace: Workspace | None = None
        self._mask_file: MaskFile | None = None
        self._secret_files = SecretFiles(setup_vault.DIRECTORY)
        self._commands: Commands | None = None

    async def run(self) -> None:
        """Run the commands with the secrets, leave nothing behind, and say how it ended unless the lease was lost."""
        beating = asyncio.create_task(self._heartbeats.beat(self._stop))
        shipping = asyncio.create_task(self._reporter.ship())
        try:
            result = await self._work_until_stopped()
            await self._clean_up(result)
            if not self._stop.lost:
                await self._reporter.close()
                await shipping
            await self._finish(result)
        finally:
            beating.cancel()
            shipping.cancel()
            await asyncio.gather(beating, shipping, return_exceptions=True)

    async def _work_until_stopped(self) -> Ending:
        work = asyncio.create_task(self._work())
        asked = asyncio.create_task(self._stop.asked())
        await asyncio.wait({work, asked}, timeout=self._lease.timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if work.done():
            return work.result()
        self._stop.ask(Reason.TIMEOUT)  # unless there is a reason already
        step = self._reporter.current_step
        work.cancel()
        if self._stop.lost:
            self._logins.stop_renewing()
        await asyncio.wait({work})
        if self._stop.exceeded is not None:
            await self._say(step or VARIABLES_STEP, self._stop.exceeded)
        reason = self._stop.reason or Reason.TIMEOUT
        return ending.of_stop(reason, step, self._lease.timeout_seconds, self._stop.exceeded)

    async def _work(self) -> Ending:
        try:
            return await self._prepare_and_run()
        except RunEnds as end:
            return end.ending
        except (StaleLease, Unauthenticated):
            self._stop.ask(Reason.LOST)
            return ending.of_stop(Reason.LOST, None, 0)
        except RunpassError as error:
            log.warning("run_failed", deployment=self._name, code=error.code, error=error.message)
            return ending.of_error(error, self._reporter.current_step)
        except Exception:
            log.exception("run_failed", deployment=self._name)
            step = self._reporter.current_step
            return Ending(Outcome.INTERNAL_FAILURE, "The runner failed; its own log says why.", step)

    async def _prepare_and_run(self) -> Ending:
        lease, bench = self._lease, self._bench
        needs_vault = setup_vault.is_needed(lease)
        refusal = environment.refuse(lease.variables)
        self._plan(needs_vault=needs_vault, refused=refusal is not None)
        if refusal is not None:
            raise await self._refused_variables(refusal)
        await self._mask.learn({variable.name: variable.value for variable in lease.variables if variable.sensitive})
        cell = self._cell = bench.isolator.cell(self._place)
        tokens_for_job = asyncio.create_task(self._identity.for_job())
        tokens_for_job.add_done_callback(_look_at)
        try:
            files = await asyncio.to_thread(setup_vault.files_of, lease, bench.settings.ca_bundle)
            scripts = [item.script for item in lease.commands]
            making = asyncio.to_thread(bench.workspaces.make, self._place, cell.owner, scripts, files)
            self._making = asyncio.create_task(making)
            self._workspace = await asyncio.shield(self._making)
            vault = await self._set_up_vault(self._workspace) if needs_vault else VaultSetup()
            tokens = await tokens_for_job
        finally:
            tokens_for_job.cancel()
        if not tokens:  # each one that was minted has told the server that the run began
            await self._heartbeats.be_heard(self._stop)
        variables = await self._all_variables(cell, self._workspace, vault, tokens)
        # SECURITY: no command runs before the server knows of every token.
        await asyncio.gather(self._account.told(), self._handed.hand(variables))
        tmp = await asyncio.to_thread(bench.workspaces.open_tmp, self._workspace)
        self._mask_file = MaskFile(tmp, cell.owner, self._mask, self._say_now)
        self._mask.look_at(self._mask_file.look)
        watch = Watch(cell, self._workspace, bench.limits)
        watching = asyncio.create_task(watch.keep(self._stop))
        try:
            return await self._run_commands(cell, self._workspace, variables, watch)
        finally:
            watching.cancel()

    def _plan(self, *, needs_vault: bool, refused: bool) -> None:
        steps = [VARIABLES_STEP] if refused else []
        steps += [SETUP_VAULT_STEP] if needs_vault else []
        steps += [command.step for command in self._lease.commands]
        for step in steps:
            self._reporter.step(step, StepStatus.NOT_STARTED)

    async def _refused_variables(self, sentence: str) -> RunEnds:
        self._reporter.step(VARIABLES_STEP, StepStatus.IN_PROGRESS)
        await self._say(VARIABLES_STEP, sentence)
        return RunEnds(Ending(Outcome.FAILURE, sentence, VARIABLES_STEP))

    async def _set_up_vault(self, workspace: Workspace) -> VaultSetup:
        self._reporter.step(SETUP_VAULT_STEP, StepStatus.IN_PROGRESS)

        async def say(sentence: str) -> None:
            await self._say(SETUP_VAULT_STEP, sentence)

        owner, bench = self._cell.owner if self._cell else None, self._bench
        keep = partial(self._secret_files.keep, workspace, owner)
        step = SetupVault(self._lease, self._identity, self._logins, bench.vaults, self._mask, say, bench.clock)
        done = await step.run(workspace.files, keep)
        self._reporter.step(SETUP_VAULT_STEP, StepStatus.SUCCESS)
        return done

    async def _all_variables(
        self, cell: Cell, workspace: Workspace, vault: VaultSetup, tokens: Mapping[str, IdentityToken]
    ) -> dict[str, str]:
        """Give the environment of the commands. Raises `RunEnds` where a user's name is one of ours."""
        settings = self._bench.settings
        user = {item.name: item.value.reveal() for item in self._lease.variables if item.name not in vault.replaced}
        user |= {name: value.reveal() for name, value in vault.resolved.items()}
        own = environment.of_run(self._lease.run, workspace, settings.tool_path) | vault.own
        own |= {name: held.token.reveal() for name, held in tokens.items()} | self._identity.on_demand()
        own |= await self._token_files.start(workspace, cell.owner, tokens)
        clash = environment.clash(user, own)
        if clash is not None:
            raise await self._refused_variables(clash)
        self._own = frozenset(own)
        return environment.build(settings.host_environment, user, own)

    async def _run_commands(self, cell: Cell, workspace: Workspace, variables: dict[str, str], watch: Watch) -> Ending:
        grace = self._bench.settings.grace_seconds
        place = cell, workspace, self._bench.limits
        self._commands = Commands(place, self._mask, self._reporter, self._stop, grace_seconds=grace)
        named = zip((command.step for command in self._lease.commands), workspace.scripts, strict=True)
        for number, (step, script) in enumerate(named, start=1):
            self._reporter.step(step, StepStatus.IN_PROGRESS)
            self._handed.renew(variables)
            if number == 1:
                await self._warn_of_unmasked(step, variables)
            status = await self._commands.run(script, step, variables)
            if status != 0:
                why = await asyncio.to_thread(watch.reason, status)
                sentence = f"Command {number} {_ended(status)}." + (f" {why}" if why else "")
                await self._say(step, sentence)
                return Ending(Outcome.FAILURE, sentence, step)
            problem = await self._pass_on(cell, workspace, variables)
            if problem is not None:
                await self._say(step, problem)
                return Ending(Outcome.FAILURE, problem, step)
            self._reporter.step(step, StepStatus.SUCCESS)
        outputs = await self._outputs(cell, workspace) if self._lease.phase is Phase.APPLY else None
        return Ending(Outcome.SUCCESS, outputs=outputs)

    async def _pass_on(self, cell: Cell, workspace: Workspace, variables: dict[str, str]) -> str | None:
        """Add what a command passes on to the variables of the next ones; give what stands in the way."""
        read = self._bench.workspaces.read_left
        try:
            content = await asyncio.to_thread(read, workspace, cell.owner, PASSED_NAME, passed_on.MAX_BYTES)
            found = {} if content is None else await asyncio.to_thread(passed_on.passed_on, content)
        except passed_on.NotPassedOn as problem:
            return str(problem)
        except JobError as problem:
            await self._say_now(f"WARNING: Nothing was passed on. {problem}")
            return None
        clash = environment.clash(found, self._own)
        if clash is None:
            variables |= found
        return clash or environment.unfit(variables)

    async def _outputs(self, cell: Cell, workspace: Workspace) -> Secret | None:
        """Give what the run gives back. A file that is something else is told in the log, and is no failure."""
        read = self._bench.workspaces.read_left
        await self._mask.refresh()
        try:
            content = await asyncio.to_thread(read, workspace, cell.owner, OUTPUT_NAME, MAX_OUTPUT_BYTES)
            return None if content is None else outputs_of(content, self._mask)
        except (JobError, NoOutputs) as problem:
            await self._say(self._reporter.last_step or VARIABLES_STEP, f"WARNING: {problem}")
            return None

    async def _warn_of_unmasked(self, step: str, variables: dict[str, str]) -> None:
        secret = {
            variable.name: Secret(variables[variable.name])
            for variable in self._lease.variables
            if (variable.sensitive or setup_vault.has_reference(variable)) and variables.get(variable.name)
        }
        for sentence in unmasked(secret):
            await self._say(step, sentence)
        if self._mask.shortened:
            await self._say(step, SHORTENED)

    async def _say_now(self, sentence: str) -> None:
        await self._say(self._reporter.last_step or VARIABLES_STEP, sentence)

    async def _say_meanwhile(self, sentence: str) -> None:
        await self._say(self._reporter.current_step or self._reporter.last_step or VARIABLES_STEP, sentence)

    def _write_token(self, token: bytes) -> None:
        if self._cell is not None and self._workspace is not None:
            self._bench.workspaces.put_into_home(self._workspace, self._cell.owner, TOKEN_FILE, token)

    async def _say(self, step: str, sentence: str) -> None:
        await self._reporter.log(step, LogLevel.SYSTEM, shown(self._mask.text(sentence)))

    async def _clean_up(self, result: Ending) -> None:
        """End every process, every token and the workspace. A failure of one does not keep the others from theirs."""
        for work in (self._end_processes, self._token_files.close, self._end_logins, self._remove_workspace):
            await self._attempt(work)
        self._reporter.end_steps(result.of_current_step, result.of_other_steps)
        self._mask.close()
        if self._cell is not None:
            self._cell.release()

    async def _attempt(self, work: Callable[[], Awaitable[list[str]]]) -> None:
        try:
            sentences = await work()
        except Exception as error:
            log.exception("cleanup_failed", deployment=self._name)
            sentences = [error.message] if isinstance(error, RunpassError) else ["The cleanup failed."]
        for sentence in sentences:
            log.error("cleanup_incomplete", deployment=self._name, problem=sentence)
            await self._say(self._reporter.last_step or VARIABLES_STEP, sentence)

    async def _end_processes(self) -> list[str]:
        if self._cell is None or self._commands is None:
            return []
        try:
            stubborn = await asyncio.to_thread(self._cell.end)
        finally:
            await self._commands.close()
        return [f"These processes would not end: {', '.join(map(str, stubborn))}."] if stubborn else []

    async def _end_logins(self) -> list[str]:
        return await self._logins.close()

    async def _remove_workspace(self) -> list[str]:
        self._secret_files.close()
        if self._mask_file is not None:
            self._mask_file.close()
        if self._making is not None:
            await asyncio.wait({self._making})  # a run that was told to end meanwhile did not wait for it
            if self._making.exception() is None:
                await asyncio.to_thread(self._bench.workspaces.remove, self._making.result())
        return []

    async def _finish(self, result: Ending) -> None:
        last_word = result.finish(self._lease.fencing_token, await self._account.close())
        while not self._stop.lost:
            try:
                await self._bench.control_plane.finish(self._lease, last_word)
            except TemporaryFailure as error:
                log.warning("finish_delayed", deployment=self._name, error=error.message)  # heartbeats decide
            except RunpassError as error:
                log.error("finish_refused", deployment=self._name, error=error.message)  # noqa: TRY400 -- no trace
                if last_word.refusal is None or isinstance(error, StaleLease):
                    return
                last_word = last_word.model_copy(update={"refusal": None})  # better without its reasons than lost
            else:
                log.info("run_finished", deployment=self._name, outcome=result.outcome.value)
                return
        log.warning("run_lost", deployment=self._name)

    @property
    def _name(self) -> str:
        return str(self._lease.run.deployment_id)

    @property
    def _place(self) -> str:
        """Give what the run's directory and control group are called.

        SECURITY: never again the same. A lease that was lost before its run began comes back, perhaps to this very
        runner, while what it left is still being cleaned up: that must not take the directory of its successor away.
        """
        return f"{self._name}-{self._lease.fencing_token}"


def _look_at(task: asyncio.Task[dict[str, IdentityToken]]) -> None:
    """Take note of an error that nobody waits for any more, because another one ended the run first."""
    if not task.cancelled():
        task.exception()


def _ended(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"
