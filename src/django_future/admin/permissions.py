"""The permissions of the admin that are not those of Django."""

from django.http import HttpRequest


def may_operate(request: HttpRequest) -> bool:
    """Return whether the user may run, move, cancel and retry jobs."""
    return request.user.has_perm("django_future.operate_scheduledjob")


def may_pause_queues(request: HttpRequest) -> bool:
    """Return whether the user may pause and resume queues."""
    return request.user.has_perm("django_future.pause_queue")
