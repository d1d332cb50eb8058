"""Random changes to rows with SQL: handlers receive only the calls that code has scheduled."""

import os
import random

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import DatabaseError, connection, transaction

from django_future import ScheduledJob, run_jobs, schedule_jobs
from django_future.status import Status
from tests.shop import witness
from tests.shop.models import Order, Parcel, Subscription

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

BATCHES, CHANGES, JOBS = 40, 250, 200  # changes and jobs per batch; half of the jobs change
SEED = int(os.environ.get("TEST_SEED", random.randrange(2**32)))
NAMES = [
    "tests.shop.witness.one", "tests.shop.witness.two", "tests.shop.witness.bound", "see", "delete",
    "save", "os.system", "tests.shop.witness._hidden", "django.contrib.auth.load_backend", "",
    "django_future.scheduling.queues.pause_queue", "unittest.mock.call",
    "tests.shop.witness.CALLS.append",
]  # fmt: skip
TEXTS = [
    "[]", "{}", "[1]", "null", "", '{"forged": true}', '["forged"]', '{"atomic": false}',
    '{"timeout": "1s"}', '{"__type__": "tuple", "value": ["forged"]}', "[" * 50,
]  # fmt: skip
COLUMNS = [
    "callable_name", "args", "kwargs", "options", "content_type_id", "object_id",
    "object_database", "signature", "status", "lease", "worker", "attempts", "unique_key",
    "priority", "queue_name", "rescues", "max_attempts",
]  # fmt: skip

COUNTS = [0, 1, 5, 100]
OTHERS = dict.fromkeys(["lease", "attempts", "priority", "rescues", "max_attempts"], COUNTS) | {
    "status": ["scheduled", "scheduled", "running", "failed", "parked"]
}


def test_no_handler_receives_a_call_that_code_did_not_schedule(settings):
    print(f"TEST_SEED={SEED}")
    chance = random.Random(SEED)
    objects = [model.objects.create() for model in (Order, Order, Parcel, Subscription)]
    for _ in range(BATCHES):
        ScheduledJob.objects.all().delete()
        witness.CALLS.clear()
        jobs, expected = schedule(chance, objects)
        targets = jobs[::2]
        rows = list(ScheduledJob.objects.values(*COLUMNS))
        changed = 0
        while changed < CHANGES:
            changed += change(chance, chance.choice(targets), rows)
        run_jobs(ignore_errors=True)
        unexpected = [call for call in witness.CALLS if call not in expected]
        assert unexpected == [], f"TEST_SEED={SEED}"
        spared = ScheduledJob.objects.filter(pk__in=[job.pk for job in jobs[1::2]])
        assert set(spared.values_list("status", flat=True)) == {Status.COMPLETE}
        assert settings.SECRET_KEY not in str(list(ScheduledJob.objects.values()))
    assert Order.objects.count() == 2


def schedule(chance, objects):
    """Schedule a batch, and return its jobs and their expected calls."""
    specs = []
    for number in range(JOBS):
        kind = chance.choice(["one", "two", "bound", "see"])
        args, kwargs = [number, chance.choice(["a", "b"])], chance.choice([{}, {"key": number}])
        spec = {"when": "0s", "callable": f"tests.shop.witness.{kind}", "args": args}
        spec["kwargs"] = kwargs
        if kind in {"bound", "see"}:
            spec["content_object"] = objects[0 if kind == "see" else chance.randrange(4)]
        if kind == "see":
            spec |= {"callable": "see", "kwargs": {}}
        if chance.random() < 0.2:
            spec["timeout"] = "1m"
        specs.append(spec)
    return schedule_jobs(specs), [witness.call_of(spec) for spec in specs]


def change(chance, job, rows):
    """Change columns of a row with SQL, and return whether the database accepted that."""
    names = chance.sample(COLUMNS, chance.choice([1, 1, 1, 2, 3, 7]))
    values = [value_of(chance, name, chance.choice(rows)) for name in names]
    if chance.random() < 0.2:  # columns that belong together, from another row
        names = COLUMNS[:7] + chance.choice([[], ["signature"]])
        values = [chance.choice(rows)[name] for name in names]
    assignments = ", ".join(f"{name} = %s" for name in names)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE django_future_scheduledjob SET {assignments} WHERE id = %s",
                [*values, job.pk],
            )
    except (DatabaseError, ValueError, TypeError):
        return False
    return True


def value_of(chance, name, other):
    """Return a new value of a column: that of another row, or a random one."""
    if chance.random() < 0.3:
        return other[name]
    if name in {"args", "kwargs", "options"}:
        text = chance.choice(TEXTS) if chance.random() < 0.5 else str(other[name])
        return mutated(chance, text) if chance.random() < 0.5 else text
    if name == "content_type_id":
        return chance.choice([None, *ContentType.objects.values_list("pk", flat=True)])
    if name in OTHERS:
        return chance.choice(OTHERS[name])
    if name == "callable_name":
        text = chance.choice(NAMES)
        return mutated(chance, text) if chance.random() < 0.3 else text
    return chance.choice([None, "", "1", "2", "other", mutated(chance, str(other[name]))])


def mutated(chance, text):
    """Return a text with one character inserted, deleted or replaced."""
    place = chance.randrange(len(text) + 1)
    middle = chance.choice(["", "x", "0", '"', ",", " ", "é", "]"])
    return (text[:place] + middle + text[place + chance.randrange(2) :])[:255]
