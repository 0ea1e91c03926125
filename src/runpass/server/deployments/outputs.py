"""A deployment's outputs at rest: sealed as one value, since any of them may be sensitive."""

from collections.abc import Mapping
from typing import Any

import structlog

from runpass.ids import DeploymentId, EnvironmentId, OrganizationId
from runpass.protocol.outputs import BadOutputs, Output, parse_outputs
from runpass.secret import Secret
from runpass.server.db.encryption import Cipher, Place
from runpass.server.db.engine import Transaction
from runpass.server.deployments import store
from runpass.server.deployments.model import Deployment

_log = structlog.get_logger(__name__)


def outputs_place(deployment_id: DeploymentId, organization_id: OrganizationId) -> Place:
    """Give where a deployment's outputs stand."""
    return Place("deployments", "outputs_sealed", str(deployment_id), organization_id)


def seal_outputs(cipher: Cipher, deployment: Deployment, text: Secret) -> bytes | None:
    """Give what to store of the outputs that a runner reports; nothing of what is none."""
    try:
        if not parse_outputs(text.reveal()):
            return None
    except BadOutputs as error:
        _log.warning("outputs.refused", deployment_id=str(deployment.id), reason=str(error))
        return None
    return cipher.seal(text.reveal().encode(), outputs_place(deployment.id, deployment.organization_id))


def shown_outputs(tx: Transaction, cipher: Cipher, deployment: Deployment) -> dict[str, Any] | None:
    """Give a deployment's outputs as they may be shown: a sensitive one has no value. None if there are none."""
    sealed = store.sealed_outputs(tx, deployment.id) if deployment.has_outputs else None
    if sealed is None:
        return None
    outputs = parse_outputs(cipher.unseal(sealed, outputs_place(deployment.id, deployment.organization_id)))
    return {name: _shown(output) for name, output in outputs.items()}


def environment_outputs(
    tx: Transaction, cipher: Cipher, organization_id: OrganizationId, environment_id: EnvironmentId
) -> Mapping[str, Output]:
    """Give the outputs of an environment's newest successful deploy that has some, sensitive values included.

    SECURITY: for the runs of those who may see that environment, never for an answer.
    """
    found = store.newest_outputs(tx, environment_id)
    if found is None:
        return {}
    deployment_id, sealed = found
    return parse_outputs(cipher.unseal(sealed, outputs_place(deployment_id, organization_id)))


def _shown(output: Output) -> dict[str, Any]:
    value = None if output.sensitive else output.value
    return {"value": value, "sensitive": output.sensitive, "type": output.type}
