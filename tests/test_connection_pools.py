"""Django's connection pools, and the connections that must not come from a pool."""

import pytest
from django.db import connection, connections

from django_future import schedule_jobs
from django_future.models import ScheduledJob, Worker
from django_future.store.connection_state import discard
from django_future.store.pooling import close_pools, dedicated_connection
from tests.shop import jobs
from tests.support.waiting import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.only_on("postgresql", reason="Django has pools for PostgreSQL only"),
]


@pytest.fixture
def pool():
    """Return a pool that this process takes its connections from."""
    pytest.importorskip("psycopg_pool")
    ordinary = connections["default"]
    pooled = ordinary.copy()
    pooled.settings_dict["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 2}
    connections["default"] = pooled
    yield pooled.pool
    connections["default"].close()
    close_pools()
    connections["default"] = ordinary


def backend_pid():
    connection.ensure_connection()
    return connection.connection.info.backend_pid


def test_a_dedicated_connection_is_not_taken_from_the_pool(pool):
    with dedicated_connection("default"):
        backend_pid()
        assert pool.get_stats().get("requests_num", 0) == 0
    backend_pid()
    assert pool.get_stats()["requests_num"] == 1


def test_a_dedicated_connection_returns_the_pooled_connection_of_its_thread(pool):
    backend_pid()
    with dedicated_connection("default"), pool.connection(timeout=5), pool.connection(timeout=5):
        pass


def test_a_discarded_connection_does_not_return_to_the_pool(pool):
    interrupted = backend_pid()
    discard(connection)
    with pool.connection(timeout=5) as one, pool.connection(timeout=5) as two:
        assert interrupted not in {one.info.backend_pid, two.info.backend_pid}


def test_a_forked_process_does_not_use_the_pool_of_its_parent(pool):
    backend_pid()
    connections.close_all()
    close_pools()
    assert pool.closed
    assert connection.pool is not pool


@pytest.mark.slow
def test_a_worker_with_more_threads_than_pooled_connections_keeps_its_heartbeat(
    start_worker, tmp_path
):
    pytest.importorskip("psycopg_pool")
    held = [tmp_path / f"held-{number}" for number in range(4)]
    schedule_jobs({"when": "0s", "callable": jobs.hold, "args": [str(path)]} for path in held)
    start_worker("--threads", "4", HEARTBEAT="1s", TEST_POOL_SIZE="2")
    eventually(lambda: all(path.exists() for path in held))
    seen_at = Worker.objects.get().seen_at
    eventually(lambda: Worker.objects.get().seen_at > seen_at)
    for path in held:
        path.unlink()
    eventually(lambda: ScheduledJob.objects.filter(status="complete").count() == 4)
