"""The preview of a schedule in the form of a recurring job."""

from datetime import UTC, datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.test import override_settings
from django.utils.html import strip_tags

from django_future import RecurringJob, schedule_recurring
from django_future.testing.travel import stopped_clock
from tests.shop import jobs
from tests.support.admin_pages import body

pytestmark = pytest.mark.django_db

LIST = "/admin/django_future/recurringjob/"
PREVIEW = f"{LIST}preview/"
# A Thursday; 13:00 in Berlin. The clocks change on Sunday.
NOW = datetime(2026, 3, 26, 12, 0, tzinfo=UTC)
DAILY = {"cron": "0 9 * * *", "timezone": "Europe/Berlin"}
EMPTY = {"args": "[]", "kwargs": "{}", "missed": "once", "overlap": "allow"}


@pytest.fixture(autouse=True)
def thursday():
    """Stop the clock three days before the clocks change."""
    with stopped_clock(NOW):
        yield


@pytest.fixture
def editor(login):
    """Return the client of a user who may view, add and change recurring jobs."""
    return login("view_recurringjob", "add_recurringjob", "change_recurringjob")


def text_of(html):
    return " ".join(strip_tags(html.replace("<", " <")).replace("\N{NO-BREAK SPACE}", " ").split())


def preview(client, **values):
    """Return the preview of values in the form of a new recurring job."""
    return client.get(PREVIEW, values).context["preview"]


def local_times(found):
    return [text_of(line.local) for line in found.lines]


def errors(found):
    return {problem.name: " ".join(problem.messages) for problem in found.problems}


class TestFragment:
    def test_it_shows_the_rhythm_in_words_and_the_next_ten_instants(self, editor):
        html = text_of(body(editor.get(PREVIEW, DAILY)))
        assert "At 09:00 every day, Europe/Berlin" in html
        assert "Fri March 27, 2026 09:00:00 in 20 h" in html
        assert html.count("09:00:00") == 10

    def test_it_says_where_the_clocks_change(self, editor):
        html = text_of(body(editor.get(PREVIEW, DAILY)))
        text = "The clocks in Europe/Berlin have changed from UTC+01:00 to UTC+02:00."
        assert f"Sun March 29, 2026 09:00:00 in 2 days {text}" in html
        assert html.count("The clocks") == 1
        later = {**DAILY, "starts_at_0": "2026-04-01", "starts_at_1": "00:00"}
        assert "Clock change" not in body(editor.get(PREVIEW, later))

    def test_it_shows_the_zone_of_the_user_if_it_differs(self, editor):
        given = {"cron": "0 9 * * *", "timezone": "America/New_York"}
        assert "Your time zone, Europe/Berlin" in body(editor.get(PREVIEW, given))
        found = preview(editor, **given)
        assert local_times(found)[0] == "Thu March 26, 2026 09:00:00"
        yours = [text_of(line.yours) for line in found.lines]
        assert yours[2:4] == ["Sat March 28, 2026 14:00:00", "Sun March 29, 2026 15:00:00"]
        assert "Europe/Berlin" in found.lines[3].changes[0]

    def test_it_works_without_time_zone_support(self, editor):
        with override_settings(USE_TZ=False):
            found = preview(editor, **DAILY, starts_at_0="2026-04-01", starts_at_1="00:00")
        assert local_times(found)[0] == "Wed April 1, 2026 09:00:00"

    @pytest.mark.parametrize(
        ("values", "name", "text"),
        [
            ({"cron": "0 25 * * *"}, "cron", "25"),
            ({"cron": ""}, "cron", "neither"),
            ({"every": "1h"}, "cron", "both"),
            ({"cron": "", "every": "soon"}, "every", "soon"),
            ({"timezone": "Europe/Nowhere"}, "timezone", "not a known time zone"),
            ({"starts_at_0": "soon", "starts_at_1": "09:00"}, "starts_at", "valid date"),
            ({"ends_at_0": "2026-01-01", "ends_at_1": "00:00", "starts_at_0": "2026-02-01",
              "starts_at_1": "00:00"}, "ends_at", "before starts_at"),
            ({"jitter": "2d"}, "jitter", "longer than the interval"),
            ({"max_runs": "-1"}, "max_runs", "greater than or equal"),
        ],
    )  # fmt: skip
    def test_it_shows_an_error_at_its_field(self, values, name, text, editor):
        found = preview(editor, **{**DAILY, **values})
        assert found.lines == []
        assert text in errors(found)[name]
        html = body(editor.get(PREVIEW, {**DAILY, **values}))
        assert f'data-preview-field="{name}"' in html

    @pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Etc/GMT+12"])
    @pytest.mark.parametrize(
        "values",
        [
            {"cron": "0 0 29 2 mon", "jitter": "1h"},
            {"cron": "0 0 30 2 *"},
            {"cron": "\0"},
            {"cron": "* " * 2000},
            {"cron": "* * * * *", "starts_at_0": "9999-12-31", "starts_at_1": "23:59:59"},
            {"cron": "* * * * *", "starts_at_0": "0001-01-01", "starts_at_1": "00:00"},
            {"cron": "* * * * *", "max_runs": "9" * 30},
            {"every": "1h", "starts_at_0": "9999-12-31", "starts_at_1": "23:30"},
            {"every": "1h", "ends_at_0": "0001-01-01", "ends_at_1": "00:00"},
            {"every": "0s"},
            {"every": "-1h"},
            {"every": "99999999999999d"},
        ],
    )
    def test_no_value_causes_a_server_error(self, values, zone, editor):
        assert editor.get(PREVIEW, {"timezone": zone, **values}).status_code == 200

    def test_it_escapes_what_was_entered(self, editor):
        assert "<script>" not in body(editor.get(PREVIEW, {**DAILY, "cron": "<script>"}))

    def test_it_says_how_late_a_run_may_be(self, editor):
        html = body(editor.get(PREVIEW, {**DAILY, "jitter": "5m"}))
        assert "Each run starts up to 5m after its instant." in html

    def test_it_ends_with_the_last_run(self, editor):
        found = preview(editor, **DAILY, max_runs="2")
        assert len(found.lines) == 2
        assert found.notes == ["There are no more runs after these."]

    def test_it_says_that_there_is_no_run(self, editor):
        found = preview(editor, **DAILY, ends_at_0="2026-03-01", ends_at_1="00:00")
        assert found.notes == ["There is no run."]

    def test_it_counts_the_interval_of_a_row_from_where_the_row_does(self, editor):
        recurring = schedule_recurring("poll", jobs.trace, every="6h", starts_at="2026-03-26 03:30",
                                       timezone="Europe/Berlin")  # fmt: skip
        given = {"every": "6h", "timezone": "Europe/Berlin", "starts_at_0": "2026-03-26",
                 "starts_at_1": "03:30:00"}  # fmt: skip
        found = preview(editor, id=recurring.pk, **given)
        assert local_times(found)[0] == "Thu March 26, 2026 15:30:00"
        recurring = schedule_recurring("drain", jobs.trace, every="6h", timezone="Europe/Berlin")
        with stopped_clock(NOW.replace(hour=13)):
            same = {"every": "6h", "timezone": "Europe/Berlin"}
            assert preview(editor, id=recurring.pk, **same).lines[0].distance == "in 5 h"
            assert preview(editor, **same).lines[0].distance == "in 6 h"

    def test_an_unknown_row_is_not_found(self, editor):
        for pk in (10**30, "abc", "%00", "\0", ""):
            assert editor.get(PREVIEW, {**DAILY, "id": pk}).status_code == 404

    def test_it_accepts_no_post(self, editor):
        assert editor.post(PREVIEW, DAILY).status_code == 405

    def test_users_who_may_only_view_are_refused(self, login):
        assert login("view_recurringjob").get(PREVIEW, DAILY).status_code == 403

    def test_users_who_may_only_add_are_refused_for_a_row(self, login):
        recurring = schedule_recurring("poll", jobs.trace, every="6h")
        client = login("view_recurringjob", "add_recurringjob")
        assert client.get(PREVIEW, DAILY).status_code == 200
        assert client.get(PREVIEW, {**DAILY, "id": recurring.pk}).status_code == 403

    def test_the_preview_of_a_declared_row_is_refused(self, editor):
        recurring = schedule_recurring("poll", jobs.trace, every="6h")
        RecurringJob.objects.update(is_declared=True)
        assert editor.get(PREVIEW, {**DAILY, "id": recurring.pk}).status_code == 403


class TestButton:
    def test_it_shows_the_preview_and_what_was_entered_and_saves_nothing(self, editor):
        values = {**EMPTY, **DAILY, "name": "report", "callable_name": "tests.shop.jobs.trace"}
        html = body(editor.post(f"{LIST}add/", {**values, "_preview": "Preview"}))
        assert "At 09:00 every day, Europe/Berlin" in html
        assert 'value="report"' in html
        assert html.count('<th scope="row"><time') == 10
        assert not RecurringJob.objects.exists()
        assert not LogEntry.objects.exists()

    def test_it_changes_no_row(self, editor):
        recurring = schedule_recurring("report", jobs.trace, **DAILY)
        page = f"{LIST}{recurring.pk}/change/"
        values = {**EMPTY, **DAILY, "callable_name": recurring.callable_name, "cron": "0 7 * * *"}
        assert "At 07:00" in body(editor.post(page, {**values, "_preview": "Preview"}))
        assert RecurringJob.objects.get().cron == "0 9 * * *"

    def test_it_does_not_require_the_other_fields(self, editor):
        html = body(editor.post(f"{LIST}add/", {**DAILY, "_preview": "Preview"}))
        assert "At 09:00 every day, Europe/Berlin" in html
        assert "This field is required" not in html

    def test_it_shows_an_error_at_its_field(self, editor):
        response = editor.post(f"{LIST}add/", {**DAILY, "cron": "0 25 * * *", "_preview": "1"})
        text = "There is no preview, because a value is wrong: Cron."
        assert text in text_of(body(response))
        assert response.context["adminform"].form.errors.keys() == {"cron"}

    def test_a_user_who_may_only_view_gets_none(self, login):
        recurring = schedule_recurring("report", jobs.trace, **DAILY)
        client = login("view_recurringjob")
        page = f"{LIST}{recurring.pk}/change/"
        assert "_preview" not in body(client.get(page))
        assert client.post(page, {**DAILY, "_preview": "1"}).status_code == 403


@pytest.mark.parametrize(
    "text",
    [
        "one run, for the latest: After a downtime, one run stands for all of them.",
        "it is skipped: The run does not happen, and is counted as skipped.",
    ],
)
def test_the_form_explains_each_choice_of_a_policy(text, editor):
    assert text in body(editor.get(f"{LIST}add/"))
