"""What should exist at a Vault: from a declarative file, or from the facts of one credential."""

from dataclasses import dataclass, fields
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

import typer

from runpass.cli.vault_facts import Named, OwnUrl, facts
from runpass.errors import ConfigurationError, FieldError, InvalidInput
from runpass.vault.desired import KV_PATH

if TYPE_CHECKING:
    from runpass.vault.declaration.model import Declaration
    from runpass.vault.declaration.state import Given
    from runpass.vault.desired import DesiredState
    from runpass.vault.key_sources import KeySource

TokenFormat = Literal["v1", "v2", "credential"]
"""That of `runpass.protocol.credentials`, which is too slow to load for a command line's help."""
MAX_FILE = 262_144
TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """A desired state, and what a file says beside it."""

    state: "DesiredState"
    address: str | None = None
    shared: bool = True
    """Whether others may have roles of this auth method."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What was said with options; the fields are those of `wanted`."""

    file: Path | None = None
    role: str | None = None
    mount: str = "jwt"
    namespace: str = ""
    secret_namespace: str | None = None
    kv_path: str = KV_PATH
    kv_version: int = 2
    policy: str = ""
    credential: str | None = None
    issuer: str | None = None
    keys: Literal["jwks", "discovery", "pushed"] = "jwks"
    jwks_url: str | None = None
    own_jwks_url: bool = False
    issuer_ca_file: Path | None = None
    public_keys_file: Path | None = None
    audience: str | None = None
    token_format: TokenFormat = "v1"  # noqa: S105 -- a format's name
    run_timeout: int = 3600
    organization_id: UUID | None = None
    credential_id: UUID | None = None
    project_id: list[UUID] | None = None
    any_project: bool = False
    sweeper: bool = True

    def target(self) -> Target:
        """Give what is wanted. Raises `InvalidInput` that names every option, or field of the file, that is wrong."""
        return self._from_credential() if self.file is None else self._from_file(self.file)

    def _from_file(self, file: Path) -> Target:
        from runpass.vault.declaration.parsing import parse
        from runpass.vault.declaration.state import state_of

        said = [item.name for item in fields(self) if item.name != "file" and getattr(self, item.name) != item.default]
        if said:
            errors = tuple(FieldError(f"--{name.replace('_', '-')}", "is not used with --file") for name in said)
            raise InvalidInput("; ".join(f"{item.field} {item.message}" for item in errors), errors)
        declared = parse(read_text(file), str(file))
        state = state_of(declared, _given(declared, file.parent))
        return Target(state, declared.vault.address, declared.auth.shared)

    def _from_credential(self) -> Target:
        from runpass.vault.desired import Guide, guide
        from runpass.vault.sweeper import with_sweeper

        if self.role is None:
            missing = (FieldError("--role", "is required"),)
            raise InvalidInput("--role is required", missing, hint="or name a --file that declares roles")
        named = (self.issuer, self.jwks_url, self.audience, self.organization_id, self.credential_id)
        found = facts(Named(*named, tuple(self.project_id or ())), self.credential, self._own_url())
        # SECURITY: an unbound project must be somebody's decision, not what is left when nothing is assigned yet.
        if not found["project_ids"] and not self.any_project:
            raise InvalidInput(
                "no project is known, and the role would accept every project that has this credential",
                (FieldError("--project-id", "is required"),),
                hint="assign the credential, name a --project-id, or say --any-project if every project is meant",
            )
        if self.any_project:
            found["project_ids"] = ()
        if self.audience is None:
            shared, credential_id = found["audience"], found["credential_id"]
            from runpass.protocol.credentials import audience as audience_of

            found["audience"] = audience_of(self.token_format, "vault", shared=shared, credential_id=credential_id)
        state = guide(
            Guide(
                role_name=self.role,
                mount=self.mount,
                kv_path=self.kv_path,
                kv_version=1 if self.kv_version == 1 else 2,
                policy_name=self.policy,
                namespace=self.namespace,
                secret_namespace=self.secret_namespace,
                keys=self._keys(found["issuer"], found["jwks_url"]),
                token_explicit_max_ttl=timedelta(seconds=self.run_timeout),
                **found,
            )
        )
        return Target(with_sweeper(state, found["organization_id"]) if self.sweeper else state)

    def _own_url(self) -> OwnUrl | None:
        """Give how to ask for the Vault's own key set URL, or nothing where none is used."""
        if self.own_jwks_url and (self.credential is None or self.keys != "jwks" or self.jwks_url is not None):
            raise InvalidInput.of("--own-jwks-url", "needs --credential, and neither other --keys nor a --jwks-url")
        if self.keys != "jwks":
            return None
        return OwnUrl(mount=self.mount, namespace=self.namespace, is_wanted=self.own_jwks_url)

    def _keys(self, issuer: str, jwks_url: str) -> "KeySource":
        from runpass.vault.key_sources import DiscoveryUrl, JwksUrl, PushedKeys

        if self.public_keys_file is not None and self.keys != "pushed":
            raise InvalidInput.of("--public-keys-file", "is for --keys pushed")
        ca = None if self.issuer_ca_file is None else read_text(self.issuer_ca_file)
        match self.keys:
            case "jwks":
                return JwksUrl(jwks_url, ca)
            case "discovery":
                return DiscoveryUrl(issuer, ca)
            case "pushed":
                return PushedKeys(public_keys(jwks_url, ca, self.public_keys_file))


Declared = Annotated[
    Path | None, typer.Option(dir_okay=False, help="TOML file that declares it all (docs/reference/vault-file.md).")
]
Keys = Annotated[
    Literal["jwks", "discovery", "pushed"],
    typer.Option(help="How the Vault gets the issuer's keys: from the key set, by discovery, or pushed to it now."),
]
IssuerCa = Annotated[
    Path | None, typer.Option(dir_okay=False, help="PEM file of authorities for the issuer's certificate.")
]
PublicKeys = Annotated[
    Path | None, typer.Option(dir_okay=False, help="PEM file of public keys to push, instead of fetching them.")
]

AnyProject = Annotated[
    bool, typer.Option("--any-project", help="Bind no project: every project that has the credential may log in.")
]
OwnJwksUrl = Annotated[
    bool,
    typer.Option(
        "--own-jwks-url",
        help="Have the server give this Vault a key set URL of its own, so that a rotation can wait until the Vault was"
        " seen to fetch. One that it was given before is used without this.",
    ),
]
Format = Annotated[TokenFormat, typer.Option(help="The credential's token format: it decides the audience.")]
RunTimeout = Annotated[
    int, typer.Option(min=120, max=604_800, help="Seconds that a run may take: the server's run_timeout_seconds.")
]


def wanted(  # noqa: PLR0913 -- one parameter for each option
    *,
    file: Declared = None,
    role: Annotated[str | None, typer.Option(help="Role to make: the credential's role name.")] = None,
    mount: Annotated[str, typer.Option(help="Path of the JWT auth method, without auth/.")] = "jwt",
    namespace: Annotated[str, typer.Option(help="Namespace of the auth method; empty: the root namespace.")] = "",
    secret_namespace: Annotated[
        str | None, typer.Option(help="Namespace of the KV engine, if another one, below it.")
    ] = None,
    kv_path: Annotated[str, typer.Option(help="KV engine that runs may read.")] = KV_PATH,
    kv_version: Annotated[int, typer.Option(min=1, max=2, help="The KV engine's version.")] = 2,
    policy: Annotated[str, typer.Option(help="Policy to make; empty: named after the KV engine.")] = "",
    credential: Annotated[
        str | None, typer.Option(help="Credential, by name or id: the server tells the facts that follow.")
    ] = None,
    issuer: Annotated[str | None, typer.Option(help="The issuer URL, with its trailing slash.")] = None,
    keys: Keys = "jwks",
    jwks_url: Annotated[str | None, typer.Option(help="Where the keys are fetched.")] = None,
    own_jwks_url: OwnJwksUrl = False,
    issuer_ca_file: IssuerCa = None,
    public_keys_file: PublicKeys = None,
    audience: Annotated[str | None, typer.Option(help="The audience. Default: that of the token format.")] = None,
    token_format: Format = "v1",  # noqa: S107 -- a format's name
    run_timeout: RunTimeout = 3600,
    organization_id: Annotated[UUID | None, typer.Option(help="The organization's id.")] = None,
    credential_id: Annotated[UUID | None, typer.Option(help="The credential's id.")] = None,
    project_id: Annotated[
        list[UUID] | None, typer.Option(help="A project that may use the credential; repeatable.")
    ] = None,
    any_project: AnyProject = False,
    sweeper: Annotated[
        bool, typer.Option(help="Whether to make the role that lets the server revoke tokens which runs left behind.")
    ] = True,
) -> Wanted:
    """Give the options as one record."""
    return Wanted(
        file=file,
        role=role,
        mount=mount,
        namespace=namespace,
        secret_namespace=secret_namespace,
        kv_path=kv_path,
        kv_version=kv_version,
        policy=policy,
        credential=credential,
        issuer=issuer,
        keys=keys,
        jwks_url=jwks_url,
        own_jwks_url=own_jwks_url,
        issuer_ca_file=issuer_ca_file,
        public_keys_file=public_keys_file,
        audience=audience,
        token_format=token_format,
        run_timeout=run_timeout,
        organization_id=organization_id,
        credential_id=credential_id,
        project_id=project_id or None,
        any_project=any_project,
        sweeper=sweeper,
    )


def public_keys(jwks_url: str, ca: str | None, file: Path | None) -> tuple[str, ...]:
    """Give the keys that are pushed: those of a file, or those of the issuer, fetched by this machine."""
    from runpass.vault.issuer_documents import fetch
    from runpass.vault.public_keys import from_jwks, from_pem
    from runpass.vault.transport import Tls

    if file is not None:
        return from_pem(read_text(file), str(file))
    return from_jwks(fetch(jwks_url, Tls(ca_certificates=ca or None), timeout=TIMEOUT))


def read_text(file: Path) -> str:
    """Give the text of a small file. Raises `ConfigurationError` and `InvalidInput` that name it."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_FILE + 1)
    except OSError as error:
        raise ConfigurationError(f"the file {file} cannot be read: {error.strerror}") from error
    if len(content) > MAX_FILE:
        raise InvalidInput(f"the file {file} is longer than {MAX_FILE} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"the file {file} is not UTF-8 text") from None


def _given(declared: "Declaration", beside: Path) -> "Given":
    from runpass.vault.declaration.state import Given, jwks_url, wanted_files

    texts = {name: read_text(beside / name) for name in wanted_files(declared)}
    issuer = declared.issuer
    if issuer.keys != "pushed":
        return Given(texts=texts)
    ca = None if issuer.ca_file is None else texts[issuer.ca_file]
    file = None if issuer.public_keys_file is None else beside / issuer.public_keys_file
    return Given(texts=texts, public_keys=public_keys(jwks_url(issuer), ca, file))
