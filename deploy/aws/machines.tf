# A system that has Session Manager's agent, Amazon's command line and systemd.
data "aws_ssm_parameter" "system" {
  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64"
}

module "machines" {
  source = "./machines"

  region                 = var.region
  bucket                 = aws_s3_bucket.this.id
  image_key              = aws_s3_object.image.key
  image_name             = var.image_name
  domain                 = local.domain
  scheduler_host         = local.scheduler_host
  scheduler_port         = local.scheduler_port
  results_port           = local.results_port
  identity_parameter     = aws_ssm_parameter.executor_identity.name
  autoscaling_group_name = local.autoscaling_group_name
  max_executors          = var.max_executors
  executor_workers       = var.executor_workers
  drain_secs             = var.drain_secs
  idle_minutes           = var.idle_minutes
}

# On demand: jobs are lost with it.
resource "aws_instance" "scheduler" {
  ami                         = data.aws_ssm_parameter.system.insecure_value
  instance_type               = var.scheduler_instance_type
  subnet_id                   = aws_subnet.public[local.zones[0]].id
  private_ip                  = local.scheduler_ip
  vpc_security_group_ids      = [aws_security_group.scheduler.id]
  iam_instance_profile        = aws_iam_instance_profile.this["scheduler"].name
  user_data                   = module.machines.scheduler
  user_data_replace_on_change = true

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    encrypted   = true
    volume_type = "gp3"
    volume_size = 30
  }

  tags = { Name = "${var.name}-scheduler" }

  lifecycle {
    # A newer system is no reason to lose jobs.
    ignore_changes = [ami]
  }

  depends_on = [
    # When everything is destroyed, whoever calls executors goes before them.
    aws_autoscaling_group.executors,
    aws_iam_role_policy.this,
    aws_route.out,
    aws_route_table_association.public,
    aws_vpc_endpoint.s3,
    aws_vpc_security_group_egress_rule.https,
  ]
}

data "aws_ec2_instance_type_offerings" "here" {
  filter {
    name   = "instance-type"
    values = var.executor_instance_types
  }
}

resource "aws_launch_template" "executor" {
  name_prefix            = "${var.name}-executor-"
  image_id               = data.aws_ssm_parameter.system.insecure_value
  update_default_version = true
  user_data              = base64encode(module.machines.executor)
  # systemd is told to stop, and stops the executor first.
  instance_initiated_shutdown_behavior = "terminate"

  iam_instance_profile {
    arn = aws_iam_instance_profile.this["executor"].arn
  }

  network_interfaces {
    associate_public_ip_address = true
    delete_on_termination       = true
    security_groups             = [aws_security_group.executor.id]
  }

  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      encrypted             = true
      delete_on_termination = true
      volume_type           = "gp3"
      volume_size           = var.executor_disk_gb
    }
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "volume", "network-interface"])

    content {
      resource_type = tag_specifications.value
      tags = {
        Name    = "${var.name}-executor"
        project = var.name
      }
    }
  }
}

# Spot machines. The scheduler says how many; without it there are none.
resource "aws_autoscaling_group" "executors" {
  name                      = local.autoscaling_group_name
  min_size                  = 0
  max_size                  = var.max_executors
  vpc_zone_identifier       = [for subnet in aws_subnet.public : subnet.id]
  health_check_type         = "EC2"
  health_check_grace_period = 120
  default_cooldown          = 0
  # A machine that may be taken away works on until it is: all that is lost is what it drains.
  capacity_rebalance = false

  mixed_instances_policy {
    instances_distribution {
      on_demand_base_capacity                  = 0
      on_demand_percentage_above_base_capacity = 0
      spot_allocation_strategy                 = "price-capacity-optimized"
    }

    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.executor.id
        version            = aws_launch_template.executor.latest_version
      }

      dynamic "override" {
        for_each = toset(data.aws_ec2_instance_type_offerings.here.instance_types)

        content {
          instance_type = override.value
        }
      }
    }
  }

  tag {
    key                 = "project"
    value               = var.name
    propagate_at_launch = true
  }

  lifecycle {
    # The scheduler's to say.
    ignore_changes = [desired_capacity]

    precondition {
      condition     = length(data.aws_ec2_instance_type_offerings.here.instance_types) > 0
      error_message = "The region has none of var.executor_instance_types."
    }
  }

  timeouts {
    delete = "20m"
  }

  depends_on = [aws_iam_role_policy.this]
}
