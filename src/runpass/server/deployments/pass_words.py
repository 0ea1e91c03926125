"""How a login of a run stands, as its pass says it. Pure.

SECURITY: nothing here says that a token is gone unless somebody saw it go, or its time is over.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from runpass.protocol.sweeps import SweepResult
from runpass.protocol.vault_logins import MAX_POLICIES, LoginEnd
from runpass.server.deployments.log_view import duration
from runpass.server.deployments.login_model import Given, Standing, StoredLogin
from runpass.server.deployments.outstanding_words import words
from runpass.server.issuer.keys import KeyState

NOT_REPORTED: Final = "Not reported: its runner is of an earlier version."


@dataclass(frozen=True, slots=True)
class State:
    """How a login stands. Parts between backticks in `why` and `next_step` are commands."""

    words: str
    at: datetime | None = None
    """Since when, or when that happened, as far as the server was told."""
    tone: str = ""
    """The class of its colour; the words say the same."""
    why: str = ""
    next_step: str = ""
    is_left: bool = False
    """Whether it is on the list of what is outstanding."""


def state_of(login: StoredLogin, now: datetime) -> State:
    """Say how a login stands."""
    if login.swept is SweepResult.NOT_OURS:
        return _left(login, "Alarm")
    match login.standing(now):
        case Standing.IN_USE:
            return _in_use(login)
        case Standing.SETTLED:
            return _settled(login)
        case Standing.OUTSTANDING:
            return _left(login, "May still live")
        case Standing.UNKNOWN:
            return _left(login, "Nobody knows")


def policies_words(given: Given) -> str:
    """Say what a page has to say of policies beside their names; empty where the names say it all."""
    if given.policies is None:
        return NOT_REPORTED
    if not given.policies:
        return "None."
    return "These are the first ones, there may be more." if len(given.policies) >= MAX_POLICIES else ""


def renewals_words(renewals: int | None) -> str:
    """Say how often a token was renewed."""
    if renewals is None:
        return NOT_REPORTED
    return {0: "Never", 1: "Once"}.get(renewals, f"{renewals} times")


def ttl_words(ttl: timedelta) -> str:
    """Say how long a token lives, as its Vault told."""
    return duration(ttl) if ttl else "It does not expire by itself."


def key_words(state: KeyState | None) -> str:
    """Say what became of the key that signed a token; empty while it is good."""
    match state:
        case KeyState.COMPROMISED:
            return "Dead: an operator killed this key since, so the token logs in nowhere that has learned of it."
        case KeyState.GONE:
            return "Not published any more: it was replaced since."
        case None:
            return "Not known here any more."
        case KeyState.UPCOMING | KeyState.ACTIVE | KeyState.RETIRING:
            return ""


def _in_use(login: StoredLogin) -> State:
    if login.given is None:
        return State("Under way", login.intended_at, why="Its runner has not said yet what the Vault answered.")
    return State("In use", login.given.reported_at)


def _settled(login: StoredLogin) -> State:
    if login.swept is SweepResult.REVOKED:
        return State("Revoked", login.swept_at, "good", "Another runner revoked it: its own could not.")
    if login.swept is SweepResult.ALREADY_GONE:
        return State("Gone", login.swept_at, "good", "Another runner found that the Vault did not know it any more.")
    if login.ended is LoginEnd.REVOKED:
        return State("Revoked", login.lease_ended_at, "good")
    if login.ended is LoginEnd.ALREADY_GONE:
        why = "When its run ended, the Vault did not know it any more."
        return State("Gone", login.lease_ended_at, "good", why)
    if login.gave_token is False or login.ended is LoginEnd.NO_TOKEN:
        return State("No token", login.lease_ended_at, why="The login gave none, or was not made.")
    return State("Expired", login.until, why="Nobody revoked it, and its time is over.")


def _left(login: StoredLogin, said: str) -> State:
    found = words(login)
    return State(said, login.lease_ended_at, "problem-text", found.why, found.next_step, is_left=True)
