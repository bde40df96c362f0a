# `tofu test`: what must hold of the plan, with a cloud that is made up. Makes nothing and needs no account.

mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-west-3a", "eu-west-3b", "eu-west-3c"] }
  }
  mock_data "aws_ec2_instance_type_offerings" {
    defaults = { instance_types = ["c5.xlarge", "c6i.xlarge"] }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_data "aws_ssm_parameter" {
    defaults = { insecure_value = "ami-0123456789abcdef0" }
  }
}

variables {
  image          = "./versions.tf"
  alarm_email    = "somebody@example.org"
  monthly_budget = 50
}

run "plan" {
  command = apply

  assert {
    condition     = alltrue([for of in [aws_instance.scheduler.metadata_options, aws_launch_template.executor.metadata_options] : of[0].http_tokens == "required" && of[0].http_put_response_hop_limit == 1])
    error_message = "Keys of a role are for whoever has a session's token, on the machine itself."
  }

  assert {
    condition     = aws_instance.scheduler.root_block_device[0].encrypted && alltrue([for device in aws_launch_template.executor.block_device_mappings : device.ebs[0].encrypted])
    error_message = "Disks are encrypted."
  }

  assert {
    condition     = aws_autoscaling_group.executors.min_size == 0 && aws_autoscaling_group.executors.max_size == 4
    error_message = "There may be none, and there is a limit."
  }

  assert {
    condition     = aws_autoscaling_group.executors.mixed_instances_policy[0].instances_distribution[0].on_demand_percentage_above_base_capacity == 0
    error_message = "Executors are spot machines."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
      aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled",
      !aws_s3_bucket.this.force_destroy,
    ])
    error_message = "The bucket is private, keeps versions, and is not deleted with what is in it."
  }

  # Who may come in is said by these three rules alone, and each names a group and no address.
  assert {
    condition     = alltrue([for rule in [aws_vpc_security_group_ingress_rule.scheduler_from_executors, aws_vpc_security_group_ingress_rule.executor_from_scheduler, aws_vpc_security_group_ingress_rule.executor_from_executors] : rule.referenced_security_group_id != null && rule.from_port == rule.to_port && contains([50050, 50051], rule.from_port)])
    error_message = "Only the cluster talks to itself."
  }

  assert {
    condition     = aws_instance.scheduler.private_ip == "10.80.0.10" && strcontains(aws_instance.scheduler.user_data, "--host=ip-10-80-0-10.eu-west-3.compute.internal")
    error_message = "The scheduler's certificate is for the name that it has."
  }

  assert {
    condition     = strcontains(base64decode(aws_launch_template.executor.user_data), "POMONA_SCHEDULER=ip-10-80-0-10.eu-west-3.compute.internal:50050")
    error_message = "Executors know the scheduler by the name that its certificate is for."
  }

  # Amazon's limit.
  assert {
    condition     = length(base64encode(module.machines.scheduler)) < 16384 && length(base64encode(module.machines.executor)) < 16384
    error_message = "User data is too long."
  }

  assert {
    condition     = length(aws_budgets_budget.month.notification) == 3
    error_message = "The alarm comes at half, at all of it, and when a forecast goes beyond."
  }
}

run "first_american_region" {
  command = plan

  variables {
    region = "us-east-1"
  }

  assert {
    condition     = strcontains(module.machines.scheduler, "'--host=*.ec2.internal'")
    error_message = "Machines have other names there."
  }
}

run "data_goes_only_when_told" {
  command = plan

  variables {
    destroy_data = true
  }

  assert {
    condition     = aws_s3_bucket.this.force_destroy
    error_message = "destroy_data lets the bucket go."
  }
}

run "what_makes_no_sense" {
  command = plan

  variables {
    image                   = "./no-such-file"
    alarm_email             = "nobody"
    monthly_budget          = 0
    name                    = "Pomona!"
    region                  = "Paris"
    max_executors           = 0
    executor_instance_types = ["c7g.xlarge"]
    executor_workers        = 0
    drain_secs              = 110
    idle_minutes            = 0
    budget_currency         = "Euro"
  }

  expect_failures = [
    var.image,
    var.alarm_email,
    var.monthly_budget,
    var.name,
    var.region,
    var.max_executors,
    var.executor_instance_types,
    var.executor_workers,
    var.drain_secs,
    var.idle_minutes,
    var.budget_currency,
  ]
}

run "no_such_machines" {
  command = plan

  override_data {
    target = data.aws_ec2_instance_type_offerings.here
    values = { instance_types = [] }
  }

  expect_failures = [aws_autoscaling_group.executors]
}
