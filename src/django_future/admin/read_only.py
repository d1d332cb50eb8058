"""An admin in which nobody adds or changes rows: what happens to them is all that changes them."""

from typing import Any

from django.contrib.admin import ModelAdmin
from django.http import HttpRequest


def may_operate(request: HttpRequest) -> bool:
    """Tell whether the user may do something to jobs and queues, and not look at them only."""
    return request.user.has_perm("django_future.operate_scheduledjob")


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[type-arg]
    """Shows rows to whoever may view them."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Refuse everybody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        """Refuse everybody."""
        return False
