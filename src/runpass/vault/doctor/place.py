"""Checks without any privilege: namespace, auth mount, role, and whether this machine's address is allowed."""

from collections.abc import Iterator
from typing import Final

from runpass.vault import paths, refusals
from runpass.vault.doctor import suggestions
from runpass.vault.doctor.examination import Examination
from runpass.vault.doctor.model import CheckResult, Verdict, result
from runpass.vault.doctor.probes import Said, ask

FORBIDDEN: Final = 403
OTHER_METHODS: Final = {"missing role_id": "AppRole", "no client certificate": "TLS certificates"}


def check_namespaces(exam: Examination) -> Iterator[CheckResult]:
    """Whether the namespaces exist; asking needs no right at all."""
    for namespace in dict.fromkeys((exam.target.namespace, exam.target.reading_namespace)):
        name = paths.namespace(namespace)
        missing = suggestions.missing_namespace(exam.client, name)
        if missing is None:
            yield result("namespace", Verdict.OK, f"namespace {name} exists" if name else "the root namespace")
            continue
        exists = missing.rpartition("/")[0] or "the root namespace"
        near = suggestions.other_namespace(exam.client, name)
        hint = f"Did you mean {near}?" if near else "Check its path, from the root down; case matters."
        yield result("namespace", Verdict.FAILED, f"there is no namespace {missing} ({exists} exists)", hint)


def check_mount(exam: Examination) -> Iterator[CheckResult]:
    """Whether a JWT auth method is mounted here, and configured."""
    mount = paths.checked(exam.target.mount, "auth mount path")
    said = ask(exam.client, mount, {})
    if "could not load configuration" in said.text:
        reason = refusals.NotConfigured
        yield result("mount", Verdict.FAILED, f"auth/{mount}: {reason.sentence}", reason.advice)
    elif said.is_jwt_method or said.reason is refusals.ValidatorNotUsable:
        yield result("mount", Verdict.OK, f"a JWT auth method answers at auth/{mount}")
    else:
        yield _other_mount(exam, mount, said)


def _other_mount(exam: Examination, mount: str, said: Said) -> CheckResult:
    found = suggestions.mounts(exam, mount)
    hint = f"Did you mean {' or '.join(found)}?" if found else ""
    method = next((name for words, name in OTHER_METHODS.items() if words in said.text), None)
    if method is not None:
        seen = f"auth/{mount} is an auth method for {method}"
    elif said.status == FORBIDDEN:
        seen = f"there is no JWT auth method at auth/{mount}, or it is one that wants something else to log in"
    else:
        seen = f"auth/{mount} does not answer as a JWT auth method does ({said.status}): {said.words}"
    return result("mount", Verdict.FAILED, seen, hint or refusals.AuthMountNotFound.advice)


def check_role(exam: Examination) -> Iterator[CheckResult]:
    """Whether the role exists and is one for JWTs."""
    mount, role = exam.target.mount.strip("/"), exam.target.role
    said = ask(exam.client, mount, {"role": role})
    if "missing token" in said.text:
        yield result("role", Verdict.OK, f"role {role} exists")
    elif said.reason is refusals.RoleNotFound:
        yield _no_role(exam, mount, role)
    else:
        reason = said.reason
        yield result("role", Verdict.FAILED, f"role {role}: {reason.sentence} ({said.words})", reason.advice)


def _no_role(exam: Examination, mount: str, role: str) -> CheckResult:
    if "missing token" in ask(exam.client, mount, {"role": role}, door="cel/login").text:
        seen = f"{role} is a CEL role, which logins of runs do not use"
        return result("role", Verdict.FAILED, seen, "Write an ordinary role: runpass vault setup prints one.")
    found = suggestions.roles(exam, mount, role)
    hint = f"Did you mean {' or '.join(found)}?" if found else refusals.RoleNotFound.advice
    return result("role", Verdict.FAILED, f"auth/{mount} has no role {role}", hint)


def check_client_address(exam: Examination) -> Iterator[CheckResult]:
    """Whether the role lets this machine's IP address in: that is decided before the token is looked at."""
    said = ask(exam.client, exam.target.mount.strip("/"), {"role": exam.target.role, "jwt": "x"})
    if said.status == FORBIDDEN:
        yield result(
            "client_address",
            Verdict.FAILED,
            "the role does not allow this machine's IP address",
            "Add the address that the Vault sees to token_bound_cidrs of the role (a NAT or a proxy may change it).",
        )
        return
    yield result("client_address", Verdict.OK, "the role allows this machine's IP address")
