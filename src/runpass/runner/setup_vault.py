"""The step `setup-oidc-vault`: log in, read every `${vault:…}`, and hand both on - all of it or nothing."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from runpass.clock import Clock
from runpass.errors import ControlPlaneError, Forbidden
from runpass.protocol.credentials import CredentialGrant
from runpass.protocol.reports import SETUP_VAULT_STEP, Explained, Outcome, Refusal
from runpass.protocol.run_lease import RunLease, Variable
from runpass.runner import environment
from runpass.runner.credentials.vault_oidc import VaultLogins, files, variables
from runpass.runner.ending import SENTENCE_CHARACTERS, Ending, RunEnds
from runpass.runner.identity import Identity
from runpass.runner.masking import Mask
from runpass.runner.refusal_checks import checks_of
from runpass.secret import Secret
from runpass.vault.errors import LoginRefused, ReferenceInvalid, SecretUnusable, VaultFailure
from runpass.vault.references import SecretReference, find_references, resolved_length, substitute

REFERENCE_START: Final = "${vault:"
Say = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class VaultSetup:
    """What the step gives: variables of its own, and the user's variables with their references resolved."""

    own: dict[str, str] = field(default_factory=dict)
    resolved: dict[str, Secret] = field(default_factory=dict)


def is_needed(lease: RunLease) -> bool:
    """Whether the run has anything to do with a Vault."""
    return bool(lease.credentials) or any(has_reference(variable) for variable in lease.variables)


def has_reference(variable: Variable) -> bool:
    """Whether the variable's value names a secret in a Vault."""
    return REFERENCE_START in variable.value.reveal()


def files_of(lease: RunLease, ca_bundle: Path | None) -> dict[str, bytes]:
    """Give the files that the run's commands need for their Vault; none if it is not clear which Vault that is."""
    return files(lease.credentials[0].value, ca_bundle) if len(lease.credentials) == 1 else {}


class SetupVault:
    """The step of one run. Raises `RunEnds` with a refusal that says what to do next."""

    def __init__(  # noqa: PLR0917 -- what a run has
        self, lease: RunLease, identity: Identity, logins: VaultLogins, mask: Mask, say: Say, clock: Clock
    ) -> None:
        self._lease = lease
        self._identity = identity
        self._logins = logins
        self._mask = mask
        self._say = say
        self._clock = clock
        self._jwt: Secret | None = None

    async def run(self, written: Mapping[str, Path]) -> VaultSetup:
        """Log in with the one credential of the run and resolve the references of its variables.

        `written` are the files that `files_of` gave, where they stand now.
        """
        try:
            return await self._run(written)
        except LoginRefused as error:
            grant, jwt = await self._only_grant(), self._jwt
            checks = checks_of(error, grant, jwt, self._clock) if jwt else ()
            raise await self._refused(error.code, error.message, error.vault_error, error.hint, checks) from error
        except VaultFailure as error:
            raise await self._refused(error.code, error.message, error.vault_error, error.hint) from error
        except (ControlPlaneError, Forbidden) as error:
            reason = f"The server gave no identity token for the login: {error.message}"
            raise await self._refused("identity_token", reason, hint=error.hint) from error

    async def _run(self, written: Mapping[str, Path]) -> VaultSetup:
        grant = await self._only_grant()
        references = _references(self._lease.variables)
        credential = grant.value
        if credential.client_key is not None:
            await self._mask.learn([credential.client_key])
        if credential.is_clear_text:
            await self._say(f"{credential.address} is not https: tokens and secrets cross the network unencrypted.")
        identity = await self._identity.for_credential(grant.credential_id)
        self._jwt = identity.token
        session = await self._logins.log_in(credential, identity)
        values = await self._logins.read(
            session, tuple(dict.fromkeys(sum(references.values(), ()))), credential.reading_namespace
        )
        resolved = self._resolved(references, values)
        # SECURITY: what a sensitive variable became is as secret as what it was.
        sensitive = [
            resolved[variable.name]
            for variable in self._lease.variables
            if variable.sensitive and variable.name in resolved
        ]
        await self._mask.learn([*values.values(), *sensitive])
        place = f"{credential.address}{f' (namespace {credential.namespace})' if credential.namespace else ''}"
        await self._say(f"Logged in to {place} as role {credential.role_name} with credential {grant.name}.")
        for warning in session.granted.warnings:
            await self._say(f"Vault warns: {warning}")
        if resolved:
            await self._say(f"Read from Vault: {', '.join(resolved)}.")
        return VaultSetup(variables(credential, session, written), resolved)

    def _resolved(
        self, references: Mapping[str, tuple[SecretReference, ...]], values: Mapping[SecretReference, Secret]
    ) -> dict[str, Secret]:
        """Give the variables that had references. Raises `SecretUnusable` for those that no program can be given.

        SECURITY: lengths are looked at first, since a value may name a large secret many times.
        """
        variables = {variable.name: variable.value.reveal() for variable in self._lease.variables}
        lengths = {
            name: resolved_length(text, values, variable=name) if name in references else len(text)
            for name, text in variables.items()
        }
        sentence, resolved = environment.oversized(lengths), {}
        if sentence is None:
            resolved = {name: substitute(variables[name], values, variable=name) for name in references}
            whole = variables | {name: value.reveal() for name, value in resolved.items()}
            sentence = environment.unfit(whole)
        if sentence is not None:
            raise SecretUnusable(sentence, hint="A secret this large, or one that is not text, is for a file.")
        return resolved

    async def _only_grant(self) -> CredentialGrant:
        grants = self._lease.credentials
        project = self._lease.run.project_name
        if not grants:
            names = [variable.name for variable in self._lease.variables if has_reference(variable)]
            raise await self._refused(
                "no_credential",
                f'Project "{project}" has no Vault OIDC credential assigned, so ${{vault:…}} in '
                f"{'variable' if len(names) == 1 else 'variables'} {', '.join(names)} cannot be resolved.",
                hint="Assign a Vault OIDC credential to the project, or to one above it.",
            )
        if len(grants) > 1:
            raise await self._refused(
                "ambiguous_credential",
                f'Project "{project}" has more than one Vault OIDC credential: '
                f"{', '.join(sorted(grant.name for grant in grants))}.",
                hint="Leave one of them assigned to the project.",
            )
        return grants[0]

    async def _refused(
        self,
        code: str,
        reason: str,
        vault_error: str | None = None,
        hint: str | None = None,
        checks: tuple[Explained, ...] = (),
    ) -> RunEnds:
        shown = [None if text is None else self._mask.text(text) for text in (reason, vault_error, hint)]
        reason, vault_error, hint = (shown[0] or "", shown[1], shown[2])
        await self._say(reason)
        if vault_error:
            await self._say(f"Vault says: {vault_error}")
        for check in checks:
            # SECURITY: what the role expects is for those who manage credentials; the log is for all who see the run.
            await self._say(f"Not accepted: {check.name}. This run has: {check.received or 'nothing to show'}.")
        if hint:
            await self._say(f"Next step: {hint}")
        refusal = Refusal(
            code=code,
            reason=reason[:SENTENCE_CHARACTERS],
            vault_error=vault_error[:SENTENCE_CHARACTERS] if vault_error else None,
            hint=hint[:SENTENCE_CHARACTERS] if hint else None,
            checks=checks,
        )
        return RunEnds(Ending(Outcome.FAILURE, refusal.reason, SETUP_VAULT_STEP, refusal))


def _references(variables: tuple[Variable, ...]) -> dict[str, tuple[SecretReference, ...]]:
    """Give the references of each variable that has some; all malformed ones are told together."""
    found: dict[str, tuple[SecretReference, ...]] = {}
    malformed: list[ReferenceInvalid] = []
    for variable in variables:
        try:
            references = find_references(variable.value.reveal(), variable=variable.name)
        except ReferenceInvalid as error:
            malformed.append(error)
        else:
            if references:
                found[variable.name] = references
    if malformed:
        raise ReferenceInvalid("; ".join(error.message for error in malformed), hint=malformed[0].hint)
    return found
