"""The forms of environments: flat, where the API's requests have parts. Whatever they send is read by those requests.

The classes here only draw; the limits and sentences are those of `requests`, which parses what becomes of a form.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from runpass.errors import InvalidInput
from runpass.protocol.wire import R, decode
from runpass.server.environments.lifespans import Ttl
from runpass.server.environments.requests import ChangeEnvironment, CreateEnvironment, Deploy, Destroy
from runpass.server.http.wire import ApiModel, Flag, LongText, Name, ShortText
from runpass.server.templates.model import Template
from runpass.server.web.fields import Choice, FieldKind, FormField, fields_of, values_of

Fields = Mapping[str, str]

_NAME_HELP: Final = "What people call it."
_REVISION_HELP: Final = "A branch, tag or commit. Empty: what the template says."
_VARIABLES_HELP: Final = (
    "One on each line, as NAME=value. They become environment variables of this environment, and stay."
    " Nothing secret: these are shown."
)
_VALUE_HELP: Final = "Hours: a whole number. Date: such as 2027-01-31T18:00, in UTC unless it names an offset."
_APPROVAL_HELP: Final = "Nothing changes before somebody has approved the plan."

_Revision = Annotated[ShortText | None, Field(title="Revision", description=_REVISION_HELP, examples=["main"])]
_Variables = Annotated[
    LongText | None, Field(title="Variables", description=_VARIABLES_HELP, examples=["REGION=eu-central-1"])
]
_TtlType = Annotated[
    Literal["", "HOURS", "DATE", "INFINITE"],
    Field(title="Lives", description="When it is up, the server queues the destruction by itself."),
]
_TtlValue = Annotated[ShortText | None, Field(title="Hours, or date", description=_VALUE_HELP, examples=["72"])]
_Comment = Annotated[ShortText | None, Field(title="Comment", description="Why; it is shown with the deployment.")]
_Pool = Annotated[
    ShortText | None,
    Field(title="Runner pool", description="Empty: the pool default.", examples=["default"]),
]
_LIVES: Final = (
    Choice("", "as long as the policy says"),
    Choice("HOURS", "for hours"),
    Choice("DATE", "until a date"),
    Choice("INFINITE", "for ever"),
)


class NewForm(ApiModel):
    """What is asked for a new environment."""

    name: Annotated[Name, Field(title="Name", description=_NAME_HELP, examples=["production"])]
    blueprint_id: Annotated[ShortText, Field(title="Template", description="What its deployments run.")]
    blueprint_revision: _Revision = None
    configuration_changes: _Variables = None
    requires_approval: Annotated[Flag | None, Field(title="Needs approval", description=_APPROVAL_HELP)] = None
    ttl_type: _TtlType = ""
    ttl_value: _TtlValue = None
    prevent_auto_deploy: Annotated[
        Flag | None, Field(title="Do not deploy it now", description="It is made, and nothing is queued.")
    ] = None


class DeployForm(ApiModel):
    """What is asked for a deployment. Whoever may only plan sees `_PLANNERS` of it."""

    comment: _Comment = None
    blueprint_id: Annotated[
        ShortText | None, Field(title="Template", description="Another one stays the environment's own.")
    ] = None
    blueprint_revision: _Revision = None
    targets: Annotated[
        ShortText | None,
        Field(
            title="Targets",
            description="Resources to limit it to, with commas between them. Empty: all.",
            examples=["module.network,aws_instance.web"],
        ),
    ] = None
    configuration_changes: _Variables = None
    user_requires_approval: Annotated[
        Flag | None, Field(title="Ask for approval", description="The plan waits, even where nothing else asks for it.")
    ] = None
    runner_pool: _Pool = None


class DestroyForm(ApiModel):
    """What is asked for a destruction."""

    comment: _Comment = None
    user_requires_approval: Annotated[
        Flag | None, Field(title="Ask for approval", description="The plan of the destruction waits.")
    ] = None
    runner_pool: _Pool = None


class SettingsForm(ApiModel):
    """What is decided about an environment, beside its lifespan."""

    name: Annotated[Name, Field(title="Name", description=_NAME_HELP)]
    requires_approval: Annotated[Flag | None, Field(title="Needs approval", description=_APPROVAL_HELP)] = None


class LifespanForm(ApiModel):
    """When an environment ends."""

    ttl_type: Annotated[
        Literal["HOURS", "DATE", "INFINITE"],
        Field(title="Lives", description="From now on. When it is up, the server queues the destruction by itself."),
    ] = "HOURS"
    ttl_value: _TtlValue = None


_PLANNERS: Final = frozenset({"comment", "userRequiresApproval", "runnerPool"})
"""Fields of a deployment that depart from nothing that the environment says."""


def new_request(project_id: UUID, posted: Fields) -> CreateEnvironment:
    """Give the request that a form for a new environment stands for. Raises `InvalidInput`."""
    given = _given(NewForm, posted)
    deploys = {key: given.pop(key) for key in ("blueprintId", "blueprintRevision") if key in given}
    return _read(CreateEnvironment, {**given, **_ttl(posted), "projectId": str(project_id), "deployRequest": deploys})


def deploy_request(posted: Fields) -> Deploy:
    """Give the request that a form for a deployment stands for. Raises `InvalidInput`."""
    return _read(Deploy, _given(DeployForm, posted))


def destroy_request(posted: Fields) -> Destroy:
    """Give the request that a form for a destruction stands for. Raises `InvalidInput`."""
    return _read(Destroy, _given(DestroyForm, posted))


def settings_request(posted: Fields) -> ChangeEnvironment:
    """Give the request that the form of settings stands for. An empty name is one that is wrong."""
    return _read(ChangeEnvironment, {"name": "", **_given(SettingsForm, posted)})


def lifespan_request(posted: Fields) -> Ttl:
    """Give the request that the form of a lifespan stands for. Raises `InvalidInput`."""
    return _read(Ttl, _ttl(posted).get("ttl", {}))


def drawn(
    form: type[BaseModel], values: Mapping[str, Any], errors: Mapping[str, str], templates: Sequence[Template] = ()
) -> list[FormField]:
    """Give the fields of a form, with the templates to choose from and words for what the API abbreviates."""
    return [_worded(one, templates) for one in fields_of(form, values, errors)]


def for_planner(fields: Sequence[FormField]) -> list[FormField]:
    """Give the fields of a deployment that whoever may only plan can fill in."""
    return [one for one in fields if one.name in _PLANNERS]


def form_errors(error: InvalidInput) -> dict[str, str]:
    """Give what is wrong by the form's fields."""
    found: dict[str, str] = {}
    for item in error.errors:
        name, said = _field_of(item.field, item.message)
        found.setdefault(name, said)
    return found


def _field_of(field: str, message: str) -> tuple[str, str]:
    head, _, rest = field.removeprefix("deployRequest.").partition(".")
    if head == "configurationChanges" and rest:
        number, _, part = rest.partition(".")
        return head, f"variable {int(number) + 1}: {part} {message}" if number.isdigit() else message
    if head in {"ttl", "value", "type", "body"}:
        return "ttlType" if (rest or head) == "type" else "ttlValue", message
    return head, message


def _worded(one: FormField, templates: Sequence[Template]) -> FormField:
    if one.name == "ttlType":
        offered = {choice.value for choice in one.choices}
        return replace(one, choices=tuple(each for each in _LIVES if each.value in offered), is_required=True)
    if one.name == "blueprintId":
        found = tuple(Choice(str(template.id), template.name) for template in templates)
        first = () if one.is_required else (Choice("", "the environment's own"),)
        return replace(one, kind=FieldKind.CHOICE, choices=first + found, is_required=True)
    return one


def _given(form: type[BaseModel], posted: Fields) -> dict[str, Any]:
    """Give what a form sent by the API's names, without the lifespan, and the variables as the API has them."""
    given = values_of(form, posted)
    variables = _changes(str(given.pop("configurationChanges", "")))
    kept = {key: value for key, value in given.items() if not key.startswith("ttl")}
    return {**kept, "configurationChanges": variables} if variables else kept


def _ttl(posted: Fields) -> dict[str, Any]:
    given = values_of(LifespanForm, posted)
    if not given.get("ttlType"):
        return {}
    value = {} if given["ttlType"] == "INFINITE" else {"value": given.get("ttlValue", "")}
    return {"ttl": {"type": given["ttlType"], **value}}


def _changes(text: str) -> list[dict[str, str]]:
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        name, equals, value = line.partition("=")
        if line.strip() and not equals:
            raise InvalidInput.of("configurationChanges", f"line {number} must be NAME=value")
        if line.strip():
            found.append({"name": name.strip(), "value": value})
    return found


def _read(kind: type[R], body: Mapping[str, Any]) -> R:
    return decode(kind, json.dumps(body).encode())
