"""Prometheus metrics of the server. Labels are routes, methods and kinds, never ids or names of tenants."""

from prometheus_client import Counter, Gauge, Histogram

REQUEST_SECONDS = Histogram(
    "runpass_request_seconds",
    "Time from a request's first byte to the end of its answer.",
    ("method", "route", "status"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30),
)
TOKENS_MINTED = Counter("runpass_identity_tokens_minted_total", "Workload identity tokens signed.", ("purpose",))
DEPLOYMENTS_FINISHED = Counter("runpass_deployments_finished_total", "Deployments that ended.", ("type", "status"))
SECRETS_MASKED = Counter("runpass_secrets_masked_total", "Secrets that turned up in output, once for each step.")
RUNNERS_LOST = Counter("runpass_run_leases_lost_total", "Run leases that expired without a last word.")
VAULT_TOKENS_SWEPT = Counter(
    "runpass_vault_tokens_swept_total",
    "Vault tokens of ended runs that a runner was sent to revoke. not-ours and not-verifiable are alarms.",
    ("result",),
)
VAULT_LOGINS_OUTSTANDING = Gauge(
    "runpass_vault_logins_outstanding",
    "Logins of ended runs that gave a token which may still live (known), or of which nobody knows that (unknown).",
    ("what",),
)
SIGNING_KEY_AGE = Gauge("runpass_signing_key_age_seconds", "How long the shared issuer's active key has signed.")
NEXT_ROTATION = Gauge(
    "runpass_signing_key_next_rotation_timestamp_seconds", "When the next key begins to sign; 0 without a schedule."
)
KEY_RING_AGE = Gauge("runpass_key_ring_age_seconds", "How long ago this process compared its keys with the database.")
SIGNING_KEYS = Gauge("runpass_signing_keys", "Signing keys of the shared issuer; withheld ones are unfit.", ("state",))
