"""What the account of logins means in words: how much is outstanding, why, and what the reader should do. Pure.

SECURITY: a number is printed only where it is known. Nothing here ever says 0: that none is known is another fact than
that there is none, and the sentences tell the two apart.
"""

from dataclasses import dataclass
from typing import Final

from runpass.protocol.sweeps import SweepResult
from runpass.protocol.vault_logins import LoginEnd
from runpass.server.deployments.login_model import Given, StoredLogin
from runpass.server.deployments.outstanding import Outstanding

_APPLY: Final = "Run `runpass vault apply` for this credential"
_WILL_BE_SWEPT: Final = "Wait: a runner of the pool is sent to revoke it."
_ENDS_BY_ITSELF: Final = "Wait: it ends by itself, at the latest at the time beside this."
_NEVER_ENDS: Final = "It does not end by itself. Revoke it at the Vault."
_LOST: Final = "Its runner was lost before it said what became of the token."

_LEFT: Final = {
    LoginEnd.NOT_REVOCABLE: "It is a batch token, which nobody can revoke.",
    LoginEnd.NOT_ALLOWED: "No policy lets the token revoke itself.",
    LoginEnd.FAILED: "The Vault could not be asked when the run ended.",
    LoginEnd.GOING_ON: "The login had not been answered yet when the run ended.",
}


@dataclass(frozen=True, slots=True)
class Words:
    """Why a login is on the list, and what to do. Parts between backticks are commands."""

    why: str
    next_step: str
    is_alarm: bool = False
    """SECURITY: the accessor is not that of this run's token, so nobody must be told to revoke it."""


@dataclass(frozen=True, slots=True)
class Summary:
    """One sentence for each group, and one for what goes on."""

    known: str
    unknown: str
    identity_tokens: str
    in_use: str


def summary(found: Outstanding) -> Summary:
    """Say how much is outstanding, and how much of that can be known."""
    return Summary(
        known=_known(found),
        unknown=_unknown(found),
        identity_tokens=_identity_tokens(found),
        in_use=_in_use(found),
    )


def words(login: StoredLogin) -> Words:
    """Say why a login is outstanding, or why nobody knows, and what to do."""
    swept = _after_a_sweep(login)
    if swept is not None:
        return swept
    given = login.believed
    return _of_unknown(login) if given is None else _of_known(login, given)


def _known(found: Outstanding) -> str:
    number = len(found.known)
    if number:
        return f"{_many(number, found)} {_plural(number, 'Vault token')} of ended runs may still live."
    if found.unknown:
        return "None is known. What the logins below gave cannot be known, so this does not say that there is none."
    if not found.is_complete:
        return "None is known among the oldest logins, which are all that this page looks at."
    return "None is known. Every login of an ended run is accounted for."


def _unknown(found: Outstanding) -> str:
    number = len(found.unknown)
    if number:
        noun, they = ("login", "it") if number == 1 else ("logins", "they")
        return f"Of {_many(number, found).lower()} {noun} nobody knows whether {they} gave a token."
    if not found.is_complete:
        return "None among the oldest logins, which are all that this page looks at."
    return "None: every run that ended has said what its logins gave, or the time of their tokens is over."


def _identity_tokens(found: Outstanding) -> str:
    number = len(found.identity_tokens)
    if number:
        noun = _plural(number, "identity token")
        return f"{_many(number, found)} {noun} of jobs that ended could still log in, wherever a role accepts them."
    return "None that can still log in. What a job did with one while it was valid, only the Vault's audit log knows."


def _in_use(found: Outstanding) -> str:
    if not found.in_use:
        return "No run that goes on is known to hold a login."
    runs = "a run that goes on" if found.in_use == 1 else "runs that go on"
    return f"{_many(found.in_use, found)} {_plural(found.in_use, 'login')} of {runs}: in use, and not counted here."


def _many(number: int, found: Outstanding) -> str:
    return str(number) if found.is_complete else f"At least {number}"


def _plural(number: int, noun: str) -> str:
    return noun if number == 1 else f"{noun}s"


def _after_a_sweep(login: StoredLogin) -> Words | None:
    """Say what the last sweep leaves to do; None where there was none that says something."""
    match login.swept:
        case SweepResult.NOT_OURS:
            why = "Alarm: the accessor that its runner reported is that of another token, which was left alone."
            step = "Find out who had this run's lease: the audit trail has `vault_token.not_swept`."
            return Words(why, step, is_alarm=True)
        case SweepResult.NOT_VERIFIABLE:
            why = "A runner found the token, which does not say which run it is of, and left it alone."
            return Words(why, f"{_APPLY}: it maps the run's id into tokens, so that the next ones can be revoked.")
        case SweepResult.FAILED:
            times = "once" if login.sweeps == 1 else f"{login.sweeps} times"
            why = f"A runner was sent {times} and could not revoke it."
            return Words(why, login.sweep_hint or "It is tried again. See that a runner of the pool reaches the Vault.")
        case SweepResult.REVOKED | SweepResult.ALREADY_GONE | None:
            return None


def _of_known(login: StoredLogin, given: Given) -> Words:
    why = _LOST if login.ended is None else _LEFT.get(login.ended, _LOST)
    if given.accessor_sealed is None:
        why = _LEFT[LoginEnd.NOT_REVOCABLE]
    if login.can_be_swept:
        return Words(why, _WILL_BE_SWEPT)
    return Words(why, _NEVER_ENDS if login.until is None else _ENDS_BY_ITSELF)


def _of_unknown(login: StoredLogin) -> Words:
    why = "Its run ended without a word on what the login gave."
    if login.until is None:
        return Words(why, f"{_APPLY}, so that the server knows how long a token of its role lives.")
    return Words(why, "Wait: if it gave a token, that ends at the latest at the time beside this.")
