"""The checks before the token is looked into: configuration, role, address. In the server's order. Pure."""

from collections.abc import Iterator

from runpass.vault.explain.facts import Parameters, binary, said, write_role
from runpass.vault.explain.go_text import lowered, quoted
from runpass.vault.explain.model import Check, LoginCase

CIDR_NOTE = (
    "The role accepts logins from {cidrs} only. From elsewhere the answer is 403 permission denied, the same as for a"
    " mount that does not exist."
)


def checks(case: LoginCase) -> Iterator[Check]:
    """Give the checks; the last one that is given failed if one did, and nothing can be said of what follows."""
    yield Check(
        name="mount configured",
        passed=case.config is not None,
        expected="a config",
        received="a config" if case.config is not None else "none",
        fix=f"{binary(case)} write auth/{case.mount}/config jwks_url=<keys of the issuer> bound_issuer=<issuer>",
        errors=("could not load configuration",),
    )
    if case.config is None:
        return
    name = named(case)
    yield Check(
        name="role given",
        passed=bool(name),
        expected="the name of a role",
        received=said(name),
        fix="Name a role in the login, or write default_role to the config.",
        errors=("missing role",),
    )
    if not name:
        return
    yield Check(
        name="role name",
        passed=not _is_relative(name),
        expected="a name that is no relative path",
        received=said(name),
        fix="Name a role as it is written in its path.",
        errors=("relative paths not supported",),
    )
    if _is_relative(name):
        return
    yield Check(
        name="role exists",
        passed=case.role is not None,
        expected=said(name),
        received="a role" if case.role is not None else "none",
        fix=f"{binary(case)} list auth/{case.mount}/role",
        errors=(f"role {quoted(name)} could not be found",),
    )
    if case.role is None:
        return
    yield from _role_and_token(case)
    yield from _address(case)
    yield _key_source(case)


def _role_and_token(case: LoginCase) -> Iterator[Check]:
    role_type = Parameters(case.role or {}).text("role_type")
    yield Check(
        name="role type",
        passed=role_type != "oidc",
        expected="jwt",
        received=role_type or "jwt",
        fix=write_role(case),
        errors=("role with oidc role_type is not allowed",),
    )
    token = case.token.reveal()
    yield Check(
        name="token given",
        passed=bool(token),
        expected="a token",
        received="a token" if token else "none",
        fix="Send the token as the parameter jwt.",
        errors=("missing token",),
    )


def _address(case: LoginCase) -> Iterator[Check]:
    cidrs = Parameters(case.role or {}).data.get("token_bound_cidrs")
    if cidrs:
        yield Check(
            name="client address",
            passed=None,
            expected=said(cidrs),
            received="not known here",
            fix="Log in from one of these addresses, or change token_bound_cidrs of the role.",
            errors=("permission denied",),
            status=403,
        )


def _key_source(case: LoginCase) -> Check:
    url = Parameters(case.config or {}).text("oidc_discovery_url")
    failed = bool(url and case.fetch_error)
    return Check(
        name="key source",
        passed=not failed,
        expected="a discovery document that the server can fetch" if url else "keys",
        received=case.fetch_error,
        fix=f"Let the server reach {url or 'the issuer'}, or use jwks_url or jwt_validation_pubkeys.",
        errors=(f"error configuring token validator: keyset configuration error: {case.fetch_error}",),
    )


def _is_relative(name: str) -> bool:
    return ".." in name.split("/")


def named(case: LoginCase) -> str:
    """Give the role's name as the server looks it up."""
    return lowered(case.role_name or Parameters(case.config or {}).text("default_role"))


def notes(case: LoginCase) -> Iterator[str]:
    """Give what can refuse the login all the same."""
    yield (
        "Not known offline: rate limit quotas (429), a sealed server (503), the namespace (404), and whether the auth"
        " method is mounted under this name (403)."
    )
    cidrs = Parameters(case.role or {}).data.get("token_bound_cidrs") or []
    if cidrs:
        yield CIDR_NOTE.format(cidrs=said(cidrs))
    config = Parameters(case.config or {})
    if case.jwks is None and not config.texts("jwt_validation_pubkeys"):
        yield "The issuer's keys are not known here, so the signature is not verified."
    if config.text("oidc_discovery_url") or config.text("jwks_url"):
        yield "The server may still trust a key that it fetched earlier: its cache of keys has no end."
