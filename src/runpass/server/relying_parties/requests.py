"""Request bodies of relying parties. The console draws its form from them."""

from typing import Annotated
from uuid import UUID

from pydantic import Field, field_validator

from runpass.server.deployments.audiences import unfit
from runpass.server.http.wire import ApiModel, Name
from runpass.server.relying_parties.model import MOST_AUDIENCES
from runpass.server.tenancy.model import MAX_AUDIENCE

Audience = Annotated[str, Field(min_length=1, max_length=MAX_AUDIENCE, pattern=r"^[!-~]+$")]


class CreateRelyingParty(ApiModel):
    """Request: a new relying party."""

    name: Annotated[Name, Field(title="Name", description="The service that will ask.", examples=["sts"])]
    organization_id: UUID
    audiences: Annotated[
        tuple[Audience, ...],
        Field(
            title="Audiences",
            min_length=1,
            max_length=MOST_AUDIENCES,
            description="It is told of tokens with one of these audiences alone.",
            examples=["https://sts.example.com"],
        ),
    ]

    @field_validator("audiences")
    @classmethod
    def _fit(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        problem = next((found for found in map(unfit, value) if found), None)
        if problem:
            raise ValueError(problem)
        return tuple(dict.fromkeys(value))
