"""A tenant that has a value in every sealed column, and how each of them is read by the room that owns it."""

import json
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import update

from factories import Tenant, World
from runpass.ids import VaultLoginId, VaultTaskId
from runpass.protocol.credentials import CredentialKind, parse
from runpass.protocol.reports import Finish, Outcome
from runpass.secret import Secret
from runpass.server.credentials.model import StoredCredential
from runpass.server.credentials.sealing import unseal
from runpass.server.db.encryption import Cipher
from runpass.server.db.schema.deployments import deployments
from runpass.server.deployments import login_store, vault_logins
from runpass.server.deployments.inputs import inputs_of
from runpass.server.deployments.model import Deployment
from runpass.server.deployments.outputs import outputs_place, shown_outputs
from runpass.server.deployments.run_leases import finish
from runpass.server.deployments.store import get_deployment
from runpass.server.issuer.compromise_store import Compromise, insert_compromise, insert_probe, probe_for
from runpass.server.issuer.compromise_store import Probe as KeptProbe
from runpass.server.issuer.keys import KeyState, new_key
from runpass.server.issuer.rings import load_ring
from runpass.server.issuer.store import insert_key
from runpass.server.variables.model import VariableScope
from runpass.server.variables.store import list_variables
from runpass.server.vault_tasks import key_check_store
from runpass.server.vault_tasks.key_checks import Probe, probe_of, want_key_checks
from runpass.server.vault_tasks.known_vaults import KnownVault, Place
from vault_run import ACCESSOR, Run

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
PROBE = "a.probe.of-a-leaked-key"
LEAKED = "a-leaked-key"
VALUE = "a-sensitive-value-90b2"
OUTPUTS = {"url": {"value": "https://web.example.com", "sensitive": False, "type": "string"}}


@dataclass(frozen=True)
class Sealed:
    """Where the values stand."""

    world: World
    tenant: Tenant
    credential: StoredCredential
    login: VaultLoginId
    deployment: Deployment
    check: VaultTaskId

    def read(self, cipher: Cipher) -> list[str]:
        """Read all of them with the rooms' own functions."""
        with self.world.database.write() as tx:
            (variable,) = list_variables(tx, cipher, self.tenant.id, [(VariableScope.GLOBAL, self.tenant.id)])
            keys: Any = unseal(cipher, self.credential_now(tx))
            login = login_store.get_login(tx, self.tenant.id, self.login)
            assert login is not None
            accessor = vault_logins.accessor_of(cipher, login)
            assert accessor is not None
            return [
                variable.value.reveal(),
                keys.secret_access_key.reveal(),
                accessor.reveal(),
                str(inputs_of(tx, cipher, self.deployment).run.deployment_id),
                json.dumps(shown_outputs(tx, cipher, self.deployment)),
                self._probes(tx, cipher),
                load_ring(tx, cipher, None).signing.kid,
            ]

    def _probes(self, tx: Any, cipher: Cipher) -> str:
        kept = probe_for(tx, cipher, LEAKED, self.credential.id, self.credential.id)
        (check,) = key_check_store.list_checks(tx, [self.check])
        sent = probe_of(cipher, check)
        assert kept is not None
        assert sent is not None
        return f"{kept.reveal()} {sent.reveal()}"

    def credential_now(self, tx: Any) -> StoredCredential:
        from runpass.server.credentials.store import get_credential

        found = get_credential(tx, self.tenant.id, self.credential.id)
        assert found is not None
        return found


def sealed_world(world: World, tenant: Tenant) -> Sealed:
    """Seal something in every column."""
    tenant.variable(VariableScope.GLOBAL, tenant.id, "NAME", VALUE, is_sensitive=True)
    keys = parse(CredentialKind.AWS_ACCESS_KEYS_FOR_DEPLOYMENT, {"accessKeyId": "AKIA", "secretAccessKey": SECRET})
    credential = tenant.credential_of(keys, CredentialKind.AWS_ACCESS_KEYS_FOR_DEPLOYMENT)
    run = Run(world, tenant)
    login = run.log_in()
    run.tell(login)
    finish(world.rules, run.holder, Finish(fencing_token=run.lease.fencing_token, outcome=Outcome.SUCCESS))
    with world.database.write() as tx:
        insert_key(tx, world.cipher, new_key(world.clock.now()))
        deployment = get_deployment(tx, tenant.id, run.lease.run.deployment_id)
        assert deployment is not None
        sealed = world.cipher.seal(json.dumps(OUTPUTS).encode(), outputs_place(deployment.id, tenant.id))
        tx.execute(update(deployments).where(deployments.c.id == deployment.id).values(outputs_sealed=sealed))
        deployment = get_deployment(tx, tenant.id, deployment.id)
        assert deployment is not None
        check = probes(tx, world, credential)
    return Sealed(world, tenant, credential, login, deployment, check)


def probes(tx: Any, world: World, credential: StoredCredential) -> VaultTaskId:
    """Leave a probe of a leaked key with the key, and one with a check of a Vault."""
    now, token, place = world.clock.now(), Secret(PROBE), Place("https://vault.example.com", "", "jwt")
    leaked = replace(new_key(now), kid=LEAKED, state=KeyState.COMPROMISED)
    insert_key(tx, world.cipher, leaked)
    insert_compromise(
        tx,
        Compromise(kid=LEAKED, issuer=None, was=KeyState.ACTIVE, change=1, actor="operator:test", stopped_at=now),
    )
    insert_probe(tx, world.cipher, LEAKED, KeptProbe(credential.id, credential.organization_id, token))
    vault = KnownVault(
        organization_id=credential.organization_id, place=place, credentials=(credential,), verifier=None
    )
    (check,) = want_key_checks(tx, [vault], now, probe=Probe(LEAKED, token, world.cipher))
    return check


def expected(sealed: Sealed) -> list[str]:
    """Give what `read` gives, the kid aside."""
    outputs = {"url": {"value": "https://web.example.com", "sensitive": False, "type": "string"}}
    return [VALUE, SECRET, ACCESSOR, str(sealed.deployment.id), json.dumps(outputs), f"{PROBE} {PROBE}"]
