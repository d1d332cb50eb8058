"""The model that a handler writes, and a model as wide as a job."""

from django.db import models

from benchmarks.project.wide import like_a_job


class Effect(models.Model):
    """A row that the handler `insert` writes."""

    number = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"effect of job {self.number}"


WideRow = type("WideRow", (models.Model,), {"__module__": __name__, **like_a_job()})
