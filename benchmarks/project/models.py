"""What the handlers write, and a row to compare that of a job with."""

from django.db import models


class Effect(models.Model):
    """What an inserting handler leaves behind."""

    number = models.PositiveBigIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"effect of job {self.number}"
