# Machines have roles and no keys, and roles reach this bucket and no other.
data "aws_caller_identity" "this" {}

data "aws_partition" "this" {}

locals {
  autoscaling_group_name = "${var.name}-executors"
  autoscaling_group_arn  = "arn:${data.aws_partition.this.partition}:autoscaling:${var.region}:${data.aws_caller_identity.this.account_id}:autoScalingGroup:*:autoScalingGroupName/${local.autoscaling_group_name}"
}

data "aws_iam_policy_document" "machines" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

# Everybody.
data "aws_iam_policy_document" "work" {
  statement {
    sid       = "List"
    actions   = ["s3:ListBucket", "s3:GetBucketLocation"]
    resources = [aws_s3_bucket.this.arn]
  }

  statement {
    sid       = "PhotosAndRuns"
    actions   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
    resources = ["${aws_s3_bucket.this.arn}/*"]
  }

  # What the machines themselves run is not theirs to change.
  statement {
    sid       = "NotTheProgram"
    effect    = "Deny"
    actions   = ["s3:PutObject", "s3:DeleteObject"]
    resources = ["${aws_s3_bucket.this.arn}/program/*"]
  }

  # Session Manager. Amazon's own policy for it would let a machine read all parameters of the account.
  statement {
    sid = "SessionManager"
    actions = [
      "ssm:UpdateInstanceInformation",
      "ssmmessages:CreateControlChannel",
      "ssmmessages:CreateDataChannel",
      "ssmmessages:OpenControlChannel",
      "ssmmessages:OpenDataChannel",
    ]
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "scheduler" {
  source_policy_documents = [data.aws_iam_policy_document.work.json]

  statement {
    sid       = "HandOutTheCertificate"
    actions   = ["ssm:PutParameter", "ssm:GetParameter"]
    resources = [aws_ssm_parameter.executor_identity.arn]
  }

  statement {
    sid       = "CallExecutors"
    actions   = ["autoscaling:SetDesiredCapacity"]
    resources = [local.autoscaling_group_arn]
  }

  statement {
    sid       = "CountExecutors"
    actions   = ["autoscaling:DescribeAutoScalingGroups"]
    resources = ["*"]
  }
}

data "aws_iam_policy_document" "executor" {
  source_policy_documents = [data.aws_iam_policy_document.work.json]

  statement {
    sid       = "ReadTheCertificate"
    actions   = ["ssm:GetParameter"]
    resources = [aws_ssm_parameter.executor_identity.arn]
  }
}

resource "aws_iam_role" "this" {
  for_each = toset(["scheduler", "executor"])

  name_prefix        = "${var.name}-${each.key}-"
  assume_role_policy = data.aws_iam_policy_document.machines.json
}

resource "aws_iam_role_policy" "this" {
  for_each = {
    scheduler = data.aws_iam_policy_document.scheduler.json
    executor  = data.aws_iam_policy_document.executor.json
  }

  name   = each.key
  role   = aws_iam_role.this[each.key].id
  policy = each.value
}

resource "aws_iam_instance_profile" "this" {
  for_each = aws_iam_role.this

  name_prefix = "${var.name}-${each.key}-"
  role        = each.value.name
}

# Filled by the scheduler when it starts. The authority's key stays on the scheduler, and no key is in the state: the
# value is written and never read back.
resource "aws_ssm_parameter" "executor_identity" {
  name             = "/${var.name}/executor-identity"
  description      = "Certificate and key of all executors, written by the scheduler"
  type             = "SecureString"
  value_wo         = "not there yet"
  value_wo_version = 1
}
