"""What the handlers write, and a row to compare that of a job with."""

from django.db import models

from benchmarks.project.wide import like_a_job


class Effect(models.Model):
    """What an inserting handler leaves behind."""

    number = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"effect of job {self.number}"


WideRow = type("WideRow", (models.Model,), {"__module__": __name__, **like_a_job()})
