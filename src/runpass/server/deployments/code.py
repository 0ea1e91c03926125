"""Which code a deployment runs: the template's, or for a destroy and a task that of the last deploy."""

from dataclasses import dataclass

from runpass.errors import FieldError, InvalidInput
from runpass.ids import TemplateId
from runpass.protocol.wire import summary
from runpass.server.db.encryption import Cipher
from runpass.server.db.engine import Transaction
from runpass.server.deployments import store
from runpass.server.deployments.approval import Departures
from runpass.server.deployments.inputs import inputs_of, own_repository, own_revision
from runpass.server.deployments.model import DeploymentType, DeployRequest
from runpass.server.issuer.claims import MAX_CLAIM
from runpass.server.templates.model import GitSource, Template
from runpass.server.templates.repository import repository_refusal, revision_refusal
from runpass.server.templates.store import get_template
from runpass.server.tenancy.model import Environment, Project

MAX_REVISION = 255


@dataclass(frozen=True, slots=True)
class Code:
    """What is run, and in what the request departs from what the template or the last deploy says."""

    template: Template
    revision: str
    repository: str
    departs: Departures


def code_of(tx: Transaction, cipher: Cipher, environment: Environment, project: Project, wanted: DeployRequest) -> Code:
    """Give what a request runs.

    Raises `InvalidInput` for a template that this project may not run, and for code that git must not be given.
    """
    own = _deployed(tx, cipher, environment) if wanted.kind is not DeploymentType.DEPLOY else None
    if own is None:
        template = runnable_template(tx, project, _template_id(environment, wanted))
        own = _Own(template, own_revision(template), own_repository(template))
    _check(own.template, wanted)
    another = {None, environment.template_id}
    departs = Departures(
        template=wanted.kind is DeploymentType.DEPLOY and wanted.template_id not in another,
        repository=wanted.repository not in {"", own.repository},
        revision=wanted.revision not in {"", own.revision},
        variables=wanted.changed_variables,
    )
    return Code(own.template, wanted.revision or own.revision, wanted.repository or own.repository, departs)


def runnable_template(tx: Transaction, project: Project, template_id: TemplateId | None) -> Template:
    """Give the template if this project may run it. Raises `InvalidInput` for `blueprintId` otherwise."""
    if template_id is None:
        raise InvalidInput.of("blueprintId", "is required: this environment has no template yet")
    template = get_template(tx, project.organization_id, template_id)
    if template is None or template.is_deleted or not set(project.path) & set(template.project_ids):
        raise InvalidInput.of("blueprintId", "must name a template that is assigned to the environment's project")
    return template


@dataclass(frozen=True, slots=True)
class _Own:
    template: Template
    revision: str
    repository: str


def _deployed(tx: Transaction, cipher: Cipher, environment: Environment) -> _Own | None:
    """Give what the last deploy ran, with its template as it is now, deleted or taken away though it may be."""
    last = store.last_deploy(tx, environment.id)
    template = get_template(tx, last.organization_id, last.template_id) if last else None
    if last is None or template is None:
        return None
    run = inputs_of(tx, cipher, last).run  # SECURITY: sealed, as the columns that are for answers are not
    return _Own(template, run.revision or "", run.repository or "")


def _template_id(environment: Environment, wanted: DeployRequest) -> TemplateId | None:
    chosen = wanted.template_id if wanted.kind is DeploymentType.DEPLOY else None
    return chosen or environment.template_id


def _check(template: Template, wanted: DeployRequest) -> None:
    """Raise `InvalidInput` that names every field with which no code could be fetched or run, or no token be made."""
    found = {
        "blueprintRevision": _longer(wanted.revision, MAX_REVISION) or revision_refusal(wanted.revision),
        "blueprintRepository": _longer(wanted.repository, MAX_CLAIM) or repository_refusal(wanted.repository),
        "targets": _no_targets(template, wanted),
    }
    if wanted.repository and not isinstance(template.source, GitSource):
        found["blueprintRepository"] = f"must be empty: a template of type {template.type.value} has no repository"
    errors = tuple(FieldError(field, sentence) for field, sentence in found.items() if sentence)
    if errors:
        raise InvalidInput(summary(errors, len(errors)), errors)


def _no_targets(template: Template, wanted: DeployRequest) -> str | None:
    # Dropping them would deploy, or destroy, more than was asked for.
    if not wanted.targets:
        return None
    if wanted.kind is not DeploymentType.DEPLOY:
        return "are for deploys: a destroy takes the whole environment, and a task takes no resources"
    if not isinstance(template.source, GitSource):
        return f"must be empty: a template of type {template.type.value} has no resources to choose from"
    return None


def _longer(text: str, limit: int) -> str | None:
    return f"is longer than {limit} characters" if len(text) > limit else None
