"""The step `setup-oidc-vault`: log in, read every `${vault:…}`, and hand both on - all of it or nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from uuid import UUID

from runpass.clock import Clock
from runpass.errors import ControlPlaneError, Forbidden, RunpassError
from runpass.protocol.credentials import CredentialGrant
from runpass.protocol.reports import MAX_EXPLAINED, SETUP_VAULT_STEP, Explained, Outcome, Refusal
from runpass.protocol.run_lease import RunLease, Variable
from runpass.runner import wanted_secrets
from runpass.runner.credentials.inline import read_inline
from runpass.runner.credentials.vault_oidc import VaultLogins, VaultPools, files, variables
from runpass.runner.ending import SENTENCE_CHARACTERS, Ending, RunEnds
from runpass.runner.identity import Identity, LoginIdentity
from runpass.runner.masking import Mask
from runpass.runner.refusal_checks import checks_of
from runpass.runner.secret_forms import unmasked
from runpass.runner.wanted_secrets import CredentialUnclear, Resolved, Wanted
from runpass.secret import Secret
from runpass.vault.errors import LoginRefused, VaultFailure
from runpass.vault.references import SecretReference
from runpass.vault.references import has_reference as is_reference_in
from runpass.vault.session import VaultSession

DIRECTORY: Final = "secrets"
"""Beside the workspace: the files of secrets."""
Say = Callable[[str], Awaitable[None]]
Keep = Callable[[str, Secret], Awaitable[Path]]
"""Writes a secret into a file of the run, under the name of its variable."""


@dataclass(frozen=True, slots=True)
class VaultSetup:
    """What the step gives: variables of its own, and the user's variables with their references resolved."""

    own: dict[str, str] = field(default_factory=dict)
    resolved: dict[str, Secret] = field(default_factory=dict)
    replaced: frozenset[str] = frozenset()
    """Variables that stand for a whole secret: the commands get one for each of its keys instead."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """What one credential gave."""

    grant: CredentialGrant
    session: VaultSession | None
    values: Mapping[SecretReference, Secret]


@dataclass(frozen=True, slots=True)
class _Failed:
    """Why one credential gave nothing."""

    grant: CredentialGrant
    error: RunpassError
    jwt: Secret | None


def is_needed(lease: RunLease) -> bool:
    """Whether the run has anything to do with a Vault."""
    return bool(lease.credentials) or any(has_reference(variable) for variable in lease.variables)


def has_reference(variable: Variable) -> bool:
    """Whether the variable's value names a secret in a Vault."""
    return is_reference_in(variable.value.reveal())


def exporting(lease: RunLease) -> tuple[CredentialGrant, ...]:
    """Give the credentials that want their token to be exported to the commands."""
    return tuple(grant for grant in lease.credentials if grant.value.export_token)


def files_of(lease: RunLease, ca_bundle: Path | None) -> dict[str, bytes]:
    """Give the files that the run's commands need for their Vault; none if it is not clear which Vault that is."""
    chosen = exporting(lease)
    return files(chosen[0].value, ca_bundle) if len(chosen) == 1 else {}


class SetupVault:
    """The step of one run. Raises `RunEnds` with a refusal that says what to do next."""

    def __init__(  # noqa: PLR0913, PLR0917 -- what a run has
        self,
        lease: RunLease,
        identity: Identity,
        logins: VaultLogins,
        pools: VaultPools,
        mask: Mask,
        say: Say,
        clock: Clock,
    ) -> None:
        self._lease = lease
        self._identity = identity
        self._logins = logins
        self._pools = pools
        self._mask = mask
        self._say = say
        self._clock = clock

    async def run(self, written: Mapping[str, Path], keep: Keep) -> VaultSetup:
        """Log in with every credential that is needed, and resolve the references of the variables.

        `written` are the files that `files_of` gave, where they stand now; `keep` makes those that hold a secret.
        """
        try:
            wanted = wanted_secrets.wanted_by(self._lease.variables)
            reads = wanted_secrets.by_credential(wanted, self._lease.credentials, self._lease.run.project_name)
            opened = await self._open(reads)
            values = {reference: value for item in opened for reference, value in item.values.items()}
            await self._learn(wanted, values)
            made = wanted_secrets.resolved(wanted, values, self._lease.variables)
            return await self._hand_on(wanted, opened, made, written, keep)
        except CredentialUnclear as error:
            raise await self._refused(error.unclear, error.message, hint=error.hint) from error
        except VaultFailure as error:
            raise await self._refused(error.code, error.message, error.vault_error, error.hint) from error

    async def _open(self, reads: Mapping[UUID, tuple[SecretReference, ...]]) -> list[_Opened]:
        """Log in and read, with all credentials at once. What failed is told together."""
        alone = exporting(self._lease)
        needed = [
            grant
            for grant in self._lease.credentials
            if grant.credential_id in reads or (len(alone) == 1 and grant is alone[0])
        ]
        results = await asyncio.gather(*(self._try(grant, reads.get(grant.credential_id, ())) for grant in needed))
        failed = [item for item in results if isinstance(item, _Failed)]
        if failed:
            raise await self._failed(failed)
        return [item for item in results if isinstance(item, _Opened)]

    async def _try(self, grant: CredentialGrant, references: tuple[SecretReference, ...]) -> _Opened | _Failed:
        jwt: Secret | None = None
        try:
            if grant.value.client_key is not None:
                await self._mask.learn({"VAULT_CLIENT_KEY": grant.value.client_key})
            if grant.value.is_clear_text:
                address = grant.value.address
                await self._say(f"{address} is not https: tokens and secrets cross the network unencrypted.")
            identity = await self._identity.for_credential(grant.credential_id)
            jwt = identity.token
            return await self._log_in(grant, identity, references)
        except (VaultFailure, ControlPlaneError, Forbidden) as error:
            return _Failed(grant, error, jwt)

    async def _log_in(
        self, grant: CredentialGrant, identity: LoginIdentity, references: tuple[SecretReference, ...]
    ) -> _Opened:
        credential = grant.value
        place = f"{credential.address}{f' (namespace {credential.namespace})' if credential.namespace else ''}"
        if credential.inline_auth:
            self._logins.is_not_made(identity)
            values = await read_inline(self._pools, credential, identity.token, references)
            await self._say(
                f"Read from {place} as role {credential.role_name} with credential {grant.name}, without a Vault token."
            )
            return _Opened(grant, None, values)
        session = await self._logins.log_in(credential, identity)
        values = await self._logins.read(session, references, credential.reading_namespace)
        await self._say(f"Logged in to {place} as role {credential.role_name} with credential {grant.name}.")
        for warning in session.granted.warnings:
            await self._say(f"Vault warns: {warning}")
        return _Opened(grant, session, values)

    async def _learn(self, wanted: Sequence[Wanted], values: Mapping[SecretReference, Secret]) -> None:
        """Mask what was read, before anything is made of it."""
        read = {str(reference): value for reference, value in values.items()}
        read |= wanted_secrets.leaves_of(wanted, values)
        # A variable that is nothing but a secret is known by its own name, which people know better.
        alone = {
            item.variable.name: values[item.references[0]]
            for item in wanted
            if item.variable.value.reveal() == f"${{vault:{item.references[0]}}}"
        }
        await self._mask.learn(alone | read)
        for sentence in unmasked(read):
            await self._say(sentence)

    async def _hand_on(
        self,
        wanted: Sequence[Wanted],
        opened: Sequence[_Opened],
        made: Resolved,
        written: Mapping[str, Path],
        keep: Keep,
    ) -> VaultSetup:
        # SECURITY: what a sensitive variable became is as secret as what it was.
        sensitive = {item.variable.name for item in wanted if item.variable.sensitive}
        await self._mask.learn({name: value for name, value in made.variables.items() if name in sensitive})
        resolved = dict(made.variables)
        for name, content in made.files.items():
            resolved[name] = Secret(str(await keep(name, content)))
        if resolved:
            await self._say(f"Read from Vault: {', '.join(resolved)}.")
        alone = exporting(self._lease)
        if len(alone) > 1:
            names = ", ".join(sorted(grant.name for grant in alone))
            await self._say(
                f"No VAULT_TOKEN is given: more than one credential exports its token ({names})."
                " Set exportToken to false on all but one to choose."
            )
        own: dict[str, str] = {}
        for item in opened:
            if item.session is not None and len(alone) == 1 and item.grant is alone[0]:
                own = variables(item.grant.value, item.session, written)
        return VaultSetup(own, resolved, frozenset(item.variable.name for item in wanted) - resolved.keys())

    async def _failed(self, failed: Sequence[_Failed]) -> RunEnds:
        """Give the refusal that tells what every credential failed for; its code is the first one's."""
        first = failed[0]
        told = [f"{item.grant.name}: {_told(item)}." for item in failed]
        reason = " ".join(told) if len(failed) > 1 else _told(first)
        words = [item.error.vault_error for item in failed if isinstance(item.error, VaultFailure)]
        hints = dict.fromkeys(item.error.hint for item in failed if item.error.hint)
        checks = tuple(
            check
            for item in failed
            if isinstance(item.error, LoginRefused) and item.jwt is not None
            for check in checks_of(item.error, item.grant, item.jwt, self._clock)
        )
        code = first.error.code if isinstance(first.error, VaultFailure) else "identity_token"
        vault_error = "; ".join(dict.fromkeys(word for word in words if word))
        return await self._refused(code, reason, vault_error or None, " ".join(hints) or None, checks[:MAX_EXPLAINED])

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
            received = check.received or "nothing to show"
            refused = f"Not accepted: {check.name}. This run has: {received}."
            await self._say(received if check.passed is None else refused)
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


def _told(failed: _Failed) -> str:
    if isinstance(failed.error, VaultFailure):
        return failed.error.message
    return f"The server gave no identity token for the login: {failed.error.message}"
