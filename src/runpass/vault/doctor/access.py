"""Checks with a real login: the token it gives, what it may do, and whether each secret can be read."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from runpass.vault import paths, refusals
from runpass.vault.client import VaultClient
from runpass.vault.doctor import suggestions
from runpass.vault.doctor.examination import Examination, revoke
from runpass.vault.doctor.issuer import NEEDS_RUNNER, refused
from runpass.vault.doctor.model import MAX_SECRETS, CheckResult, Verdict, result
from runpass.vault.errors import (
    PolicyDenied,
    ReferenceInvalid,
    SecretKeyMissing,
    SecretNotFound,
    SecretsUnavailable,
    Unreachable,
    VaultFailure,
    visible,
)
from runpass.vault.login import VaultLogin
from runpass.vault.references import SecretReference, find_references
from runpass.vault.secrets import SecretsEngine, find_mount, read_secrets
from runpass.vault.session import Revocation, VaultSession
from runpass.vault.spelling import nearest

LONG: Final = timedelta(hours=1)
OWN: Final = ("auth/token/renew-self", "auth/token/revoke-self")


def check_login(exam: Examination) -> Iterator[CheckResult]:
    """Whether a run could log in, and what it would get."""
    if exam.tokens.login is None:
        yield result("login", Verdict.SKIPPED, "there is no identity token to log in with", NEEDS_RUNNER)
        return
    try:
        exam.session = exam.log_in(exam.tokens.login)
    except refusals.Refusal as error:
        yield refused("login", error)
        return
    except Unreachable as error:
        seen = f"{error.message}; if the Vault went on, a token of the role lives until its TTL is over"
        yield result("login", Verdict.FAILED, seen, "The Vault may be waiting for the issuer: see issuer_keys.")
        return
    granted = exam.session.granted
    lives = f"for {int(granted.ttl.total_seconds())} s" if granted.ttl else "for ever"
    seen = f"logged in: a {granted.token_type} token {lives}, policies {', '.join(granted.policies[:20])}"
    weak = _weak(granted)
    yield result("login", Verdict.WARNING if weak else Verdict.OK, "; ".join([seen, *weak]), _mending(granted))


def _weak(granted: VaultLogin) -> list[str]:
    found = [f"Vault warns: {warning}" for warning in granted.warnings[:3]]
    if granted.is_batch:
        found.append("a batch token can be neither renewed nor revoked")
    elif not granted.renewable:
        found.append("the token cannot be renewed")
    if not granted.ttl or granted.ttl > LONG:
        found.append("it lives longer than an hour")
    return found


def _mending(granted: VaultLogin) -> str:
    return "See what runpass vault lint says of the role." if _weak(granted) else ""


def check_token(exam: Examination) -> Iterator[CheckResult]:
    """Whether the token may renew and revoke itself."""
    session = _session(exam)
    if session.granted.is_batch:
        yield result("token", Verdict.WARNING, "a batch token ends with its TTL, and nobody can end it before")
        return
    try:
        may = _capabilities(session.client, OWN)
    except PolicyDenied:
        yield result(
            "token",
            Verdict.WARNING,
            "the token may not ask what it may do, and probably neither renew nor revoke itself",
            "Keep the default policy (token_no_default_policy=false of the role).",
        )
        return
    lacking = [path for path in OWN if not may[path] & {"update", "root"}]
    if lacking:
        advice = "Keep the default policy, or allow update on these paths in a policy of the role."
        yield result("token", Verdict.WARNING, f"the token lacks update on {' and '.join(lacking)}", advice)
        return
    yield result("token", Verdict.OK, "the token may renew and revoke itself")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A secret that should be readable; `reference` is None for a path alone."""

    text: str
    path: str
    namespace: str
    reference: SecretReference | None


def check_secrets(exam: Examination) -> Iterator[CheckResult]:
    """Whether each secret can be read: engine, capability, and the secret itself. Never prints a value."""
    if not exam.target.secrets:
        yield result("secret", Verdict.SKIPPED, "no secret was named", "Name the secrets that the runs refer to.")
        return
    for text in exam.target.secrets[:MAX_SECRETS]:
        if exam.is_over:
            yield result("secret", Verdict.UNKNOWN, f"{text}: there was no time left")
            continue
        try:
            wanted = _parsed(exam, text)
        except VaultFailure as error:
            yield result("secret", Verdict.FAILED, error.message, error.hint or "")
            continue
        yield _secret(_session(exam).client.in_namespace(wanted.namespace), wanted)
    if len(exam.target.secrets) > MAX_SECRETS:
        left = len(exam.target.secrets) - MAX_SECRETS
        yield result("secret", Verdict.UNKNOWN, f"{left} more secrets were not looked at")


def _parsed(exam: Examination, text: str) -> _Wanted:
    within = exam.target.reading_namespace
    written = text if text.startswith("${vault:") else f"${{vault:{text}}}"
    with suppress(ReferenceInvalid):
        references = find_references(written)
        if len(references) == 1:
            one = references[0]
            return _Wanted(str(one), one.path, one.namespace or within, one)
    return _Wanted(visible(text, 512), paths.checked(text, "path of a secret"), within, None)


def _secret(client: VaultClient, wanted: _Wanted) -> CheckResult:
    name = wanted.text
    try:
        engine = find_mount(client, wanted.path)
    except PolicyDenied as error:
        found = suggestions.secret_paths(client, wanted.path)
        # The mount may exist and be closed to this role: another path that looks alike is only a guess.
        advice = f"{_meant(found)} {error.hint or ''}".strip()
        return result("secret", Verdict.FAILED, f"{name}: {error.message}", advice)
    except VaultFailure as error:
        return result("secret", Verdict.FAILED, f"{name}: {error.message}", error.hint or "")
    api_path = engine.api_path(wanted.path)
    kind = f"KV version {engine.version} at {engine.path}/"
    twice = _data_twice(engine, wanted.path)
    if twice:
        return result("secret", Verdict.FAILED, f"{name}: {kind}, and the path holds data/ already", f"Write {twice}.")
    try:
        may = _capabilities(client, (api_path,))[api_path]
    except VaultFailure:
        may = frozenset()  # not even allowed to ask: reading tells
    return _read(client, wanted, engine, f"{kind}, capabilities {', '.join(sorted(may)) or 'unknown'}")


def _data_twice(engine: SecretsEngine, path: str) -> str | None:
    """Give the path without the `data/` that only the API of KV version 2 has."""
    prefix = f"{engine.path}/data/"
    return f"{engine.path}/{path.removeprefix(prefix)}" if engine.version > 1 and path.startswith(prefix) else None


def _read(client: VaultClient, wanted: _Wanted, engine: SecretsEngine, kind: str) -> CheckResult:
    name = wanted.text
    # A path alone is read for a key that no secret has: that it is missing means that the rest was there.
    reference = wanted.reference or SecretReference(wanted.path, NO_KEY)
    try:
        # SECURITY: the value is dropped here; neither it nor its length goes into a result.
        read_secrets(client, [SecretReference(reference.path, reference.key)])
    except SecretsUnavailable as error:
        failure = error.failures[0][1]
        if isinstance(failure, SecretKeyMissing) and wanted.reference is None:
            return result("secret", Verdict.OK, f"{name} can be read ({kind})")
        return result(
            "secret", Verdict.FAILED, f"{name}: {failure.message} ({kind})", _hint(client, engine, wanted, failure)
        )
    return result("secret", Verdict.OK, f"{name} can be read ({kind})")


NO_KEY: Final = "runpass doctor asks for no key"


def _hint(client: VaultClient, engine: SecretsEngine, wanted: _Wanted, failure: VaultFailure) -> str:
    found: Sequence[str] = ()
    if isinstance(failure, SecretKeyMissing) and wanted.reference is not None:
        found = nearest(wanted.reference.key, _keys(client, engine, wanted.path))
    elif isinstance(failure, SecretNotFound):
        found = suggestions.siblings(client, engine, wanted.path)
    elif isinstance(failure, PolicyDenied):
        found = [path for path in suggestions.secret_paths(client, wanted.path) if path != wanted.path]
    own = failure.hint or ""
    return f"{_meant(found)} {own}".strip()


def _meant(found: Sequence[str]) -> str:
    return f"Did you mean {' or '.join(found)}?" if found else ""


def _keys(client: VaultClient, engine: SecretsEngine, path: str) -> list[str]:
    """Give the names of the keys of a secret. SECURITY: names alone; the values are dropped."""
    with suppress(VaultFailure):
        data = client.read(engine.api_path(path)).data
        inside = data.get("data") if engine.version > 1 else data
        return [str(key) for key in inside] if isinstance(inside, dict) else []
    return []


def _capabilities(client: VaultClient, wanted: Sequence[str]) -> Mapping[str, frozenset[str]]:
    """Give what the token may do with these paths."""
    answer = client.write("sys/capabilities-self", {"paths": list(wanted)}).data
    return {path: frozenset(str(item) for item in answer.get(path) or () if item != "deny") for path in wanted}


def check_revocation(exam: Examination) -> Iterator[CheckResult]:
    """Whether the tokens of this examination are gone."""
    if not exam.sessions:
        yield result("revocation", Verdict.OK, "no token was given to this examination")
        return
    for session in exam.sessions:
        yield _ended(session)


def _ended(session: VaultSession) -> CheckResult:
    lives = f"it lives until its TTL is over ({int(session.granted.ttl.total_seconds())} s)"
    try:
        end = revoke(session)
    except VaultFailure as error:
        return result("revocation", Verdict.FAILED, f"{error.message}: the token could not be revoked, {lives}")
    match end:
        case Revocation.REVOKED | Revocation.ALREADY_GONE:
            return result("revocation", Verdict.OK, "the token of this examination is revoked")
        case Revocation.NOT_REVOCABLE:
            return result("revocation", Verdict.WARNING, f"a batch token cannot be revoked: {lives}")
        case Revocation.NOT_ALLOWED:
            advice = "Keep the default policy, or allow update on auth/token/revoke-self."
            return result("revocation", Verdict.WARNING, f"the token may not revoke itself: {lives}", advice)


def _session(exam: Examination) -> VaultSession:
    if exam.session is None:
        raise AssertionError("this check needs a login")
    return exam.session
