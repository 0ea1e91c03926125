# The guide as code, third part: an environment of the project in ../env0 that gets its secret from the Vault of ../vault.

terraform {
  required_providers {
    env0 = {
      source = "env0/env0"
    }
  }
}

provider "env0" {}

variable "project_id" {
  type = string
}

variable "template_id" {
  type = string
}

variable "name" {
  type    = string
  default = "payments"
}

resource "env0_environment" "staging" {
  name                       = "${var.name}-staging"
  project_id                 = var.project_id
  template_id                = var.template_id
  workspace                  = "${var.name}-staging"
  approve_plan_automatically = true
  force_destroy              = true
  wait_for_destroy           = true

  configuration {
    name         = "DB_PASSWORD"
    value        = "$${vault:secrets-for-${var.name}/app.password}"
    is_sensitive = true
  }

  configuration {
    name  = "name"
    value = "staging"
    type  = "terraform"
  }
}
