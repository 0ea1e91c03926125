"""What people type into the forms of their own doors."""

from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, Field, ValidationError

from runpass.errors import InvalidInput
from runpass.protocol.wire import invalid_input
from runpass.secret import Secret
from runpass.server.access.passwords import LEAST_LENGTH, problem_with
from runpass.server.access.people import LONGEST_NAME
from runpass.server.http.wire import ApiModel
from runpass.server.web.fields import values_of

_M = TypeVar("_M", bound=BaseModel)
SignInName = Annotated[
    str,
    Field(
        title="Name",
        description="An e-mail address, or any name without spaces. Capitals make no difference.",
        examples=["you@example.com"],
        min_length=1,
        max_length=LONGEST_NAME,
    ),
]
NewPassword = Annotated[
    Secret,
    Field(
        title="New password",
        description=f"At least {LEAST_LENGTH} characters; a few words are better than a few signs. Spaces count.",
    ),
]


class Joining(ApiModel):
    """An invitation, and the password that takes its place."""

    sign_in_name: SignInName
    code: Annotated[
        Secret, Field(title="Invitation code", description="From your admin. Good for one use, within three days.")
    ]
    new_password: NewPassword


class ChangingPassword(ApiModel):
    """A password, and the one that takes its place."""

    current_password: Annotated[Secret, Field(title="Current password", description="The one you signed in with.")]
    new_password: NewPassword


def parsed(model: type[_M], posted: Mapping[str, str]) -> _M:
    """Give what a form sent. Raises `InvalidInput` that names every bad field."""
    try:
        return model.model_validate(values_of(model, posted))
    except ValidationError as error:
        raise invalid_input(error) from None


def check_password(password: Secret, *names: str) -> None:
    """Raise `InvalidInput` for a password that is not taken from somebody of these names."""
    problem = problem_with(password, *names)
    if problem:
        raise InvalidInput.of("newPassword", problem)
