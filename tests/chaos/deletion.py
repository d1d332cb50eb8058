"""Lets workers delete each job soon after its completion. `TEST_IMPORT` imports this."""

from typing import Any

from django.conf import settings

options: Any = settings.DJANGO_FUTURE
options["RETENTION"] = {"complete": "0s"}
