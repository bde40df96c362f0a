output "bucket" {
  description = "Where photos and runs lie."
  value       = "s3://${aws_s3_bucket.this.id}"
}

output "session" {
  description = "A shell on the scheduler. On it: `pomona` is a client of this cluster, `pomona-demonstration` tries it."
  value       = "aws ssm start-session --region ${var.region} --target ${aws_instance.scheduler.id}"
}

output "figures" {
  description = "The figures at http://localhost:9100/metrics, and what is wanted at /pomona/scaling."
  value       = "aws ssm start-session --region ${var.region} --target ${aws_instance.scheduler.id} --document-name AWS-StartPortForwardingSession --parameters portNumber=9100,localPortNumber=9100"
}

output "upload" {
  description = "Photos into the bucket."
  value       = "aws s3 sync PHOTOS s3://${aws_s3_bucket.this.id}/photos"
}

output "run" {
  description = "Photos to a report, on the scheduler's shell."
  value       = "pomona run s3://${aws_s3_bucket.this.id}/photos --out s3://${aws_s3_bucket.this.id}/run"
}

output "report" {
  description = "The report on this machine."
  value       = "aws s3 cp s3://${aws_s3_bucket.this.id}/run/report.html ."
}

output "what_is_left" {
  description = "Note it before `tofu destroy` and give it afterwards: it must name nothing but the bucket, where destroy_data was false."
  value       = "aws resourcegroupstaggingapi get-resources --region ${var.region} --tag-filters Key=project,Values=${var.name} --query 'ResourceTagMappingList[].ResourceARN'"
}
