"""Database routers for the tests."""


class PrimaryAndReplica:
    """Read from the replica `other`, write to the primary `default`."""

    def db_for_read(self, model, **hints):
        """Read from the replica."""
        return "other"

    def db_for_write(self, model, **hints):
        """Write to the primary."""
        return "default"

    def allow_relation(self, one, another, **hints):
        """Allow all relations."""
        return True


class JobsApart:
    """Store jobs in the database `other`, and all other models in `default`."""

    def db_for_read(self, model, **hints):
        """Return `other` for models of django-future."""
        return "other" if model._meta.app_label == "django_future" else None

    db_for_write = db_for_read

    def allow_relation(self, one, another, **hints):
        """Allow all relations."""
        return True
