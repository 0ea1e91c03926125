import pytest

from runpass.protocol.variable_names import CONTROLS, is_control, is_reserved, is_well_formed, refusal, refused


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "LD_PRELOAD",
        "LD_LIBRARY_PATH",
        "DYLD_INSERT_LIBRARIES",
        "BASH_ENV",
        "ENV",
        "GIT_SSH_COMMAND",
        "VAULT_ADDR",
        "VAULT_TOKEN",
        "BAO_ADDR",
        "ENV0_PROJECT_ID",
        "ENV0_OIDC_TOKEN",
        "ACTIONS_ID_TOKEN_REQUEST_URL",
        "TF_CLI_ARGS",
        "TF_CLI_CONFIG_FILE",
        "TF_HTTP_ADDRESS",
        "HTTPS_PROXY",
        "https_proxy",
        "no_proxy",
        "SSL_CERT_FILE",
        "PYTHONPATH",
        "PIP_INDEX_URL",
        "PIP_CONFIG_FILE",
        "NODE_OPTIONS",
        "NODE_EXTRA_CA_CERTS",
        "BASH_FUNC_ls",
        "SHELLOPTS",
        "PS4",
        "GCONV_PATH",
        "GLIBC_TUNABLES",
        "MALLOC_CONF",
        "PERLLIB",
        "RUBYOPT",
        "JAVA_TOOL_OPTIONS",
        "JDK_JAVA_OPTIONS",
        "_JAVA_OPTIONS",
        "OPENSSL_CONF",
        "CURL_CA_BUNDLE",
        "XDG_CONFIG_HOME",
        "RUNPASS_URL",
        "PAGER",
        "TF_REATTACH_PROVIDERS",
        "PERL5OPT",
        "HOME",
        "TMPDIR",
        "USER",
        "SHELL",
        "IFS",
    ],
)
def test_a_name_of_the_machinery_is_reserved(name):
    assert is_reserved(name)
    assert name in (refusal([name]) or "")


@pytest.mark.parametrize(
    "name",
    ["DB_PASSWORD", "TF_VAR_region", "AWS_REGION", "PATHS", "ENVIRONMENT", "lower_case", "DOCKER_HOST", "KUBECONFIG"],
)
def test_a_users_own_name_is_not_reserved(name):
    assert not is_reserved(name)
    assert is_well_formed(name)
    assert refusal([name]) is None


def test_the_controls_of_env0_may_be_set():
    assert {name for name in CONTROLS if is_control(name) and not is_reserved(name)} == CONTROLS
    assert refused(CONTROLS) == ()


@pytest.mark.parametrize("name", ["", "1ST", "A-B", "A B", "A=B", "Ä", "A\n", "A\0"])
def test_a_name_that_no_shell_takes_is_refused(name):
    assert refused([name]) == (name,)


def test_the_refusal_names_all_of_them_once_and_escapes_odd_ones():
    sentence = refusal(["PATH", "OK", "LD_PRELOAD", "PATH", "A\nB"])
    assert sentence is not None
    assert sentence.endswith("""'A\\nB', LD_PRELOAD, PATH.""")
