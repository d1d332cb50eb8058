"""The signals of jobs. An exception in a receiver does not change the result of a job."""

from django.dispatch import Signal

# Sent with `job` just before its handler is called.
job_started = Signal(use_caching=True)

# Sent with `job` and `exception` (None unless it failed) after its end is recorded.
job_finished = Signal(use_caching=True)

# Sent with `job` and `exception` after another attempt is scheduled.
job_retried = Signal(use_caching=True)

# Sent with `job` after its lease was lost, and what its handler wrote was rolled back.
job_lost = Signal(use_caching=True)

# Sent with `job` after its worker was lost and the job was rescued.
job_rescued = Signal(use_caching=True)

# Sent with `job` and `exception`, a `HandlerUnknown`, after it was released for another worker.
job_handler_unknown = Signal(use_caching=True)

# Sent with `job` and `exception`, a `NotSigned`, after it was parked.
job_parked = Signal(use_caching=True)

# Sent with `count`, the number of jobs that expired together, and `jobs`: the `id` and the
# `callable_name` of the first ten.
jobs_expired = Signal(use_caching=True)

# Sent with `status` and `count`, the number of jobs that were deleted after their retention.
jobs_pruned = Signal(use_caching=True)
