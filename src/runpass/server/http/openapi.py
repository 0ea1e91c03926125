"""The description of the management API: what every route has in common is said here, once.

A route declares its success and whatever is its own (`responses={501: {}}`, an `If-Match` parameter, a body); the
answers that follow from that, their envelope and their headers are added to all of them.
"""

from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

from fastapi import FastAPI
from fastapi.routing import APIRoute

from runpass.protocol.wire import MOST_ERRORS
from runpass.server.http.errors import ENVELOPE_CODES

Json = dict[str, Any]
_METHODS: Final = ("get", "post", "put", "patch", "delete")

_ERRORS: Final[dict[str, tuple[str, str]]] = {
    "400": ("NotUnderstood", "The body is not JSON, or there is nothing left to destroy (`already_destroyed`)."),
    "401": ("Unauthenticated", "No API key, or a wrong one."),
    "403": ("Forbidden", "The roles of the API key do not allow it, for a thing that it may see."),
    "404": ("NotFound", "Absent, foreign, or invisible to the API key."),
    "409": ("Conflict", "The thing is not in a state that allows this, is in use, or was changed at the same moment."),
    "412": ("Changed", "The thing is not the one that `If-Match` names any more."),
    "413": ("BodyTooLarge", "The body is larger than the server reads."),
    "414": ("AddressTooLong", "Path and query together are longer than 8192 bytes."),
    "422": ("Invalid", "One or more fields are wrong; all of them are named, no value is repeated."),
    "429": ("TooManyRequests", "This address asks for more than its share, or guessed too often."),
    "431": ("HeadersTooLarge", "The headers together are larger than 32768 bytes."),
    "501": ("NotOffered", "env0 has this, runpass deliberately does not."),
    "503": ("Unavailable", "The database cannot be used right now."),
}
_ALWAYS: Final = ("401", "403", "414", "429", "431", "503")
_CHANGING: Final = ("409", "413")
_NAMING: Final = ("404", "422")

_HEADERS: Final[dict[str, Json]] = {
    "RequestId": {
        "description": "The id of this request, as the server's log has it. One that a client sends is not used.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
    },
    "EntityTag": {
        "description": "Changes with every change of the thing; for `If-Match`.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[0-9a-f]+"$'},
    },
    "Replayed": {
        "description": "`true` when this is the answer to an earlier request with the same `Idempotency-Key`.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "RetryAfter": {
        "description": "Whole seconds to wait.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[1-9][0-9]*$"},
    },
    "Challenge": {
        "description": "How to prove oneself (RFC 7617).",
        "required": True,
        "schema": {"type": "string"},
    },
}
_FIELD_ERROR: Final[Json] = {
    "type": "object",
    "description": "What is wrong with one field.",
    "required": ["field", "message"],
    "additionalProperties": False,
    "properties": {
        "field": {"type": "string", "description": "The dotted name of the field, such as `value.roleName`."},
        "message": {"type": "string", "description": "What is wrong with it, without its value."},
    },
}
_ERROR: Final[Json] = {
    "type": "object",
    "description": "The one envelope of every error. It never repeats what was sent.",
    "required": ["message", "code", "errors", "requestId"],
    "additionalProperties": False,
    "properties": {
        "message": {"type": "string", "description": "What is wrong, for people."},
        "code": {"type": "string", "enum": sorted(ENVELOPE_CODES), "description": "The same, for programs."},
        "errors": {
            "type": "array",
            "maxItems": MOST_ERRORS,
            "items": {"$ref": "#/components/schemas/FieldError"},
            "description": "All wrong fields, the first 20 of them.",
        },
        "requestId": {"type": "string", "description": "The same as the header `X-Request-Id`."},
        "hint": {"type": "string", "description": "The next step, where one is known."},
    },
}


class ManagementApi(FastAPI):
    """FastAPI with our description of what it answers."""

    def openapi(self) -> Json:
        """Give the OpenAPI document."""
        return described(deepcopy(super().openapi()))


def described(document: Json) -> Json:
    """Complete FastAPI's document: every answer of every operation, in our envelope."""
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas |= {"Error": _ERROR, "FieldError": _FIELD_ERROR}
    components["headers"] = _HEADERS
    components["responses"] = {name: _refusal(status, about) for status, (name, about) in _ERRORS.items()}
    for item in document["paths"].values():
        tagged = any(takes_header(item[method], "If-Match") for method in _METHODS if method in item)
        for method in _METHODS:
            if method in item:
                changes = method != "get"
                _complete(item[method], changes=changes, tagged=tagged and _answers_one_thing(item[method]))
    return document


def operation_id(route: APIRoute) -> str:
    """Give an operation's id: the handler's name and what its path names, `listProjects`, `cancelDeployment`."""
    words = route.name.removesuffix("_all").split("_")
    nouns = [word for noun in _nouns(route.path) for word in noun.replace("-", "_").split("_")]
    known = {word.removesuffix("s") for word in words}
    words += [noun for noun in nouns if noun.removesuffix("s") not in known]
    if words[0] == "create":
        words[-1] = words[-1].removesuffix("s")
    return words[0] + "".join(word.capitalize() for word in words[1:])


def takes_header(operation: Json, name: str) -> bool:
    """Whether an operation has this header as a parameter."""
    found = operation.get("parameters", ())
    return any(item["in"] == "header" and item["name"].lower() == name.lower() for item in found)


def _answers_one_thing(operation: Json) -> bool:
    schema = next(iter(operation["responses"].values())).get("content", {}).get("application/json", {})
    return bool(schema) and schema["schema"].get("type") != "array"


def _nouns(path: str) -> Iterator[str]:
    """Give what a path names; a segment before an id is what the id is called: `/projects/{project_id}` → `project`."""
    segments = path.strip("/").split("/")
    for segment, following in zip(segments, [*segments[1:], ""], strict=True):
        if segment.startswith("{"):
            yield segment.strip("{}").removesuffix("_id")
        elif not following.startswith("{"):
            yield segment


def _complete(operation: Json, *, changes: bool, tagged: bool) -> None:
    answers = operation["responses"]
    for status, answer in answers.items():
        if status < "400":
            answer["headers"] = _success_headers(operation, tagged=tagged)
    refusals = {status for status in answers if status >= "400"} | set(_ALWAYS)
    refusals |= set(_CHANGING) if changes else set()
    refusals |= {"400"} if "requestBody" in operation else set()
    refusals |= set(_NAMING) if "requestBody" in operation or operation.get("parameters") else set()
    refusals |= {"412"} if takes_header(operation, "If-Match") else set()
    for status in sorted(refusals):
        answers[status] = {"$ref": f"#/components/responses/{_ERRORS[status][0]}"}


def _success_headers(operation: Json, *, tagged: bool) -> Json:
    names = {"X-Request-Id": "RequestId"}
    if tagged:
        names["ETag"] = "EntityTag"
    if takes_header(operation, "Idempotency-Key"):
        names["Idempotency-Replayed"] = "Replayed"
    return {name: {"$ref": f"#/components/headers/{component}"} for name, component in names.items()}


def _refusal(status: str, about: str) -> Json:
    names = {"X-Request-Id": "RequestId"}
    if status == "429":
        names["Retry-After"] = "RetryAfter"
    if status == "401":
        names["WWW-Authenticate"] = "Challenge"
    return {
        "description": about,
        "headers": {name: {"$ref": f"#/components/headers/{component}"} for name, component in names.items()},
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
    }
