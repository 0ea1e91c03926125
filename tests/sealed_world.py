"""A tenant that has a value in every sealed column, and how each of them is read by the room that owns it."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import update

from factories import Tenant, World
from runpass.ids import VaultLoginId
from runpass.protocol.credentials import CredentialKind, parse
from runpass.protocol.reports import Finish, Outcome
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
from runpass.server.issuer.keys import new_key
from runpass.server.issuer.rings import load_ring
from runpass.server.issuer.store import insert_key
from runpass.server.variables.model import VariableScope
from runpass.server.variables.store import list_variables
from vault_run import ACCESSOR, Run

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
VALUE = "a-sensitive-value-90b2"
OUTPUTS = {"url": {"value": "https://web.example.com", "sensitive": False, "type": "string"}}


@dataclass(frozen=True)
class Sealed:
    """Where the six values stand."""

    world: World
    tenant: Tenant
    credential: StoredCredential
    login: VaultLoginId
    deployment: Deployment

    def read(self, cipher: Cipher) -> list[str]:
        """Read all six with the rooms' own functions."""
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
                load_ring(tx, cipher, None).signing.kid,
            ]

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
    return Sealed(world, tenant, credential, login, deployment)


def expected(sealed: Sealed) -> list[str]:
    """Give what `read` gives, the kid aside."""
    outputs = {"url": {"value": "https://web.example.com", "sensitive": False, "type": "string"}}
    return [VALUE, SECRET, ACCESSOR, str(sealed.deployment.id), json.dumps(outputs)]
