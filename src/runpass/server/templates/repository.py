"""Where code may be: which repositories, revisions and paths are taken. Pure.

SECURITY: all three end up as arguments of git on a runner. Nothing that git could read as an option, as a program to
run (`ext::`), as a local refspec or as a way out of the workspace is taken, and no secret in a URL: it would be shown
to everybody who may read the template.
"""

import re
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator

from runpass.server.http.wire import ShortText

SCHEMES: Final = ("https", "ssh", "git", "file")
_SCP_LIKE = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!//)[^\s\\:@]+")
_IN_NO_REVISION = frozenset(" ~^:?*[\\{")
_WRONG_REPOSITORY = "must be a URL (https://, ssh://, git://, file://) or user@host:path"


def repository_refusal(repository: str) -> str | None:
    """Say why this cannot be cloned, or nothing if it can: empty, a URL, or scp-like."""
    if any(c.isspace() or c == "\\" or not c.isprintable() for c in repository):
        return _WRONG_REPOSITORY
    if not repository or _SCP_LIKE.fullmatch(repository):
        return None
    try:
        url = urlsplit(repository)
        _ = url.port
    except ValueError:
        return _WRONG_REPOSITORY
    if url.scheme not in SCHEMES or not repository.lower().startswith(f"{url.scheme}://"):
        return _WRONG_REPOSITORY
    return _secret_refusal(url) or _address_refusal(url)


def _secret_refusal(url: SplitResult) -> str | None:
    if url.password is not None or (url.username is not None and url.scheme != "ssh"):
        return "must carry no user and no password: everybody who sees the template would see them"
    if url.query or url.fragment:
        return "must have no query and no fragment"
    return None


def _address_refusal(url: SplitResult) -> str | None:
    if (url.hostname or "").startswith("-") or (url.username or "").startswith("-"):
        return _WRONG_REPOSITORY
    if url.scheme != "file" and not url.hostname:
        return "names no host"
    return None if len(url.path) > 1 else "names no repository on that host"


def revision_refusal(revision: str) -> str | None:
    """Say why this cannot be a branch, a tag or a commit, or nothing if it can; empty is the default branch."""
    if revision.startswith(("-", "+", "/", ".")) or ".." in revision or revision.endswith(("/", ".lock")):
        return "must name a branch, a tag or a commit"
    if any(c in _IN_NO_REVISION or not c.isprintable() for c in revision):
        return "must name a branch, a tag or a commit"
    return None


def _repository(value: str) -> str:
    return _passed(value, repository_refusal(value))


def _revision(value: str) -> str:
    return _passed(value, revision_refusal(value))


def _code_path(value: str) -> str:
    stripped = value.lstrip("/")
    return _passed(stripped, "must not leave the repository" if ".." in re.split(r"[/\\]", stripped) else None)


def _passed(value: str, refusal: str | None) -> str:
    if refusal is not None:
        raise ValueError(refusal)
    return value


Repository = Annotated[ShortText, AfterValidator(_repository)]
Revision = Annotated[ShortText, AfterValidator(_revision)]
CodePath = Annotated[ShortText, AfterValidator(_code_path)]
"""A folder in the repository, without the leading slash that env0's clients send."""
