#!/bin/sh
# Lets the runs of one credential log in to a Vault or OpenBao, and nobody else: what `runpass vault setup` does, by hand.
# For an empty Vault: it stops at the first thing that is there already.
#
#   BAO_ADDR=https://vault.example.com:8200 BAO_TOKEN=… \
#   ISSUER=https://runpass.example.com/ ORGANIZATION_ID=… CREDENTIAL_ID=… PROJECT_IDS="… …" sh narrow-role.sh
#
# For HashiCorp Vault: BAO=vault, with VAULT_ADDR and VAULT_TOKEN.
set -eu

ISSUER=${ISSUER:?the issuer URL, with its trailing slash}
ORGANIZATION_ID=${ORGANIZATION_ID:?the id of the organization: runpass organization show}
CREDENTIAL_ID=${CREDENTIAL_ID:?the id of the credential: runpass credential list}
PROJECT_IDS=${PROJECT_IDS:?the ids of the projects that it is assigned to, with spaces between them: runpass project list}
JWKS_URL=${JWKS_URL:-${ISSUER}.well-known/jwks.json}
AUDIENCE=${AUDIENCE:-${ISSUER%/}}
MOUNT=${MOUNT:-jwt}
ROLE=${ROLE:-deploy}
POLICY=${POLICY:-runpass-read}
KV_PATH=${KV_PATH:-secrets-for-runpass}
BAO=${BAO:-bao}

projects=
for id in $PROJECT_IDS; do
  projects="$projects${projects:+, }\"$id\""
done

# Whose tokens are accepted. The Vault fetches the keys from JWKS_URL now, and must reach it.
"$BAO" auth enable -path="$MOUNT" jwt
"$BAO" write "auth/$MOUNT/config" jwks_url="$JWKS_URL" bound_issuer="$ISSUER"

# Where the secrets are, and who may read them.
"$BAO" secrets enable -path="$KV_PATH" -version=2 kv
"$BAO" policy write "$POLICY" - <<END
path "$KV_PATH/data/*" {
  capabilities = ["read"]
}

path "$KV_PATH/metadata/*" {
  capabilities = ["list"]
}
END

# Which runs may log in: those whose project has the credential. The job's own token never carries credentialId.
"$BAO" write "auth/$MOUNT/role/$ROLE" - <<END
{
  "role_type": "jwt",
  "user_claim": "environmentId",
  "bound_audiences": ["$AUDIENCE"],
  "bound_claims": {
    "organizationId": "$ORGANIZATION_ID",
    "apiKeyType": "oidc",
    "credentialId": "$CREDENTIAL_ID",
    "projectId": [$projects]
  },
  "claim_mappings": {
    "organizationId": "organizationId",
    "projectId": "projectId",
    "environmentId": "environmentId",
    "deploymentLogId": "deploymentLogId",
    "deploymentType": "deploymentType"
  },
  "token_policies": ["$POLICY"],
  "token_type": "service",
  "token_ttl": "120s",
  "token_explicit_max_ttl": "1h"
}
END
