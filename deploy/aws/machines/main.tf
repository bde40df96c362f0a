# What machines do when they start. Nothing here needs a cloud: texts in, texts out.

variable "region" { type = string }
variable "bucket" { type = string }
variable "image_key" { type = string }
variable "image_name" { type = string }
variable "domain" { type = string }
variable "scheduler_host" { type = string }
variable "scheduler_port" { type = number }
variable "results_port" { type = number }
variable "identity_parameter" { type = string }
variable "autoscaling_group_name" { type = string }
variable "max_executors" { type = number }
variable "executor_workers" { type = number }
variable "drain_secs" { type = number }
variable "idle_minutes" { type = number }

locals {
  all = {
    region                 = var.region
    bucket                 = var.bucket
    image_key              = var.image_key
    image_name             = var.image_name
    domain                 = var.domain
    scheduler_host         = var.scheduler_host
    scheduler_port         = var.scheduler_port
    results_port           = var.results_port
    identity_parameter     = var.identity_parameter
    autoscaling_group_name = var.autoscaling_group_name
    max_executors          = var.max_executors
    executor_workers       = var.executor_workers
    drain_secs             = var.drain_secs
    idle_minutes           = var.idle_minutes
  }
  # How the program is confined, on both kinds of machines.
  confined = "--network host --read-only --user 65532:65532 --cap-drop ALL --security-opt no-new-privileges --log-driver journald"
  prepare  = templatefile("${path.module}/prepare.sh.tftpl", local.all)
}

output "scheduler" {
  value = templatefile("${path.module}/scheduler.sh.tftpl", merge(local.all, {
    prepare  = local.prepare
    confined = local.confined
  }))
}

output "executor" {
  value = templatefile("${path.module}/executor.sh.tftpl", merge(local.all, {
    prepare  = local.prepare
    confined = local.confined
  }))
}
