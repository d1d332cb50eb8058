"""What happens to jobs, for whoever wants to know. A receiver that raises changes no outcome."""

from django.dispatch import Signal

# Sent with `job` just before its handler is called.
job_started = Signal(use_caching=True)

# Sent with `job` and `exception` (None unless it failed) once its end is recorded.
job_finished = Signal(use_caching=True)

# Sent with `job` and `exception` when another attempt is to follow the one that raised it.
job_retried = Signal(use_caching=True)

# Sent with `job` when its lease was lost, and with it all that its handler wrote.
job_lost = Signal(use_caching=True)

# Sent with `job` whose worker was lost, and which is scheduled again.
job_rescued = Signal(use_caching=True)

# Sent with `job` and `exception`, the `HandlerUnknown` for which it is left to another worker.
job_handler_unknown = Signal(use_caching=True)

# Sent with `job` and `exception`, the `NotSigned` for which it does not run until it is signed.
job_parked = Signal(use_caching=True)

# Sent with `count`, how many jobs expired before a worker ran them, and `jobs`: `id` and
# `callable_name` of the first ten.
jobs_expired = Signal(use_caching=True)

# Sent with `status` and `count`, how many jobs were deleted that had been kept long enough.
jobs_pruned = Signal(use_caching=True)
