# The Vault's side of the guide, for HashiCorp's `vault` provider; it speaks to OpenBao as well. The ids come from
# ../env0. Apply it once by somebody who may set up the Vault; nothing of runpass ever holds that person's token.

terraform {
  required_providers {
    vault = {
      source = "hashicorp/vault"
    }
  }
}

provider "vault" {}

variable "issuer_url" {
  type        = string
  description = "The issuer of runpass, with its trailing slash: https://runpass.example.com/"
}

variable "audience" {
  type        = string
  description = "The shared audience of runpass; by default the issuer without its slash."
}

variable "organization_id" {
  type = string
}

variable "project_id" {
  type = string
}

variable "credential_id" {
  type = string
}

variable "name" {
  type    = string
  default = "payments"
}

resource "vault_mount" "secrets" {
  path = "secrets-for-${var.name}"
  type = "kv"
  options = {
    version = "2"
  }
}

resource "vault_policy" "read" {
  name   = "runpass-${var.name}"
  policy = <<-EOT
    path "secrets-for-${var.name}/data/*" {
      capabilities = ["read"]
    }
  EOT
}

resource "vault_jwt_auth_backend" "runpass" {
  path         = "runpass"
  type         = "jwt"
  jwks_url     = "${var.issuer_url}.well-known/jwks.json"
  bound_issuer = var.issuer_url
}

resource "vault_jwt_auth_backend_role" "deploy" {
  backend                = vault_jwt_auth_backend.runpass.path
  role_name              = var.name
  role_type              = "jwt"
  user_claim             = "environmentId"
  bound_audiences        = [var.audience]
  token_policies         = [vault_policy.read.name]
  token_ttl              = 120
  token_explicit_max_ttl = 3600
  bound_claims = {
    apiKeyType     = "oidc"
    organizationId = var.organization_id
    projectId      = var.project_id
    credentialId   = var.credential_id
  }
  claim_mappings = {
    deploymentLogId = "deploymentLogId"
  }
}
