"""Request bodies of connection tests. The console draws its form from them."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from runpass.protocol.vault_tasks import MAX_PATH, MAX_PATHS
from runpass.server.http.wire import ApiModel, PoolName
from runpass.server.runners.model import DEFAULT_POOL

SecretPath = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PATH, pattern=r"^[^\x00-\x1f\x7f]+$")]


class TestConnection(ApiModel):
    """Request: which credential to test, as runs of which project, and what they should be able to read."""

    __test__ = False  # pytest: this is no test
    project_id: Annotated[
        UUID, Field(title="Project", description="The runner logs in as a run of this project would.")
    ]
    credential_id: UUID
    pool: Annotated[PoolName, Field(title="Pool", description="Runners that are asked.")] = DEFAULT_POOL
    paths: Annotated[
        list[SecretPath],
        Field(
            title="Secrets that runs read",
            description="Each as <path>.<key>, or a path alone. Whether they can be read is tried, no value is shown.",
            max_length=MAX_PATHS,
            default_factory=list,
        ),
    ]
