"""Database routers such as projects have."""


class PrimaryAndReplica:
    """Read from the replica `other`, write to the primary `default`."""

    def db_for_read(self, model, **hints):
        """Return the replica."""
        return "other"

    def db_for_write(self, model, **hints):
        """Return the primary."""
        return "default"

    def allow_relation(self, one, another, **hints):
        """Allow all."""
        return True


class JobsApart:
    """Unset jobs in the database `other`, and everything else in `default`."""

    def db_for_read(self, model, **hints):
        """Return where the model is kept."""
        return "other" if model._meta.app_label == "django_future" else None

    db_for_write = db_for_read

    def allow_relation(self, one, another, **hints):
        """Allow all."""
        return True
