#!/bin/sh
# The Vault side as env0's guide has it: it works with runpass, and is weaker than narrow-role.sh. Every run of the
# organization may log in, with or without the credential, and all of them are one and the same user to the Vault.
# docs/how-to/connect-your-vault.md says why. For an empty Vault.
#
#   BAO_ADDR=https://vault.example.com:8200 BAO_TOKEN=… ISSUER=https://runpass.example.com/ ORGANIZATION_ID=… \
#   sh env0-minimal-role.sh
#
# For HashiCorp Vault: BAO=vault, with VAULT_ADDR and VAULT_TOKEN.
set -eu

ISSUER=${ISSUER:?the issuer URL, with its trailing slash}
ORGANIZATION_ID=${ORGANIZATION_ID:?the id of the organization: runpass organization show}
JWKS_URL=${JWKS_URL:-${ISSUER}.well-known/jwks.json}
AUDIENCE=${AUDIENCE:-${ISSUER%/}}
MOUNT=${MOUNT:-jwt}
ROLE=${ROLE:-deploy}
POLICY=${POLICY:-env0-access}
KV_PATH=${KV_PATH:-secrets-for-env0}
BAO=${BAO:-bao}

# 1. The JWT auth method: whose tokens are accepted.
"$BAO" auth enable -path="$MOUNT" jwt
"$BAO" write "auth/$MOUNT/config" jwks_url="$JWKS_URL" bound_issuer="$ISSUER"

# 2. The store (KV version 1) and the policy.
"$BAO" secrets enable -path="$KV_PATH" kv
"$BAO" policy write "$POLICY" - <<END
path "$KV_PATH/*" {
  capabilities = ["read", "create", "update"]
}
END

# 3. The role.
"$BAO" write "auth/$MOUNT/role/$ROLE" - <<END
{
  "role_type": "jwt",
  "user_claim": "sub",
  "bound_audiences": ["$AUDIENCE"],
  "bound_claims": {
    "organizationId": "$ORGANIZATION_ID",
    "apiKeyType": "oidc"
  },
  "token_policies": ["$POLICY"]
}
END
