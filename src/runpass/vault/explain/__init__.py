"""Why a JWT login is accepted or refused, worked out without a server. Pure.

`explain` goes through the checks of the auth method in its own order and gives all of them: the first that fails
decides status and text, and those behind it would refuse the next attempt. The texts are the server's, because that is
what somebody searches for; the JWT auth method of OpenBao 2.7 is what they are compared with.
"""

from runpass.vault.explain import bindings, door, token
from runpass.vault.explain.model import Check, Explanation, Granted, LoginCase

__all__ = ["Check", "Explanation", "Granted", "LoginCase", "explain"]


def explain(case: LoginCase) -> Explanation:
    """Give every check of a login in the server's order, and what the token will be if it is accepted."""
    notes = tuple(door.notes(case))
    found = list(door.checks(case))
    if any(check.passed is False for check in found) and case.role is None:
        return Explanation(checks=tuple(found), notes=notes)
    if not case.token.reveal():
        return Explanation(checks=tuple(found), notes=notes)
    checks, opened = token.open_token(case)
    found += checks
    if opened is None:
        return Explanation(checks=tuple(found), notes=notes)
    found += token.checks(case, opened)
    found += bindings.checks(case, opened.claims)
    accepted = all(check.passed is not False for check in found)
    return Explanation(
        checks=tuple(found), granted=bindings.granted(case, opened.claims) if accepted else None, notes=notes
    )
