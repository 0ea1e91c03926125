"""`runpass vault doctor`: what stops a login, step by step, as this machine sees it."""

from collections.abc import Generator, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from runpass.cli.exits import FOUND
from runpass.cli.options import AsJson
from runpass.cli.output import print_json
from runpass.cli.secret_files import read_secret
from runpass.cli.terminal import one_line

if TYPE_CHECKING:
    from runpass.secret import Secret
    from runpass.vault.doctor.model import CheckResult, Expected


Namespace = Annotated[str, typer.Option(help="Namespace of the auth method; empty: the root namespace.")]
SecretNamespace = Annotated[str | None, typer.Option(help="Namespace of the secrets; else the auth method's.")]
Secrets = Annotated[
    list[str] | None, typer.Option(help="Secret that should be readable: <path>.<key>, or a path alone. Repeatable.")
]
Bundle = Annotated[Path | None, typer.Option(dir_okay=False, help="PEM file of authorities for the Vault.")]
Certificate = Annotated[Path | None, typer.Option(dir_okay=False, help="Certificate (PEM) to show to the Vault.")]
Key = Annotated[Path | None, typer.Option(dir_okay=False, help="Private key (PEM) of that certificate.")]
ServerName = Annotated[str | None, typer.Option(help="Name in the Vault's certificate, if not the address's host.")]
Proxy = Annotated[str | None, typer.Option(help="HTTP proxy to go through: http://host:port.")]
Timeout = Annotated[float, typer.Option(min=0.1, max=60, help="Seconds that one answer may take.")]
Credential = Annotated[
    str | None, typer.Option(help="Credential, by name or id: the server tells what its tokens say.")
]
IdentityToken = Annotated[
    Path | None, typer.Option("--token-file", dir_okay=False, help="File with an identity token to log in with.")
]
ExpiredToken = Annotated[
    Path | None, typer.Option(dir_okay=False, help="File with an identity token that expired in 1970.")
]
OperatorToken = Annotated[
    Path | None, typer.Option(dir_okay=False, help="File with a Vault token that may read role and config.")
]


def doctor(  # noqa: PLR0913 -- one parameter for each option
    *,
    address: Annotated[str, typer.Option(help="Where the Vault answers.")],
    role: Annotated[str, typer.Option(help="Role of the JWT auth method: the credential's role name.")],
    mount: Annotated[str, typer.Option(help="Path of the JWT auth method, without auth/.")] = "jwt",
    namespace: Namespace = "",
    secret_namespace: SecretNamespace = None,
    path: Secrets = None,
    ca_bundle: Bundle = None,
    client_certificate_file: Certificate = None,
    client_key_file: Key = None,
    server_name: ServerName = None,
    proxy: Proxy = None,
    timeout: Timeout = 5.0,
    credential: Credential = None,
    token_file: IdentityToken = None,
    expired_token_file: ExpiredToken = None,
    operator_token_file: OperatorToken = None,
    as_json: AsJson = False,
) -> None:
    """Check the way to a Vault, its auth method and its secrets; prints no value. Exit code 1: a check failed."""
    from runpass.vault.doctor.diagnosis import diagnose
    from runpass.vault.doctor.model import DoctorTarget, Knowledge, Limits, ProbeTokens, Verdict
    from runpass.vault.transport import Tls

    # SECURITY: no token is taken from the environment: this one goes to an address that may come from somebody else.
    target = DoctorTarget(
        address=address,
        role=role,
        mount=mount,
        namespace=namespace,
        secret_namespace=secret_namespace,
        secrets=tuple(path or ()),
        tls=Tls(
            ca_bundle,
            client_certificate=_text(client_certificate_file, "client certificate"),
            client_key=_secret(client_key_file, "client key"),
            server_name=server_name,
            proxy=proxy,
        ),
    )
    tokens = ProbeTokens(
        expired=_token(expired_token_file, "expired identity token"), login=_token(token_file, "identity token")
    )
    knowledge = Knowledge(
        operator_token=_token(operator_token_file, "Vault token"),
        expected=None if credential is None else _expected(credential, mount, namespace),
    )
    limits = Limits(request_seconds=timeout)
    results = _printed(diagnose(target, tokens, knowledge=knowledge, limits=limits), as_json=as_json)
    if any(item.verdict is Verdict.FAILED for item in results):
        raise typer.Exit(FOUND)


def _secret(file: Path | None, what: str) -> "Secret | None":
    return None if file is None else read_secret(file, what)


def _token(file: Path | None, what: str) -> "Secret | None":
    from runpass.secret import Secret

    return None if file is None else Secret(read_secret(file, what).reveal().strip())


def _text(file: Path | None, what: str) -> str | None:
    return None if file is None else read_secret(file, what).reveal()


def _expected(credential: str, mount: str, namespace: str) -> "Expected":
    from runpass.cli.connecting import connected, identify
    from runpass.cli.vault_facts import Named, OwnUrl, facts, own_jwks_url
    from runpass.vault.doctor.model import Expected

    found = facts(Named(None, None, None, None, None, ()), credential)
    with connected() as api:
        here = OwnUrl(mount=mount, namespace=namespace, is_wanted=False)
        own = own_jwks_url(api, identify(api, "credential", credential), here)
    projects: Iterable[UUID] = found["project_ids"]
    claims: dict[str, tuple[str, ...]] = {
        "organizationId": (str(found["organization_id"]),),
        "credentialId": (str(found["credential_id"]),),
        "projectId": tuple(str(item) for item in projects),
        "apiKeyType": ("oidc",),
    }
    return Expected(
        issuer=found["issuer"],
        jwks_url=found["jwks_url"],
        own_jwks_url=own,
        audience=found["audience"],
        claims={name: values for name, values in claims.items() if values},
    )


def _printed(results: "Generator[CheckResult, None, None]", *, as_json: bool) -> "list[CheckResult]":
    found: list[CheckResult] = []
    with closing(results):  # SECURITY: an interrupt between two checks must revoke the token, too
        for item in results:
            found.append(item)
            if not as_json:
                _print(item)
    if as_json:
        summary: dict[str, Any] = {"checks": [item.to_json() for item in found]}
        print_json(summary)
    return found


def _print(item: "CheckResult") -> None:
    typer.echo(f"{item.verdict.value:<8} {item.check:<18} {one_line(item.seen)}")
    for step in item.explained:
        if step.passed is False:
            typer.echo(
                f"{'':27} {one_line(step.name)}: expected {one_line(step.expected)}, got {one_line(step.received)}"
            )
    for number, line in enumerate(item.next_step.split("\n") if item.next_step else ()):
        typer.echo(f"{'':27} {'' if number else 'next: '}{one_line(line)}")
