"""Brings a Vault to its desired state: read → difference → changes → apply, with the operator's own token.

Only real differences are written: each write of an auth method's config drops the Vault's cache of keys and needs
the issuer to be up. An apply that was interrupted left a part of the changes; the next one makes the others.

Two at once do not fight. A policy is written over the version that was read (OpenBao checks that), an auth method and
an engine can be enabled once, and config and roles are looked at again right before they are written. Whoever comes
second plans again, and goes on if the other one made what is wanted here as well.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from runpass.vault.client import VaultClient
from runpass.vault.desired import DesiredState
from runpass.vault.difference import Change, difference
from runpass.vault.errors import PolicyDenied, RequestRefused, SetupConflict, VaultFailure
from runpass.vault.inventory import NOT_THERE, lacking, read_actual, within
from runpass.vault.rights import Right, capabilities, needed

OVERTAKEN: Final = ("check-and-set parameter", "path is already in use")
"""What a Vault says of a write that somebody else was faster with."""
ROUNDS: Final = 5
"""How often a plan is made anew in one apply."""


class _OvertakenError(Exception):
    """What is to be written has changed since it was read."""


def setup(client: VaultClient, state: DesiredState, *, take_over: bool = False) -> tuple[Change, ...]:
    """Make `state` be, and give the changes that were needed; the second time there are none.

    Raises `PolicyDenied` that names the capabilities which the token lacks, and `SetupConflict` before anything is
    written.
    """
    changes = plan(client, state, take_over=take_over)
    return apply(client, state, changes, take_over=take_over)


def plan(client: VaultClient, state: DesiredState, *, take_over: bool = False) -> tuple[Change, ...]:
    """Give the changes that `setup` would make, and make none."""
    return difference(state, read_actual(client, state), take_over=take_over)


def apply(
    client: VaultClient,
    state: DesiredState,
    changes: tuple[Change, ...],
    *,
    take_over: bool = False,
    on_done: Callable[[Change], None] = lambda _: None,
) -> tuple[Change, ...]:
    """Write the changes of a plan, in order, and give those that were written.

    Raises `PolicyDenied` before the first write when the token says itself that it lacks a right, and `SetupConflict`
    when somebody else changes the same thing to something else meanwhile.
    """
    _check_rights(client, state, changes)
    done: list[Change] = []
    pending, rounds = changes, 0
    while pending:
        change, *rest = pending
        try:
            _write(client, change)
        except _OvertakenError as error:
            rounds += 1
            pending = plan(client, state, take_over=take_over)
            if rounds > ROUNDS or any(item.subject == change.subject for item in pending):
                raise _fought_over(change) from error
            continue
        done.append(change)
        on_done(change)
        pending = tuple(rest)
    return tuple(done)


def _write(client: VaultClient, change: Change) -> None:
    request = change.request
    view = client.in_namespace(request.namespace)
    if request.path.startswith("auth/") and _stored(_now(view, change)) != _stored(change.seen):
        raise _OvertakenError
    cas = {} if change.cas is None else {"cas": change.cas}
    try:
        view.write(request.path, {**request.data, **cas})
    except PolicyDenied as error:
        right = f"{' and '.join(capabilities(change))} on {within(request.namespace, request.path)}"
        raise lacking({right: error}) from error
    except RequestRefused as error:
        if any(phrase in (error.vault_error or "") for phrase in OVERTAKEN):
            raise _OvertakenError from error
        raise _refused(change, error) from error


def _now(view: VaultClient, change: Change) -> Mapping[str, Any] | None:
    """Give a config or role as it is at this moment: a Vault has no check-and-set for them."""
    try:
        answer = view.read(change.request.path, accept={NOT_THERE})
    except PolicyDenied as error:
        raise lacking({f"read on {within(change.request.namespace, change.request.path)}": error}) from error
    return None if answer.status == NOT_THERE else answer.data


def _stored(data: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Give what somebody wrote, without what the Vault computes at each read."""
    return None if data is None else {name: value for name, value in data.items() if name != "status"}


def _check_rights(client: VaultClient, state: DesiredState, changes: tuple[Change, ...]) -> None:
    """Raise if the token says that it may not write something: half an apply helps nobody."""
    wanted = needed(state, changes)
    lacks: dict[str, VaultFailure] = {}
    for namespace in dict.fromkeys(right.namespace for right in wanted):
        here = [right for right in wanted if right.namespace == namespace]
        told = _capabilities(client, namespace, [right.path for right in here])
        for right in here:
            missing = _missing(right, told.get(right.path))
            if missing:
                lacks[f"{' and '.join(missing)} on {right.full_path}"] = PolicyDenied("", status=403)
    if lacks:
        raise lacking(lacks)


def _missing(right: Right, told: object) -> tuple[str, ...]:
    if not isinstance(told, list) or "root" in told:
        return ()
    return tuple(name for name in right.capabilities if name not in told)


def _capabilities(client: VaultClient, namespace: str, paths: Collection[str]) -> Mapping[str, Any]:
    """Give what the token may do at each path, as far as it may ask: in the namespace itself, or from the root."""
    answer = client.in_namespace(namespace).write(
        "sys/capabilities-self", {"paths": list(paths)}, accept={400, 403, NOT_THERE}
    )
    if not answer.errors or not namespace:
        return answer.data
    full = {within(namespace, path): path for path in paths}
    answer = client.in_namespace("").write("sys/capabilities-self", {"paths": list(full)}, accept={400, 403, NOT_THERE})
    return {short: answer.data.get(path) for path, short in full.items()}


def _fought_over(change: Change) -> SetupConflict:
    return SetupConflict(
        f"somebody else changes the {change.subject} at this moment, to something else",
        hint="Run plan again and look at the difference; find out who it is before you apply.",
    )


def _refused(change: Change, error: RequestRefused) -> RequestRefused:
    about_keys = "jwks" in (error.vault_error or "").lower() or "discovery" in (error.vault_error or "").lower()
    return RequestRefused(
        f"the Vault refused to {change}",
        hint="The Vault itself must reach the issuer's keys (jwks_url or oidc_discovery_url), trust the certificate,"
        " and understand every key. If it cannot reach the issuer: push the keys, or export the documents."
        if about_keys
        else error.hint,
        vault_error=error.vault_error,
        status=error.status,
    )
