"""The management API from outside: one small HTTP client, answers as JSON objects, errors in our words.

What the command line and the programs of `local` call. It checks shapes as far as it needs to and knows no rule.
"""

import re
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx2

from runpass.errors import (
    AlreadyDestroyed,
    ConfigurationError,
    Conflict,
    ControlPlaneError,
    FieldError,
    Forbidden,
    InvalidInput,
    NotFound,
    NotOffered,
    PayloadTooLarge,
    PreconditionFailed,
    RunpassError,
    StaleLease,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)
from runpass.secret import Secret

Answer = dict[str, Any]
"""A JSON object with env0's field names."""

_KINDS: Final[Mapping[str, type[RunpassError]]] = {
    kind.code: kind
    for kind in (
        Unauthenticated,
        Forbidden,
        NotFound,
        Conflict,
        StaleLease,
        AlreadyDestroyed,
        PreconditionFailed,
        PayloadTooLarge,
        NotOffered,
        Unavailable,
    )
}
_MAX_MESSAGE: Final = 4_000
_SERVER_ERROR: Final = 500
_SECONDS: Final = re.compile("[0-9]{1,9}")
_LONGEST_RETRY: Final = 3600
"""Seconds: the longest window that a server counts requests in."""


FINAL: Final = frozenset(
    {"SUCCESS", "FAILURE", "TIMEOUT", "CANCELLED", "INTERNAL_FAILURE", "ABORTED", "SKIPPED", "NEVER_DEPLOYED"}
)
"""The states that a deployment does not leave."""
WAITING_FOR_USER: Final = "WAITING_FOR_USER"
"""The state of a deployment whose plan waits for an approval."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where a server is and who calls; without `organization_id` the server is asked for the key's own."""

    url: str
    api_key_id: str
    api_key_secret: Secret
    organization_id: str | None = None
    ca_bundle: Path | None = None
    timeout_seconds: float = 30.0


class ApiClient:
    """An API key's view of a server. Every call raises the error that the server's answer means."""

    def __init__(self, to: Connection) -> None:
        self._organization_id = to.organization_id
        self._url = to.url
        self._http = httpx2.Client(
            base_url=to.url,
            auth=httpx2.BasicAuth(to.api_key_id, to.api_key_secret.reveal()),
            verify=_tls(to.url, to.ca_bundle),
            trust_env=False,
            follow_redirects=False,
            timeout=to.timeout_seconds,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def organization_id(self) -> str:
        """The organization that commands are about; asked for once when no setting names it."""
        if self._organization_id is None:
            self._organization_id = str(self.organization()["id"])
        return self._organization_id

    def organization(self) -> Answer:
        """Give the organization that the API key belongs to."""
        found = self.many("/organizations")
        if self._organization_id is not None:
            found = [item for item in found if item.get("id") == self._organization_id]
        if not found:
            raise NotFound("there is no such organization for this API key")
        return found[0]

    def one(self, method: str, *path: str, body: Mapping[str, Any] | None = None, **query: object) -> Answer:
        """Send a request that is answered with one object. `path` is a route, then segments that are quoted."""
        return _object(self._ask(method, path, body, query))

    def many(self, *path: str, **query: object) -> list[Answer]:
        """Get a list of objects."""
        return _objects(self._ask("GET", path, None, query))

    def post_all(self, path: str, items: Sequence[Answer]) -> list[Answer]:
        """Send objects to a door that takes and gives lists."""
        return _objects(self._ask("POST", (path,), items, {}))

    def of_organization(self, *path: str, **query: object) -> list[Answer]:
        """Give a list that belongs to the organization."""
        return self.many(*path, organizationId=self.organization_id, **query)

    def delete(self, *path: str) -> None:
        """Delete what is there."""
        self._ask("DELETE", path, None, {})

    def call(self, method: str, path: str, body: Mapping[str, Any] | Sequence[Any] | None = None) -> Any:
        """Give the JSON of any answer; `path` stands below `/api` and is sent as it is."""
        answer = self._send(method, f"/api{path}", body, {})
        return _parsed(answer) if answer.content else None

    def _ask(self, method: str, path: Sequence[str], body: object, query: Mapping[str, object]) -> Any:
        head, *segments = path
        # A query never holds a secret: it would stand in logs.
        shown = {name: str(value) for name, value in query.items() if value is not None}
        answer = self._send(
            method, "/api" + "/".join([head, *(quote(item, safe="") for item in segments)]), body, shown
        )
        return _parsed(answer) if answer.content else None

    def _send(self, method: str, path: str, body: object, query: Mapping[str, str]) -> httpx2.Response:
        try:
            answer = self._http.request(method, path, json=body, params=dict(query))
        except httpx2.TimeoutException as error:
            raise ControlPlaneError("the server did not answer in time") from error
        except httpx2.RequestError as error:
            raise ControlPlaneError(
                f"the server cannot be reached at {self._url}",
                hint=_why(error) or "is it running, and RUNPASS_URL right?",
            ) from error
        if answer.is_success:
            return answer
        raise _error(answer)


def _tls(url: str, ca_bundle: Path | None) -> ssl.SSLContext | bool:
    if not url.startswith("https"):
        return False  # nothing to verify, and no need to load the system's authorities
    try:
        return ssl.create_default_context(cafile=None if ca_bundle is None else str(ca_bundle))
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"the CA bundle {ca_bundle} cannot be read as PEM certificates") from error


def _why(error: BaseException) -> str | None:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its certificate is not trusted here: set RUNPASS_CA_BUNDLE"
        if isinstance(cause, ssl.SSLError):
            return "the TLS handshake failed: is it https at all?"
        cause = cause.__cause__ or cause.__context__
    return None


def _parsed(answer: httpx2.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise _not_ours() from error


def _object(answer: object) -> Answer:
    if not isinstance(answer, dict):
        raise _not_ours()
    return answer


def _objects(answer: object) -> list[Answer]:
    if not isinstance(answer, list) or not all(isinstance(item, dict) for item in answer):
        raise _not_ours()
    return answer


def _not_ours() -> ControlPlaneError:
    return ControlPlaneError("the answer is not one of a runpass server", hint="is RUNPASS_URL right?")


def _error(answer: httpx2.Response) -> RunpassError:
    """Give the error that an answer means, with all its fields."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if not isinstance(body, dict) or "message" not in body or "code" not in body:
        if answer.status_code == httpx2.codes.TOO_MANY_REQUESTS:  # a proxy in front of the server has limits as well
            return _too_many("a proxy in front of the server was asked too often", answer)
        where = "is RUNPASS_URL right?"
        return ControlPlaneError(f"the server answered {answer.status_code}, and not as runpass does", hint=where)
    message, hint = str(body["message"])[:_MAX_MESSAGE], _hint(body.get("hint"))
    code = str(body["code"])
    kind = _KINDS.get(code)
    if kind is not None:
        return kind(message, hint=hint)
    if code == TooManyRequests.code:
        return _too_many(message, answer)
    if code == InvalidInput.code or answer.status_code in {400, 422}:
        return InvalidInput(message, _fields(body.get("errors")), hint=hint)
    request = body.get("requestId")
    trace = f"request id {request}" if request and answer.status_code >= _SERVER_ERROR else None
    return ControlPlaneError(f"the server answered {answer.status_code}: {message}", hint=hint or trace)


def _hint(said: object) -> str | None:
    return said[:_MAX_MESSAGE] if isinstance(said, str) else None


def _too_many(message: str, answer: httpx2.Response) -> TooManyRequests:
    seconds = _retry_after(answer)
    return TooManyRequests(message, retry_after_seconds=seconds, hint=f"try again in {seconds} s")


def _retry_after(answer: httpx2.Response) -> int:
    """Give the seconds of `Retry-After` (RFC 9110, section 10.2.3); one where it says none, or says a date."""
    text = answer.headers.get("retry-after", "")
    return min(max(1, int(text)), _LONGEST_RETRY) if _SECONDS.fullmatch(text) else 1


def _fields(errors: object) -> tuple[FieldError, ...]:
    found = [item for item in errors if isinstance(item, dict)] if isinstance(errors, list) else []
    return tuple(FieldError(str(item.get("field", "")), str(item.get("message", ""))) for item in found)
