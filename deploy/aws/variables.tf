variable "image" {
  description = "File that `docker save pomona | gzip` wrote, for x86-64 machines."
  type        = string

  validation {
    condition     = fileexists(var.image)
    error_message = "There is no such file: write it with `docker save localhost/pomona | gzip > pomona.tar.gz`."
  }
}

variable "image_name" {
  description = "Name and tag of the image in that file."
  type        = string
  default     = "localhost/pomona:latest"
}

variable "alarm_email" {
  description = "Who hears of it when money is spent faster than thought."
  type        = string

  validation {
    condition     = can(regex("^[^@ ]+@[^@ ]+[.][^@ ]+$", var.alarm_email))
    error_message = "Give one e-mail address."
  }
}

variable "monthly_budget" {
  description = "What the whole account may cost a month, in the currency of its bills: the alarm comes at half of it, at all of it, and when a forecast goes beyond."
  type        = number

  validation {
    condition     = var.monthly_budget > 0
    error_message = "A budget is more than nothing."
  }
}

variable "budget_currency" {
  description = "Currency of the account's bills."
  type        = string
  default     = "USD"

  validation {
    condition     = can(regex("^[A-Z]{3}$", var.budget_currency))
    error_message = "Three capital letters, such as USD."
  }
}

variable "name" {
  description = "What everything here is named after."
  type        = string
  default     = "pomona"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "2 to 21 small letters, digits and dashes, with a letter in front."
  }
}

variable "region" {
  description = "Where everything is."
  type        = string
  default     = "eu-west-3"

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The name of a region, such as eu-west-3."
  }
}

variable "max_executors" {
  description = "Most executors at a time: what an hour may cost at most."
  type        = number
  default     = 4

  validation {
    condition     = var.max_executors >= 1 && var.max_executors <= 500 && floor(var.max_executors) == var.max_executors
    error_message = "A whole number from 1 to 500."
  }
}

variable "executor_instance_types" {
  description = "Kinds of machines for executors, alike in processors and memory: the more kinds, the fewer interruptions. Those that the region does not have are left out."
  type        = list(string)
  default     = ["c5.xlarge", "c5a.xlarge", "c5d.xlarge", "c6i.xlarge", "c6a.xlarge", "c7i.xlarge", "m5.xlarge", "m6i.xlarge"]

  validation {
    condition     = length(var.executor_instance_types) > 0 && alltrue([for kind in var.executor_instance_types : !can(regex("^[a-z]+[0-9]+g", kind))])
    error_message = "At least one, and none with Graviton processors: the image is for x86-64."
  }
}

variable "executor_workers" {
  description = "Threads of an executor: the processors of those machines."
  type        = number
  default     = 4

  validation {
    condition     = var.executor_workers >= 1 && var.executor_workers <= 192
    error_message = "From 1 to 192."
  }
}

variable "executor_disk_gb" {
  description = "Disk of an executor, for the system and for results that wait to be fetched."
  type        = number
  default     = 30

  validation {
    condition     = var.executor_disk_gb >= 16
    error_message = "At least 16."
  }
}

variable "scheduler_instance_type" {
  description = "Machine of the scheduler, where clients run too."
  type        = string
  default     = "t3.medium"
}

variable "drain_secs" {
  description = "Seconds for what is in work when an executor is to leave. Amazon's notice comes two minutes before."
  type        = number
  default     = 80

  validation {
    condition     = var.drain_secs >= 0 && var.drain_secs <= 100
    error_message = "From 0 to 100: the machine goes two minutes after its notice."
  }
}

variable "idle_minutes" {
  description = "Minutes with less work after which executors leave."
  type        = number
  default     = 5

  validation {
    condition     = var.idle_minutes >= 1 && var.idle_minutes <= 1440
    error_message = "From 1 to 1440."
  }
}

variable "keep_versions_days" {
  description = "Days for which files that were overwritten or deleted can be brought back."
  type        = number
  default     = 14

  validation {
    condition     = var.keep_versions_days >= 1
    error_message = "At least 1."
  }
}

variable "destroy_data" {
  description = "Whether `tofu destroy` deletes the bucket with all photos and runs. Apply it before it is destroyed."
  type        = bool
  default     = false
}
