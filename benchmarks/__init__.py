"""Commands that measure django-future and its peers on this machine."""
