"""The newest jobs first, by an index that has only those of a name or a status.

By the primary key, a list that few jobs match would read the whole table.
"""

from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.lookups import In

from django_future.admin.job_list.merged_order import Arm, MergedOrder
from django_future.models.key_field import ByIndex
from django_future.status import Status

MAX_ARMS = 20  # names in one query; if more names contain a term, many jobs match


def newest_first(jobs: QuerySet[Any]) -> MergedOrder:
    """Return the order that reads the newest jobs of each name, or of a status."""
    lookups = {_column(lookup): lookup for lookup in jobs.query.where.leaves()}
    arms = next((arms for lead in _leads(lookups) if (arms := _arms(lead, lookups[lead]))), None)
    return MergedOrder(arms or [Arm("", Q(), "id")], is_ascending=False)


def _leads(lookups: dict[str, Any]) -> list[str]:
    """Return the columns with an index, first the one that probably has the fewest jobs."""
    leads = ["status", "callable_name", "queue_name"]
    if "error_kind" in lookups:  # the index of failures begins with both
        leads.remove("status")
    elif "status" in lookups and lookups["status"].rhs == Status.COMPLETE:
        leads = [*leads[1:], "status"]  # most jobs are complete
    return [lead for lead in leads if lead in lookups]


def _column(lookup: Any) -> str:
    target = getattr(getattr(lookup, "lhs", None), "target", None)
    return "" if target is None else target.name


def _arms(lead: str, lookup: Any) -> list[Arm]:
    if isinstance(lookup, ByIndex):
        return [Arm("", Q(), "id", lead)]
    if isinstance(lookup, In) and lead == "callable_name" and len(lookup.rhs) <= MAX_ARMS:
        conditions = [Q(callable_name__by_index=value) for value in lookup.rhs]
        return [Arm("", condition, "id", lead) for condition in conditions]
    return []
