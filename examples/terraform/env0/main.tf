# The guide as code, first part, for env0's own Terraform provider: a project, its Vault OIDC credential, and the template
# that it may run. Then comes the Vault's side (../vault), then what is deployed (../environment).
#
#   export ENV0_API_ENDPOINT=https://runpass.example.com/api
#   export ENV0_API_KEY=rpk_...  ENV0_API_SECRET=rps_...
#   terraform apply

terraform {
  required_providers {
    env0 = {
      source = "env0/env0"
    }
  }
}

provider "env0" {}

variable "vault_address" {
  type        = string
  description = "Where the runners reach your Vault or OpenBao, with its port."
}

variable "vault_namespace" {
  type        = string
  description = "The namespace of the auth method and the secrets; empty means the root namespace."
  default     = ""
}

variable "repository" {
  type        = string
  description = "The git repository with the Terraform code to deploy."
}

variable "name" {
  type    = string
  default = "payments"
}

resource "env0_organization_policy" "policy" {
  enable_oidc = true
}

resource "env0_project" "platform" {
  name        = "${var.name}-platform"
  description = "Everything that the platform team runs"
}

resource "env0_project" "project" {
  name              = var.name
  description       = "The payments service"
  parent_project_id = env0_project.platform.id
}

resource "env0_vault_oidc_credentials" "vault" {
  name                  = "${var.name}-vault"
  address               = var.vault_address
  version               = "1.18.0"
  role_name             = var.name
  jwt_auth_backend_path = "runpass"
  namespace             = var.vault_namespace
}

resource "env0_cloud_credentials_project_assignment" "vault" {
  credential_id = env0_vault_oidc_credentials.vault.id
  project_id    = env0_project.project.id
}

resource "env0_template" "service" {
  name                                    = "${var.name}-service"
  description                             = "Deploys the service"
  type                                    = "terraform"
  repository                              = var.repository
  revision                                = "main"
  path                                    = "service"
  terraform_version                       = "latest"
  retries_on_deploy                       = 1
  retry_on_deploy_only_when_matches_regex = "connection (reset|refused)"
}

resource "env0_template_project_assignment" "service" {
  template_id = env0_template.service.id
  project_id  = env0_project.project.id
}

resource "env0_configuration_variable" "region" {
  name        = "REGION"
  value       = "eu-central-1"
  project_id  = env0_project.project.id
  description = "Where everything of this project runs"
}

resource "env0_configuration_variable" "size" {
  name        = "size"
  type        = "terraform"
  value       = "small"
  enum        = ["small", "large"]
  template_id = env0_template.service.id
}

resource "env0_api_key" "ci" {
  name                = "${var.name}-ci"
  organization_role   = "User"
  omit_api_key_secret = true
}

output "organization_id" {
  value = env0_organization_policy.policy.id
}

output "project_id" {
  value = env0_project.project.id
}

output "credential_id" {
  value = env0_vault_oidc_credentials.vault.id
}

output "template_id" {
  value = env0_template.service.id
}
