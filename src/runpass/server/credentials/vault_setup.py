"""What to do at a Vault so that a credential works there: as commands, as Terraform, and in the Vault's own pages.

Made from the facts of the organization and what a form holds at this moment, by the same pure parts of `vault` that
`runpass vault apply --print` uses. Nothing here connects to anything.
"""

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from pydantic import ValidationError

from runpass.errors import VaultError
from runpass.protocol.credentials import VaultOidc
from runpass.protocol.wire import invalid_input
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.uses import projects_with
from runpass.server.db.engine import Transaction
from runpass.server.issuer.addresses import addresses_of
from runpass.server.settings import ServerSettings
from runpass.server.tenancy.model import Organization
from runpass.server.web.errors import in_sentences
from runpass.vault.commands import as_bao_commands
from runpass.vault.desired import DesiredState, Guide, guide
from runpass.vault.sweeper import with_sweeper
from runpass.vault.terraform_text import as_terraform
from runpass.vault.ui_steps import UiStep, as_ui_steps

MOST_PROJECTS: Final = 500
"""Projects that the role of a page lists; for more there is the command line."""
USED: Final = ("address", "roleName", "jwtAuthBackendPath", "namespace", "secretNamespace", "tokenFormat")
"""The fields of the form that the set-up follows. None of them is secret."""
_OPEN: Final = {"roleName": "<role-name>", "jwtAuthBackendPath": "<path>", "address": "https://<vault>:8200"}
"""What stands for a field that is empty or wrong."""


@dataclass(frozen=True, slots=True)
class _Unknown:
    """What stands for ids that are not known yet.

    SECURITY: new for each page, so that nothing that somebody typed can hold one: its words would stand there in place
    of it, outside of the quotes that it was thought to need, and a shell takes `<credential id>` for redirections.
    """

    credential: UUID = field(default_factory=uuid4)
    project: UUID = field(default_factory=uuid4)

    def worded(self, text: str) -> str:
        """Give a text that was made with these ids with words in their place."""
        return text.replace(str(self.credential), "<credential id>").replace(str(self.project), "<project id>")


@dataclass(frozen=True, slots=True)
class VaultSetup:
    """The set-up as a page shows it."""

    issuer: str
    jwks_url: str
    audience: str
    subject: str
    open_fields: tuple[str, ...]
    """Labels of fields that are empty or wrong; placeholders stand for them."""
    is_made: bool
    """Whether the credential is there, and with it its id."""
    project_count: int
    """Projects that the role lists."""
    lists_all_projects: bool
    problem: str = ""
    """Why there are no texts."""
    bao: str = ""
    vault: str = ""
    terraform: str = ""
    steps: tuple[UiStep, ...] = ()


def set_up_of(
    tx: Transaction,
    settings: ServerSettings,
    organization: Organization,
    value: Mapping[str, Any],
    credential: StoredCredential | None = None,
) -> VaultSetup:
    """Give the set-up for a value as far as it is typed; incomplete, it has placeholders."""
    oidc, wrong = _as_far_as_typed(value)
    addresses = addresses_of(settings)
    projects = [] if credential is None else projects_with(tx, credential, MOST_PROJECTS + 1)
    unknown = _Unknown()
    credential_id = unknown.credential if credential is None else credential.id
    audience = oidc.audience(settings.audience, credential_id)
    facts = VaultSetup(
        issuer=addresses.issuer_url(organization.issuer),
        jwks_url=addresses.jwks_url(organization.issuer),
        audience=unknown.worded(audience),
        subject="" if organization.policies.get("identity_subject") else organization.oidc_sub,
        open_fields=tuple(VaultOidc.model_fields[name].title or name for name in wrong),
        is_made=credential is not None,
        project_count=min(len(projects), MOST_PROJECTS),
        lists_all_projects=len(projects) <= MOST_PROJECTS,
    )
    wanted = Guide(
        issuer=facts.issuer,
        jwks_url=facts.jwks_url,
        audience=audience,
        organization_id=organization.id,
        credential_id=credential_id,
        # SECURITY: a role that binds no project is somebody's decision, never what is left when none is assigned yet.
        project_ids=tuple(projects[:MOST_PROJECTS]) or (unknown.project,),
        role_name=oidc.role_name,
        mount=oidc.jwt_auth_backend_path,
        namespace=oidc.namespace,
        secret_namespace=oidc.secret_namespace,
        token_explicit_max_ttl=timedelta(seconds=int(settings.run_timeout_seconds)),
    )
    try:
        return _with_texts(facts, with_sweeper(guide(wanted), organization.id), oidc.address, unknown.worded)
    except VaultError as error:
        return replace(facts, problem=in_sentences(error))


def _as_far_as_typed(value: Mapping[str, Any]) -> tuple[VaultOidc, tuple[str, ...]]:
    """Give a value with placeholders for what is empty or wrong, and the names of those fields (`snake_case`)."""
    given = {name: value[name] for name in USED if name in value}
    try:
        return VaultOidc.model_validate({"version": "", **given}), ()
    except ValidationError as error:
        wrong = {item.field for item in invalid_input(error).errors}
    good = {name: item for name, item in given.items() if name not in wrong}
    names = tuple(name for name, field in VaultOidc.model_fields.items() if field.alias in wrong)
    return VaultOidc.model_validate({"version": "", **_OPEN, **good}), names


def _with_texts(facts: VaultSetup, state: DesiredState, address: str, worded: Callable[[str], str]) -> VaultSetup:
    steps = tuple(
        UiStep(worded(step.text), tuple((name, worded(text)) for name, text in step.values))
        for step in as_ui_steps(state)
    )
    return replace(
        facts,
        bao=worded(f"{_environment('BAO', address)}{as_bao_commands(state, 'bao')}"),
        vault=worded(f"{_environment('VAULT', address)}{as_bao_commands(state, 'vault')}"),
        terraform=worded(as_terraform(state)),
        steps=steps,
    )


def _environment(prefix: str, address: str) -> str:
    return f"# With your own token in {prefix}_TOKEN\nexport {prefix}_ADDR={shlex.quote(address)}\n\n"
