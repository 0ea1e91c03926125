"""Tells the server what stands at a Vault for a credential, so that the log of a refused run can say why."""

import json
from typing import TYPE_CHECKING

from runpass.cli.connecting import connected

if TYPE_CHECKING:
    from runpass.vault.client import VaultClient
    from runpass.vault.desired import DesiredState


def record_roles(client: "VaultClient", state: "DesiredState") -> tuple[str, ...]:
    """Send each role of a credential as the Vault gives it back, and give their names. Nothing in them is secret."""
    from runpass.vault.desired import config_path, role_path

    view = client.in_namespace(state.namespace)
    config = json.dumps(dict(view.read(config_path(state)).data))
    recorded = []
    with connected() as api:
        for role in state.roles:
            credential_id = role.bound_claims.get("credentialId")
            if credential_id is None:
                continue  # the sweeper's
            body = {
                "roleName": role.name,
                "mount": state.auth.path,
                "namespace": state.namespace,
                "role": json.dumps(dict(view.read(role_path(state, role)).data)),
                "config": config,
            }
            api.call("PUT", f"/credentials/{credential_id}/recorded-role", body)
            recorded.append(role.name)
    return tuple(recorded)
