"""A short chaos: workers, connections and lines that die at random lose nothing."""

import pytest

from tests.chaos.trial import Plan, run

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


def test_nothing_is_lost_whatever_dies(tmp_path):
    trial = run(Plan(seed=2010, jobs=300, workers=3, seconds=8), tmp_path / "log")
    assert trial.verdict.faults == []
    assert trial.deeds.total() > 10


@pytest.mark.only_on("postgresql", reason="the fence is the same everywhere")
def test_a_broken_fence_is_caught(tmp_path):
    """Let workers finish jobs whose lease they lost: the chaos must tell."""
    plan = Plan(seed=2010, jobs=300, workers=3, seconds=8, break_fence=True)
    assert any("too often" in fault for fault in run(plan, tmp_path / "log").verdict.faults)
