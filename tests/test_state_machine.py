"""Random operations on the store, compared with a model of it."""

from contextlib import ExitStack
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from django_future import (
    ScheduledJob,
    clock,
    pause_queue,
    resume_queue,
    retry_jobs,
    schedule_job,
    schedule_jobs,
    signatures,
)
from django_future.exceptions import LeaseLost
from django_future.execution.executor import execute
from django_future.execution.watchdog import Watchdog
from django_future.models import JobAttempt, PausedQueue, Worker
from django_future.serialization import encode
from django_future.status import Status
from django_future.store import EVERYTHING, Selection, Session, leases, store_for, transitions
from django_future.store.attempts import Failure
from django_future.store.workers import register
from django_future.testing.travel import stopped_clock
from django_future.worker import maintenance
from tests.chaos import hostile
from tests.shop import jobs
from tests.shop.models import Trace
from tests.support.model import Model

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

SETTINGS = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    derandomize=False,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)

NOW, SECOND, MINUTE, HOUR = (timedelta(seconds=length) for length in (0, 1, 60, 3600))
WAYS_TO_END = ["finish", "fail", "try_again", "cancel_running", "release"]
FAILURE = Failure("ValueError", "ValueError: no")

# Handlers with one possible end on every database, in one process.
HOSTILE = [
    handler
    for handler, ends in hostile.ENDS.items()
    if len(ends) == 1 and not handler.__name__.startswith("fork")
]

workers = st.sampled_from(["w1", "w2"])
queue_names = st.sampled_from(["a", "b"])
selections = st.sampled_from(
    [
        Selection(queues=("a",)),
        Selection(queues=("b", "a")),
        Selection(excluded_queues=("a",)),
        Selection(excluded_queues=("c",)),
    ]
)
priorities = st.integers(-1, 1)
delays = st.sampled_from([NOW, SECOND, MINUTE])
lifetimes = st.sampled_from([None, HOUR, MINUTE])
limits = st.integers(1, 5)


class StoreMachine(RuleBasedStateMachine):
    """Applies the operations of workers, people and failures to the store and to its model."""

    scheduled = Bundle("scheduled")  # ids
    claimed = Bundle("claimed")  # jobs as their workers claimed them, with current or lost leases

    def __init__(self):
        super().__init__()
        for model in (JobAttempt, ScheduledJob, Worker, PausedQueue, Trace):
            model.objects.all()._raw_delete("default")
        self.store, self.model, self.clock = store_for("default"), Model(), ExitStack()
        self.move_clock(NOW)

    def teardown(self):
        self.clock.close()

    @invariant()
    def the_database_is_as_the_model_says(self):
        differences = self.model.differences()
        assert not differences, "; ".join(differences)

    @rule(after=delays)
    def move_clock(self, after):
        self.model.now += after
        self.clock.close()
        self.clock.enter_context(stopped_clock(self.model.now))

    @initialize(target=scheduled, priorities=st.lists(priorities, min_size=1, max_size=6))
    def schedule_some(self, priorities):
        return multiple(*(self.schedule_one(priority=priority) for priority in priorities))

    def schedule_one(self, **options):
        job = schedule_job("0s", jobs.echo, expires=None, **options)
        self.model.add(job.pk, NOW, None, **options)
        return job.pk

    @rule(
        target=scheduled,
        when=delays,
        expires=lifetimes,
        queue_name=queue_names,
        priority=priorities,
        rescue=st.booleans(),
        count=st.integers(2, 4),
    )
    def schedule_many(self, when, expires, queue_name, priority, rescue, count):
        options = {"queue_name": queue_name, "priority": priority}
        spec = {"callable": jobs.echo, "when": when, "expires": expires, "rescue": rescue}
        added = schedule_jobs([spec | options] * count)
        for job in added:
            self.model.add(job.pk, when, expires, is_rescuable=rescue, **options)
        return multiple(*(job.pk for job in added))

    @rule(
        target=scheduled,
        key=st.sampled_from(["x", "y"]),
        when=delays,
        expires=lifetimes,
        is_replacing=st.booleans(),
    )
    def schedule_unique(self, key, when, expires, is_replacing):
        holder = self.model.holder_of(key)
        options = {"unique": key, "unique_replace": is_replacing}
        job = schedule_job(when, jobs.echo, expires=expires, **options)
        if holder and not is_replacing:
            self.model.expire(self.model.jobs[holder])
        if self.model.holder_of(key) is None:
            self.model.add(job.pk, when, expires, unique_key=key)
            return job.pk
        assert job.pk == holder
        if is_replacing and self.model.jobs[holder].status == "scheduled":
            scheduled_at, expires_at = self.model.times(when, expires)
            self.model.jobs[holder].change(
                scheduled_at=scheduled_at, expires_at=expires_at, first_due_at=None
            )
        return multiple()

    @rule(target=claimed, worker=workers, limit=limits)
    def claim(self, worker, limit):
        return multiple(*self.take(worker, EVERYTHING, limit))

    @rule(target=claimed, worker=workers, way=st.sampled_from(["hang", *WAYS_TO_END]))
    def run(self, worker, way):
        claimed = self.take(worker, EVERYTHING, 1)
        for job in claimed:
            job.started_at = clock.to_row(self.model.now)
            transitions.record_start(self.store, job)
            self.model.jobs[job.pk].started_at = self.model.now
            getattr(self, way)(job)
        return multiple(*claimed)

    @rule(worker=workers, handler=st.sampled_from(HOSTILE))
    def run_hostile(self, worker, handler):
        [status] = hostile.ENDS[handler]
        for job in self.take(worker, EVERYTHING, 1):
            job.callable_name = f"{handler.__module__}.{handler.__name__}"
            job.args = encode([job.pk], ("args", job.callable_name))
            job.signature = signatures.sign(job.__dict__)
            execute(job, Session(self.store), Watchdog(self.store, on_stuck=None))
            known = self.model.jobs[job.pk]
            self.model.end(known, status, started_at=self.model.now)
            known.failures += status == Status.FAILED
            known.effects += status == Status.COMPLETE

    def hang(self, job):
        """Keep a job running."""

    @rule(target=claimed, worker=workers, limit=limits, selection=selections)
    def claim_of_some_queues(self, worker, limit, selection):
        return multiple(*self.take(worker, selection, limit))

    def take(self, name, selection, limit):
        worker = Worker(name=name, pid=1, started_at=clock.to_row(self.model.now))
        register(self.store, worker)
        self.model.seen_at[name] = self.model.now
        claimed = self.store.claim(worker, selection, at=self.model.now, limit=limit)
        due, ids = self.model.due(selection), [job.pk for job in claimed]
        if selection != EVERYTHING:
            # At one priority, a claim takes as many jobs as it can of the first queue.
            assert self.model.is_in_order_by_queue(ids, due, limit), f"Took {ids}, due are {due}"
        else:
            assert ids == due[:limit], f"Took {ids}, due are {due}"
        for job in claimed:
            self.model.claim(job.pk, name)
        return claimed

    @rule(job=claimed)
    def finish(self, job):
        if self.is_done(job, self.write_and_finish):
            known = self.model.jobs[job.pk]
            self.model.end(known, "complete", started_at=self.model.now, effects=known.effects + 1)

    def write_and_finish(self, job):
        with self.store.transaction():
            Trace.objects.create(text=str(job.pk))
            self.store.finish(job)

    @rule(job=claimed)
    def fail(self, job):
        if self.is_done(job, lambda job: transitions.fail(self.store, job, FAILURE)):
            known = self.model.jobs[job.pk]
            failures = known.failures + 1
            self.model.end(known, "failed", started_at=self.model.now, failures=failures)

    @rule(job=claimed)
    def try_again(self, job):
        now = self.model.now
        if self.is_done(job, lambda job: transitions.schedule_retry(self.store, job, now, FAILURE)):
            known = self.model.jobs[job.pk]
            first_due_at = known.first_due_at or known.scheduled_at
            failures = known.failures + 1
            known.reschedule(scheduled_at=now, first_due_at=first_due_at, failures=failures)

    @rule(job=claimed)
    def cancel_running(self, job):
        if self.is_done(
            job, lambda job: transitions.record_cancelled(self.store, job, "no longer wanted")
        ):
            self.model.end(self.model.jobs[job.pk], "cancelled", started_at=self.model.now)

    def is_done(self, job, write):
        """Record the end of a job, and return whether the worker held the lease."""
        job.started_at = job.finished_at = clock.to_row(self.model.now)
        is_held = self.model.is_held(job)
        text = f"job {job.pk}, lease {job.lease} of {job.worker}: {self.model.jobs[job.pk]}"
        try:
            write(job)
        except LeaseLost:
            is_refused = True
        else:
            is_refused = False
        assert is_refused != is_held, f"{'Refused' if is_refused else 'Allowed'} to end {text}"
        return is_held

    @rule(job=claimed)
    def release(self, job):
        if self.is_done(job, self.release_or_raise):
            known = self.model.jobs[job.pk]
            known.reschedule(attempts=known.attempts - 1)

    def release_or_raise(self, job):
        if not transitions.release(self.store, job):
            raise LeaseLost

    @rule(found=st.lists(claimed, min_size=1, max_size=4, unique_by=id))
    def finish_all(self, found):
        batch = [job for job in found if job.worker == found[0].worker]
        for job in batch:
            job.started_at = job.finished_at = clock.to_row(self.model.now)
        lost = self.store.finish_all(batch)
        for job in filter(self.model.is_held, batch):
            self.model.end(self.model.jobs[job.pk], "complete", started_at=self.model.now)
        assert lost == [job for job in batch if not self.model.is_held(job, "complete")]

    @rule(after=delays)
    def maintain(self, after):
        self.move_clock(after)
        maintenance.expire(self.store, self.model.now)
        maintenance.rescue(self.store)
        for known in self.model.jobs.values():
            self.model.expire(known)
            self.model.rescue(known)

    @rule(ids=st.sets(scheduled, min_size=1, max_size=3), running=st.booleans())
    def cancel(self, ids, running):
        chosen = self.model.chosen(ids, "scheduled", *["running"] * running)
        assert transitions.cancel(self.store, self.rows(ids), running=running) == len(chosen)
        for known in chosen:
            self.model.end(known, "cancelled")

    @rule(ids=st.sets(scheduled, min_size=1, max_size=3))
    def retry(self, ids):
        chosen = self.model.chosen(ids, "failed", "expired", "cancelled")
        assert retry_jobs(self.rows(ids)) == len(chosen)
        for known in chosen:
            self.model.retry(known)

    @rule(ids=st.sets(scheduled, min_size=1, max_size=3), after=delays)
    def move(self, ids, after):
        chosen = self.model.chosen(ids, "scheduled")
        at = self.model.now + after
        assert transitions.move(self.store, self.rows(ids), at) == len(chosen)
        for known in chosen:
            self.model.move(known, after)

    def rows(self, ids):
        return ScheduledJob.objects.filter(pk__in=ids)

    @rule(name=queue_names)
    def pause_or_resume(self, name):
        act = resume_queue if name in self.model.paused_queues else pause_queue
        act(name)
        self.model.paused_queues ^= {name}


def test_the_store_agrees_with_its_model_after_random_operations():
    run_state_machine_as_test(StoreMachine, settings=SETTINGS)


def test_the_state_machine_detects_a_store_that_ignores_the_lease(monkeypatch):
    def held(store, job):
        return store.jobs.running().filter(pk=job.pk, worker=job.worker)

    monkeypatch.setattr(leases, "held", held)
    machine = StoreMachine()
    try:
        machine.schedule_one()
        [lost] = machine.take("w1", EVERYTHING, 1)
        machine.release(lost)
        machine.take("w1", EVERYTHING, 1)
        with pytest.raises(AssertionError, match="Allowed to end job"):
            machine.fail(lost)
    finally:
        machine.teardown()
