"""The route that deletes a project. It lives here because it cancels what is queued in the project."""

from uuid import UUID

from fastapi import APIRouter

from runpass.server.deployments.dependencies import AtDesk
from runpass.server.environments.project_end import end_project
from runpass.server.http.preconditions import IfMatch

router = APIRouter(prefix="/projects", tags=["Projects"])


@router.delete("/{project_id}", status_code=204)
def delete(project_id: UUID, desk: AtDesk, if_match: IfMatch = None) -> None:
    """Delete a project that has no sub-projects and no credentials of its own.

    Its environments are archived, and deployments that no runner has taken are cancelled; others run to their end.
    """
    end_project(desk.database, desk.caller, project_id, if_match=if_match, now=desk.clock.now())
