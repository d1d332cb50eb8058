"""Those that django-future is measured beside, each at its documented best."""

import shutil
from importlib.util import find_spec

NEEDS = {"celery": (["celery", "redis"], ["redis-server"])}


def missing(peer: str) -> list[str]:
    """Return which packages and programs `peer` lacks on this machine."""
    packages, programs = NEEDS[peer]
    return [
        *(package for package in packages if find_spec(package) is None),
        *(program for program in programs if shutil.which(program) is None),
    ]
