"""Which names a user's variable may have: asked by the server when one is saved, and by the runner before a run.

SECURITY: most of these names change which program runs, what it loads, where it connects, whom it trusts, or who it
says it is (`LD_PRELOAD`, `BASH_ENV`, `GIT_SSH_COMMAND`, `HTTPS_PROXY`, `VAULT_ADDR`); a user who may only set variables
must not gain any of that. It is a list of what is denied, so a program that reads other names is not covered by it.
`DOCKER_HOST` and `KUBECONFIG` are left out on purpose: they say what a deployment is about.
"""

import re
from collections.abc import Iterable
from typing import Final

RESERVED_NAMES: Final = frozenset(
    {
        # the shell and where things are
        *("PATH", "ENV", "HOME", "TMPDIR", "USER", "SHELL", "IFS"),
        *("SHELLOPTS", "BASHOPTS", "PS4", "PROMPT_COMMAND"),
        # what is run along the way
        *("LESSOPEN", "LESSCLOSE", "PAGER", "EDITOR", "VISUAL"),
        # the C library: what it loads, whom it asks for addresses
        *("GCONV_PATH", "HOSTALIASES", "RES_OPTIONS", "LOCALDOMAIN"),
        # whom to trust, and who may read along
        *("REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE", "SSLKEYLOGFILE", "WGETRC"),
        # Terraform: its configuration, its plugins, a file that it writes
        *("TERRAFORM_CONFIG", "TF_REATTACH_PROVIDERS", "TF_LOG_PATH"),
    }
)
RESERVED_PREFIXES: Final = (
    "LD_",
    "DYLD_",
    "GLIBC_",
    "MALLOC_",
    "BASH_",
    "GIT_",
    "VAULT_",
    "BAO_",
    "ENV0_",
    "RUNPASS_",
    "ACTIONS_ID_TOKEN_",
    "TF_CLI_",
    "TF_HTTP_",
    "SSL_CERT_",
    "OPENSSL_",
    "CURL_",
    "XDG_",
    "PYTHON",
    "PIP_",
    "PERL",
    "RUBY",
    "NODE_",
    "JAVA_TOOL_",
    "JDK_JAVA_",
    "_JAVA_",
)
RESERVED_SUFFIX: Final = "_PROXY"
"""In any case: curl and Go read `https_proxy` as well as `HTTPS_PROXY`."""

CONTROLS: Final = frozenset(
    {
        "ENV0_OIDC_TAG",
        "ENV0_TERRAFORM_CONFIG_FILE_PATH",
        "ENV0_TERRAFORM_BACKEND_CONFIG",
        "ENV0_TERRAFORM_TARGET",
        "ENV0_TF_VERSION",
        "ENV0_SKIP_WORKSPACE",
        "ENV0_GIT_CLONE_ARGS",
        "ENV0_SKIP_SUBMODULE_GIT_CLONE",
        "ENV0_IGNORE_STATE",
        "ENV0_INSTALLED_TOOLS",
    }
)
"""What a user may set to steer a run. They are read by runpass and not handed to the commands."""

_SHAPE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def is_well_formed(name: str) -> bool:
    """Whether every shell takes this as a variable's name: ASCII letters, digits and underscores."""
    return _SHAPE.match(name) is not None


def is_control(name: str) -> bool:
    """Whether the variable steers the run instead of being handed to its commands."""
    return name in CONTROLS


def is_reserved(name: str) -> bool:
    """Whether the name belongs to runpass or to the machinery below the commands."""
    if name in CONTROLS:
        return False
    return name in RESERVED_NAMES or name.startswith(RESERVED_PREFIXES) or name.upper().endswith(RESERVED_SUFFIX)


def refused(names: Iterable[str]) -> tuple[str, ...]:
    """Give the names that a user's variables may not have, sorted, each once."""
    return tuple(sorted({name for name in names if is_reserved(name) or not is_well_formed(name)}))


def refusal(names: Iterable[str]) -> str | None:
    """Give the sentence that refuses these names, or nothing if all are fine."""
    found = refused(names)
    if not found:
        return None
    shown = ", ".join(name if is_well_formed(name) else ascii(name) for name in found)
    return f"These variable names are reserved or not well formed, so the run was not started: {shown}."
