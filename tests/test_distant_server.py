"""A distant server: jobs are claimed earlier, and none starts before its time."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.distance import distant
from django_future import ScheduledJob, clock, schedule_jobs
from django_future.status import Status
from tests.chaos.address import server_of, through
from tests.shop import jobs
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.only_on("postgresql", "mysql", reason="SQLite has no server"),
]

DELAY_SECONDS = 0.05  # each way
JOBS = 20


@pytest.mark.slow
class TestDistantServer:
    @pytest.fixture
    def far_away(self, start_worker):
        url = os.environ["DATABASE_URL"]
        with distant(server_of(url), DELAY_SECONDS) as port:
            process = start_worker(**through(port, url))
            yield process
            process.kill()
            process.wait()

    @pytest.mark.usefixtures("far_away")
    def test_a_worker_far_from_its_server_claims_ahead_and_never_starts_early(self):
        first = clock.now() + timedelta(seconds=4)
        instants = [first + timedelta(milliseconds=137 * number) for number in range(JOBS)]
        schedule_jobs([{"when": at, "callable": jobs.return_time} for at in instants])
        late = set()
        eventually(lambda: late.update(_unclaimed_though_due()) or _all_complete())
        # On a busy machine some jobs may be late. Without a longer look-ahead, all jobs
        # are late.
        assert len(late) < JOBS / 2
        for job in ScheduledJob.objects.all():
            assert datetime.fromtimestamp(job.return_value, UTC) >= clock.from_row(job.scheduled_at)


def _unclaimed_though_due():
    waiting = ScheduledJob.objects.scheduled().filter(scheduled_at__lte=clock.to_row(clock.now()))
    return list(waiting.values_list("pk", flat=True))


def _all_complete():
    return ScheduledJob.objects.filter(status=Status.COMPLETE).count() == JOBS
