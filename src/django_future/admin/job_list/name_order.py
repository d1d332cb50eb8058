"""The order of a list by the name of a handler or a queue, newest first.

Without it, a list that few jobs match would read the whole table.
"""

from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.lookups import In

from django_future.admin.job_list.merged_order import Arm, MergedOrder
from django_future.models.fields import ByIndex

MAX_ARMS = 20  # names in one query; if more names contain a term, many jobs match


def newest_of_names(jobs: QuerySet[Any]) -> MergedOrder | None:
    """Return the order that reads the newest jobs of each name; None for other conditions."""
    for lookup in jobs.query.where.leaves():
        target = getattr(getattr(lookup, "lhs", None), "target", None)
        name = "" if target is None else target.name
        if isinstance(lookup, ByIndex):
            return _order([Arm("", Q(), "id", lead=name)])
        if isinstance(lookup, In) and name == "callable_name" and len(lookup.rhs) <= MAX_ARMS:
            conditions = [Q(callable_name__by_index=value) for value in lookup.rhs]
            return _order([Arm("", condition, "id", lead=name) for condition in conditions])
    return None


def _order(arms: list[Arm]) -> MergedOrder:
    return MergedOrder(arms, is_ascending=False)
