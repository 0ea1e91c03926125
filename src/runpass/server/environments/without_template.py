"""An environment that brings its own template: env0's body, in which both are merged into one flat object."""

from runpass.server.environments.requests import Deploy, EnvironmentFields
from runpass.server.templates.making import Draft
from runpass.server.templates.requests import TemplateBody

_NAME = "single-use-template-for-"
_LONGEST = 255


class CreateWithoutTemplate(TemplateBody, EnvironmentFields):
    """Request: a new environment with a template of its own. `name` is the environment's, `type` the template's."""

    deploy_request: Deploy = Deploy()

    def own_draft(self) -> Draft:
        """Give the template that is made for it. Raises `InvalidInput` as every template does."""
        draft = self.draft()
        return Draft(f"{_NAME}{self.name}"[:_LONGEST], draft.description, draft.type, draft.source)
