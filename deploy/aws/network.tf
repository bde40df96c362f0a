# A network of its own: it goes with everything in it.
data "aws_availability_zones" "here" {
  state = "available"

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  zones          = slice(data.aws_availability_zones.here.names, 0, min(3, length(data.aws_availability_zones.here.names)))
  scheduler_port = 50050
  results_port   = 50051
  # Amazon's own names for the machines of a network, which certificates are for.
  domain         = var.region == "us-east-1" ? "ec2.internal" : "${var.region}.compute.internal"
  scheduler_ip   = cidrhost(aws_subnet.public[local.zones[0]].cidr_block, 10)
  scheduler_host = "ip-${replace(local.scheduler_ip, ".", "-")}.${local.domain}"
}

resource "aws_vpc" "this" {
  cidr_block           = "10.80.0.0/16"
  enable_dns_support   = true
  enable_dns_hostnames = true

  tags = { Name = var.name }
}

resource "aws_internet_gateway" "this" {
  vpc_id = aws_vpc.this.id

  tags = { Name = var.name }
}

# Machines have public addresses, which cost less than a gateway for private ones, and let nobody in.
resource "aws_subnet" "public" {
  for_each = { for index, zone in local.zones : zone => index }

  vpc_id                  = aws_vpc.this.id
  availability_zone       = each.key
  cidr_block              = cidrsubnet("10.80.0.0/16", 4, each.value)
  map_public_ip_on_launch = true
  # Machines are named after their addresses: their names can be told before they are there.
  private_dns_hostname_type_on_launch = "ip-name"

  tags = { Name = "${var.name}-${each.key}" }
}

resource "aws_route_table" "public" {
  vpc_id = aws_vpc.this.id

  tags = { Name = var.name }
}

resource "aws_route" "out" {
  route_table_id         = aws_route_table.public.id
  destination_cidr_block = "0.0.0.0/0"
  gateway_id             = aws_internet_gateway.this.id
}

resource "aws_route_table_association" "public" {
  for_each = aws_subnet.public

  subnet_id      = each.value.id
  route_table_id = aws_route_table.public.id
}

# Photos come by a way of their own, which costs nothing.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.public.id]

  tags = { Name = var.name }
}

resource "aws_default_security_group" "closed" {
  vpc_id = aws_vpc.this.id
}

resource "aws_security_group" "scheduler" {
  name_prefix = "${var.name}-scheduler-"
  description = "The scheduler of ${var.name}"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-scheduler" }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_security_group" "executor" {
  name_prefix = "${var.name}-executor-"
  description = "The executors of ${var.name}"
  vpc_id      = aws_vpc.this.id

  tags = { Name = "${var.name}-executor" }

  lifecycle {
    create_before_destroy = true
  }
}

# Nobody comes in but these two to each other. People come through Session Manager, which needs no open port.
resource "aws_vpc_security_group_ingress_rule" "scheduler_from_executors" {
  security_group_id            = aws_security_group.scheduler.id
  referenced_security_group_id = aws_security_group.executor.id
  description                  = "Executors ask for work"
  ip_protocol                  = "tcp"
  from_port                    = local.scheduler_port
  to_port                      = local.scheduler_port
}

resource "aws_vpc_security_group_ingress_rule" "executor_from_scheduler" {
  security_group_id            = aws_security_group.executor.id
  referenced_security_group_id = aws_security_group.scheduler.id
  description                  = "The scheduler cancels, clients fetch results"
  ip_protocol                  = "tcp"
  from_port                    = local.results_port
  to_port                      = local.results_port
}

resource "aws_vpc_security_group_ingress_rule" "executor_from_executors" {
  security_group_id            = aws_security_group.executor.id
  referenced_security_group_id = aws_security_group.executor.id
  description                  = "Executors fetch results of each other"
  ip_protocol                  = "tcp"
  from_port                    = local.results_port
  to_port                      = local.results_port
}

# Storage, Session Manager and the system's packages are all HTTPS.
resource "aws_vpc_security_group_egress_rule" "https" {
  for_each = {
    scheduler = aws_security_group.scheduler.id
    executor  = aws_security_group.executor.id
  }

  security_group_id = each.value
  description       = "Amazon's services"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "within" {
  for_each = {
    scheduler = aws_security_group.scheduler.id
    executor  = aws_security_group.executor.id
  }

  security_group_id = each.value
  description       = "Each other"
  cidr_ipv4         = aws_vpc.this.cidr_block
  ip_protocol       = "tcp"
  from_port         = local.scheduler_port
  to_port           = local.results_port
}
