"""What the tokens of a run say of it. Pure."""

from uuid import UUID

from runpass.protocol.run_lease import Phase
from runpass.server.deployments.mint_model import Said
from runpass.server.deployments.model import Inputs
from runpass.server.issuer.claims import WorkloadClaims, written_claims
from runpass.server.runners.model import Runner
from runpass.server.tenancy.identities import optional_claims_of, subject_of
from runpass.server.tenancy.model import Organization


def said_of(
    organization: Organization, inputs: Inputs, phase: Phase, runner: Runner, credential_id: UUID | None = None
) -> Said:
    """Give subject and claims of what one lease of a run does; `credential_id` is for the login of a credential."""
    claims = _claims(inputs, phase, runner, credential_id)
    optional = optional_claims_of(organization.policies)
    return Said(subject_of(organization, claims), written_claims(claims, optional))


def _claims(inputs: Inputs, phase: Phase, runner: Runner, credential_id: UUID | None) -> WorkloadClaims:
    run = inputs.run
    return WorkloadClaims(
        organization_id=str(run.organization_id),
        organization=str(run.organization_id),
        project_id=str(run.project_id),
        project_name=run.project_name,
        template_id=str(run.template_id),
        template_name=run.template_name,
        environment_id=str(run.environment_id),
        environment_name=run.environment_name,
        workspace_name=run.workspace_name,
        deployment_log_id=str(run.deployment_id),
        deployment_type=run.deployment_type,
        deployer_email=inputs.deployer_email,
        env0_tag=inputs.env0_tag,
        phase=phase.value,
        repository=run.repository,
        revision=run.revision,
        commit=inputs.commit,
        runner_id=str(runner.id),
        runner_pool=runner.pool,
        runner_isolation=runner.isolation.value,
        credential_id=str(credential_id) if credential_id else None,
    )
