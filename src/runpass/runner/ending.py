"""How a run ended, and the exception that ends one before its last command."""

from dataclasses import dataclass
from typing import Final

from runpass.errors import RunpassError
from runpass.protocol.reports import Finish, Outcome, Refusal, StepStatus
from runpass.protocol.vault_logins import EndedLogin
from runpass.runner.stop import Reason
from runpass.secret import Secret

SENTENCE_CHARACTERS: Final = 4_096


@dataclass(frozen=True, slots=True)
class Ending:
    """The last word on a run."""

    outcome: Outcome
    error: str | None = None
    failed_step: str | None = None
    refusal: Refusal | None = None
    outputs: Secret | None = None

    def finish(self, fencing_token: int, vault_logins: tuple[EndedLogin, ...]) -> Finish:
        """Give the message to the server."""
        return Finish(
            fencing_token=fencing_token,
            outcome=self.outcome,
            error=self.error[:SENTENCE_CHARACTERS] if self.error else None,
            failed_step=self.failed_step,
            refusal=self.refusal,
            outputs=self.outputs,
            vault_logins=vault_logins,
        )

    @property
    def of_current_step(self) -> StepStatus:
        """Give what becomes of the step that was going on."""
        match self.outcome:
            case Outcome.SUCCESS:
                return StepStatus.SUCCESS
            case Outcome.TIMEOUT:
                return StepStatus.TIMEOUT
            case Outcome.ABORTED:
                return StepStatus.CANCELLED
            case Outcome.FAILURE | Outcome.INTERNAL_FAILURE:
                return StepStatus.FAIL

    @property
    def of_other_steps(self) -> StepStatus:
        """Give what becomes of the steps that never started."""
        return StepStatus.CANCELLED if self.outcome is Outcome.ABORTED else StepStatus.SKIPPED


class RunEnds(Exception):
    """Ends the run here and now, with what is to be said about it."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.error)
        self.ending = ending


def of_stop(reason: Reason, failed_step: str | None, timeout_seconds: float, exceeded: str | None = None) -> Ending:
    """Give the ending of a run that was told to stop; `exceeded` says which limit it went beyond, if that was why."""
    match reason:
        case Reason.TIMEOUT:
            return Ending(Outcome.TIMEOUT, f"The run took longer than {timeout_seconds:g} seconds.", failed_step)
        case Reason.ABORTED:
            return Ending(Outcome.ABORTED, "The run was aborted.", failed_step)
        case Reason.SHUTDOWN:
            return Ending(Outcome.ABORTED, "The runner was shut down while the run was going on.", failed_step)
        case Reason.LIMIT:
            return Ending(Outcome.FAILURE, exceeded, failed_step)
        case Reason.LOST:
            return Ending(Outcome.INTERNAL_FAILURE, "The run lease was lost.", failed_step)


def of_error(error: RunpassError, failed_step: str | None) -> Ending:
    """Give the ending of a run that the runner could not carry on with."""
    return Ending(Outcome.INTERNAL_FAILURE, error.message, failed_step)
