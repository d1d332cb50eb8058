"""Recurring jobs in the admin."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry

from django_future import (
    RecurringJob,
    ScheduledJob,
    clock,
    job,
    pause_recurring,
    run_jobs,
    schedule_job,
    schedule_recurring,
)
from django_future.models.fields import raw_value
from django_future.models.recurring import NOT_DECLARED
from django_future.scheduling.recurring import write
from django_future.scheduling.recurring_columns import build_recurring
from django_future.scheduling.runs import Materialiser
from django_future.serialization import Stored, encode
from django_future.store import store_for
from django_future.testing.travel import stopped_clock
from tests.shop import jobs
from tests.support.admin_pages import LIST as JOBS
from tests.support.admin_pages import UNPICKLED, Suitcase, body, listed, page_of
from tests.support.busy_database import rival_writes_after_first_read

pytestmark = pytest.mark.django_db

LIST = "/admin/django_future/recurringjob/"
NOW = datetime(2026, 3, 2, 8, 0, 1, tzinfo=UTC)  # a Monday; 09:00:01 in Berlin
HOUR = timedelta(hours=1)
SECRET = "4111-1111"
FIELDS = ["callable_name", "args", "kwargs", "cron", "every", "timezone", "starts_at", "ends_at",
          "max_runs", "jitter", "missed", "catch_up_window", "overlap", "queue_name", "priority",
          "expires"]  # fmt: skip


@job(sensitive_arguments=["card"])
def pay(amount, card=None):
    """Take a card number, which is sensitive."""


@job(sensitive_arguments=True)
def log_in(name, password):
    """Take a password."""


@job(unique=lambda when: when.isoformat())
def once_a_day(when):
    """Be unique by a date."""


@job(max_attempts=2, backoff=["1m"])
def flaky(value=None):
    """Be tried twice."""


def backoff(attempt):
    """Return the delay of a retry, for a pickle."""
    UNPICKLED.append(attempt)
    return timedelta(minutes=1)


@pytest.fixture(autouse=True)
def monday():
    """Stop the clock on a Monday, a second after nine in Berlin."""
    with stopped_clock(NOW):
        yield


@pytest.fixture
def editor(login):
    """Return the client of a user who may view, add, change and delete recurring jobs."""
    verbs = ["view", "add", "change", "delete"]
    return login(*(f"{verb}_recurringjob" for verb in verbs))


@pytest.fixture
def operator(login):
    """Return the client of a user who may view, pause, resume and trigger recurring jobs."""
    return login("view_recurringjob", "change_recurringjob")


def hourly(name="hourly", target=jobs.trace, **arguments):
    """Schedule a recurring job every hour."""
    return schedule_recurring(name, target, **{"cron": "0 * * * *", **arguments})


def declared(name="declared", **arguments):
    """Write a recurring job as the code declares it."""
    wanted = build_recurring(name, jobs.trace, is_declared=True, cron="0 * * * *", **arguments)
    return write(wanted)


def page(recurring):
    return f"{LIST}{recurring.pk}/change/"


def form_at(client, address):
    return client.get(address).context["adminform"].form


def shown(form):
    """Return what a browser would submit if the user changed nothing in the form."""
    data = {}
    for field in form:
        widget = field.field.widget.get_context(field.html_name, field.value(), {})["widget"]
        for part in widget.get("subwidgets", [widget]):
            value = part["value"]
            data[part["name"]] = "".join(value) if isinstance(value, list) else value or ""
    return data


def submit(client, address, **changes):
    """Submit a form with some changed values, and return the response."""
    return client.post(address, {**shown(form_at(client, address)), **changes})


def add(client, **values):
    """Submit the form for a new recurring job."""
    given = {"name": "hourly", "callable_name": "tests.shop.jobs.trace", "cron": "0 * * * *"}
    return submit(client, f"{LIST}add/", **given | values)


def errors(response):
    """Return the messages at each field of a refused form."""
    assert response.status_code == 200
    found = response.context["adminform"].form.errors
    return {name: " ".join(messages) for name, messages in found.items()}


def columns(recurring):
    """Return all columns of a row, as stored."""
    return RecurringJob.objects.filter(pk=recurring.pk).values().get()


def act(client, action, *selected, address=LIST, **data):
    """Confirm an action on the selected recurring jobs, and return the messages."""
    ids = [row.pk for row in selected]
    given = {"action": action, "_selected_action": ids, "post": "yes", **data}
    response = client.post(address, given, follow=True)
    return [str(message) for message in response.context["messages"]]


def at_hour(hour):
    """Return the instant of an hour of the day before, as a row stores it."""
    return clock.to_row(datetime(2026, 3, 1, hour - 1, tzinfo=UTC))


def row_of(html, recurring):
    """Return the HTML of the row of a recurring job in the list."""
    (found,) = [row for row in html.split("<tr>") if f"/{recurring.pk}/change/" in row]
    return found


class TestList:
    def test_it_shows_what_when_and_how_often(self, admin_client, order):
        recurring = schedule_recurring(
            "remind", "remind", cron="0 9 * * mon-fri", content_object=order
        )
        RecurringJob.objects.update(runs=31, missed_runs=32, skipped_runs=33)
        row = row_of(body(admin_client.get(LIST)), recurring)
        assert f'<span title="remind">remind</span> (shop.order {order.pk})' in row
        assert "At 09:00, Monday to Friday, Europe/Berlin" in row
        assert 'title="March 3, 2026 09:00:00">in 23 h</time>' in row
        assert ">31<" in row
        assert ">32 missed<" in row
        assert ">33 skipped<" in row

    def test_it_shows_the_last_run_and_how_long_it_took(self, admin_client):
        recurring = hourly()
        run_jobs(now=NOW + HOUR)
        started = clock.to_row(NOW - HOUR)
        ScheduledJob.objects.update(
            recurs_at=started, started_at=started, finished_at=started + timedelta(seconds=3)
        )
        row = row_of(body(admin_client.get(LIST)), recurring)
        assert '<span aria-hidden="true">✓</span>&nbsp;complete' in row
        assert ">59 min ago</time>, took 3 s" in row

    def test_it_shows_when_a_run_was_whose_job_was_deleted(self, admin_client):
        recurring = hourly()
        RecurringJob.objects.update(last_run_at=clock.to_row(NOW - HOUR))
        row = row_of(body(admin_client.get(LIST)), recurring)
        assert ">1 h ago</time></td>" in row

    def test_it_shows_the_outcomes_of_the_latest_runs_as_marks_and_in_words(self, admin_client):
        recurring, other = hourly(), hourly("other")
        recurring.backfill("2026-03-01 00:00", "2026-03-01 11:00")
        other.backfill("2026-03-01 00:00", "2026-03-01 02:00")
        ScheduledJob.objects.filter(recurring=recurring).update(status="complete")
        ScheduledJob.objects.filter(recurring=recurring, recurs_at__lt=at_hour(3)).update(
            status="failed"
        )
        html = body(admin_client.get(LIST))
        text = "The latest runs, the oldest first: 1 failed, 9 complete"
        assert f'role="img" aria-label="{text}"' in row_of(html, recurring)
        assert row_of(html, recurring).count("✗") == 1
        assert "3 scheduled" in row_of(html, other)
        assert "March 1, 2026 02:00:00: failed" in row_of(html, recurring)

    def test_the_latest_runs_are_not_those_ahead_and_not_triggered_ones(self, admin_client):
        recurring = hourly()
        recurring.trigger()
        Materialiser(store_for("default")).work(NOW + HOUR)
        assert ScheduledJob.objects.count() == 2
        assert "future-marks" not in row_of(body(admin_client.get(LIST)), recurring)

    def test_it_shows_intervals_in_words(self, admin_client):
        recurring = schedule_recurring("poll", jobs.trace, every="90m")
        assert "Every 1h30m" in row_of(body(admin_client.get(LIST)), recurring)

    @pytest.mark.parametrize(
        ("changes", "state"),
        [
            ({}, ">in 59 min</time>"),
            ({"paused_at": NOW, "paused_reason": "<moving>"}, ">paused: &lt;moving&gt;<"),
            ({"paused_at": NOW, "paused_by": "ada", "paused_reason": "moving"},
             ">paused by ada: moving<"),
            ({"paused_at": NOW}, ">paused<"),
            ({"error": "HandlerUnknown: gone"}, ">error: HandlerUnknown: gone<"),
            ({"next_run_at": None}, ">ended<"),
            ({"queued_at": NOW}, ">a run waits for the last one<"),
        ],
    )  # fmt: skip
    def test_it_shows_the_next_run_or_why_there_is_none(self, changes, state, admin_client):
        recurring = hourly()
        rows = {
            name: clock.to_row(value) if value is NOW else value for name, value in changes.items()
        }
        RecurringJob.objects.update(**rows)
        assert state in row_of(body(admin_client.get(LIST)), recurring)

    def test_it_takes_a_constant_number_of_queries(
        self, admin_client, order, django_assert_num_queries
    ):
        for number in range(50):
            hourly(f"job {number}", "remind" if number % 2 else "tests.shop.jobs.take",
                   content_object=order, args=[number])  # fmt: skip
            RecurringJob.objects.get(name=f"job {number}").backfill(*["2026-03-01 00:00"] * 2)
        with django_assert_num_queries(6):  # session, user, count, rows, ids of runs, runs
            assert len(listed(admin_client.get(LIST))) == 50

    def test_it_reads_no_arguments(self, admin_client):
        hourly(args=["x" * 100_000])
        row = admin_client.get(LIST).context["cl"].result_list[0]
        assert row.get_deferred_fields() == {"args", "kwargs", "options"}

    @pytest.mark.parametrize(
        ("state", "names"),
        [
            ("active", ["active"]),
            ("paused", ["paused"]),
            ("error", ["broken"]),
            ("waiting", ["waits"]),
            ("ended", ["ended"]),
            ("unknown", ["active", "broken", "ended", "paused", "waits"]),
        ],
    )
    def test_it_filters_by_state(self, state, names, admin_client):
        hourly("active")
        hourly("paused").pause()
        hourly("ended", ends_at=NOW)
        hourly("broken")
        hourly("waits")
        rows = RecurringJob.objects
        rows.filter(name="broken").update(error="gone")
        rows.filter(name="waits").update(queued_at=clock.to_row(NOW), next_run_at=None)
        found = admin_client.get(LIST, {"state": state}).context["cl"].result_list
        assert [row.name for row in found] == names

    def test_it_filters_declared_ones(self, admin_client):
        hourly()
        found = declared()
        assert listed(admin_client.get(f"{LIST}?is_declared__exact=1")) == [found.pk]

    def test_it_finds_the_beginning_of_a_name(self, admin_client):
        found = hourly("report of orders")
        hourly("orders")
        assert listed(admin_client.get(LIST, {"q": "report"})) == [found.pk]

    @pytest.mark.parametrize("column", ["args", "kwargs", "options", "signature", "error"])
    def test_no_lookup_reveals_hidden_columns(self, column, admin_client):
        hourly()
        for lookup in ("", "__startswith", "__contains", "__regex"):
            assert admin_client.get(LIST, {f"{column}{lookup}": "["}).status_code == 400

    @pytest.mark.parametrize(
        "query",
        ["state=%00", "is_declared=%00", "is_declared__exact=abc", "q=%00", "o=abc", "p=-1",
         "name=%00", "paused_at__year=abc", "_to_field=args"],
    )  # fmt: skip
    def test_no_query_string_causes_a_server_error(self, query, admin_client):
        recurring = hourly()
        for address in (LIST, page(recurring), f"{LIST}add/"):
            assert admin_client.get(f"{address}?{query}").status_code < 500


BROKEN = {
    "zone gone": {"timezone": "Europe/Nowhere"},
    "no zone": {"timezone": ""},
    "wrong cron": {"cron": "every day"},
    "no rhythm": {"cron": "", "every": None},
    "interval of 0": {"cron": "", "every": timedelta()},
    "negative interval": {"cron": "", "every": -HOUR},
    "handler gone": {"callable_name": "tests.shop.gone.missing"},
    "markup": {"callable_name": "<script>alert(1)</script>.x"},
    "no handler": {"callable_name": ""},
    "damaged arguments": {"args": Stored("not json"), "kwargs": Stored("{")},
    "arguments of other types": {"args": Stored("5"), "kwargs": Stored('"a"')},
    "deep arguments": {"args": Stored("[" * 50_000 + "]" * 50_000)},
    "huge numbers": {"args": Stored("[" + "9" * 5_000 + "]"), "kwargs": Stored('{"a": NaN}')},
    "half a surrogate pair": {"args": Stored('["\\ud800"]')},
    "a forged pickle": {"args": Stored('[{"__type__": "pickle", "value": "forged"}]')},
    "damaged options": {"options": Stored("{")},
    "options that are none": {"options": Stored("5")},
    "options with other names": {"options": Stored('{"cron": "a", "name": 1, "args": [9]}')},
    "options with other types": {"options": Stored('{"max_attempts": "a", "unique": [1]}')},
    "a deleted object": {"content_type_id": 1, "object_id": "no id"},
    "an unknown database": {"content_type_id": 1, "object_id": "1", "object_database": "gone"},
}


@pytest.mark.parametrize("changes", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("target", [jobs.take, pay])
def test_no_stored_row_causes_a_server_error(changes, target, admin_client):
    recurring = hourly(target=target, args=[5, SECRET])
    RecurringJob.objects.update(**changes)
    addresses = [
        LIST,
        *(f"{LIST}{recurring.pk}/{name}/" for name in ("change", "delete", "history")),
    ]
    for address in addresses:
        assert "<script>alert" not in body(admin_client.get(address))
    submit(admin_client, page(recurring))
    for action in ("trigger_selected", "pause_selected", "resume_selected"):
        assert act(admin_client, action, recurring)
    admin_client.post(f"{LIST}{recurring.pk}/delete/", {"post": "yes"})
    assert not RecurringJob.objects.exists()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"timezone": "Europe/Nowhere"}, "Europe/Nowhere&#x27;, which is not a known time zone"),
        ({"cron": "every day"}, "&#x27;every day&#x27; is not a cron expression"),
    ],
)
def test_the_list_and_the_page_show_why_a_rhythm_cannot_be_followed(changes, text, admin_client):
    recurring = hourly()
    RecurringJob.objects.update(**changes)
    for address in (LIST, page(recurring)):
        assert text in body(admin_client.get(address))


class TestPage:
    def test_it_shows_the_state_and_the_next_instants(self, admin_client):
        recurring = schedule_recurring("report", jobs.trace, cron="0 9 * * mon-fri", timezone="UTC")
        pause_recurring("report", reason="month end")
        html = body(admin_client.get(page(recurring)))
        assert "month end" in html
        assert html.count("10:00:00 (09:00:00 UTC)</time>") == 0
        assert html.count("10:00:00</time> (09:00:00 UTC)") == 5
        assert recurring.signature not in html

    def test_it_shows_who_has_paused_it(self, admin_client):
        recurring = hourly()
        recurring.pause("month end", "ada")
        html = " ".join(body(admin_client.get(page(recurring))).split())
        for text in ("ada", "month end"):
            assert f'<div class="readonly">{text}</div>' in html

    def test_it_shows_the_latest_runs_with_links_to_their_jobs(self, admin_client):
        recurring = hourly()
        recurring.backfill("2026-03-01 00:00", "2026-03-01 23:00")
        triggered = recurring.trigger()
        started = clock.to_row(NOW - HOUR)
        ScheduledJob.objects.filter(recurs_at=at_hour(23)).update(
            status="failed", attempts=2, max_attempts=3, started_at=started,
            finished_at=started + timedelta(seconds=3),
        )  # fmt: skip
        html = body(admin_client.get(page(recurring)))
        rows = html.partition("future-runs-heading")[2].partition("</table>")[0].split("<tr>")[2:]
        assert len(rows) == 20
        assert '<th scope="row">triggered</th>' in rows[0]
        assert f'<a href="{page_of(triggered)}">{triggered.pk}</a>' in rows[0]
        failed = rows[1].replace("\N{NO-BREAK SPACE}", " ")
        assert "March 1, 2026 23:00:00" in failed
        assert "March 2, 2026 08:00:01" in failed
        for text in ("3.000 s", '<span aria-hidden="true">✗</span>&nbsp;failed', "2 of 3"):
            assert f"<td>{text}</td>" in failed

    def test_it_says_that_there_is_no_run(self, admin_client):
        assert "There is no run" in body(admin_client.get(page(hourly())))

    def test_it_links_no_job_without_the_permission_to_view_jobs(self, login):
        recurring = hourly()
        run = recurring.trigger()
        html = body(login("view_recurringjob").get(page(recurring)))
        assert f"<td>{run.pk}</td>" in html
        assert page_of(run) not in html

    def test_it_links_the_runs(self, admin_client):
        recurring = hourly()
        run_jobs(now=NOW + HOUR)
        schedule_job("1h", jobs.echo)
        address = f"{JOBS}?recurring={recurring.pk}"
        assert f'<a href="{address}">1</a>' in body(admin_client.get(page(recurring)))
        assert f'<a href="{address}">1</a>' in body(admin_client.get(LIST))
        assert listed(admin_client.get(address)) == [recurring.jobs.get().pk]

    def test_it_does_not_link_the_runs_for_a_user_who_may_not_view_jobs(self, login):
        recurring = hourly()
        run_jobs(now=NOW + HOUR)
        client = login("view_recurringjob")
        for address in (page(recurring), LIST):
            assert JOBS not in body(client.get(address))

    def test_each_input_for_a_time_has_a_label(self, editor):
        for address in (page(hourly()), f"{LIST}add/"):
            html = body(editor.get(address))
            for field in ("Starts at", "Ends at"):
                assert html.count(f'aria-label="{field}: date"') == 1
                assert html.count(f'aria-label="{field}: time"') == 1

    @pytest.mark.parametrize("value", ["abc", "9" * 50, "-1", "%00", "1,2", ""])
    def test_no_filter_for_runs_causes_a_server_error(self, value, admin_client):
        hourly()
        assert admin_client.get(f"{JOBS}?recurring__id__exact={value}").status_code < 500

    def test_a_run_links_its_recurring_job(self, admin_client):
        recurring = hourly("report")
        run_jobs(now=NOW + HOUR)
        html = body(admin_client.get(page_of(recurring.jobs.get())))
        assert f'<a href="{page(recurring)}">report</a>' in html
        assert "March\N{NO-BREAK SPACE}2,\N{NO-BREAK SPACE}2026 10:00:00" in html
        assert "Recurs at" in html

    def test_a_triggered_run_has_no_instant(self, admin_client):
        run = hourly("report").trigger()
        html = body(admin_client.get(page_of(run)))
        assert ">report</a>" in html
        assert "Recurs at" not in html

    def test_a_run_does_not_link_its_recurring_job_without_view_permission(self, login):
        run = hourly("report").trigger()
        html = body(login("view_scheduledjob").get(page_of(run)))
        assert ">report<" in html
        assert ">report</a>" not in html

    def test_another_job_has_no_recurring_job(self, admin_client):
        assert "Recurring job:" not in body(
            admin_client.get(page_of(schedule_job("1h", jobs.echo)))
        )

    def test_a_user_with_only_the_view_permission_changes_nothing(self, login):
        recurring = hourly(args=["a", ], every=None, jitter="5m", starts_at=NOW)  # fmt: skip
        client = login("view_recurringjob")
        html = body(client.get(page(recurring)))
        assert "tests.shop.jobs.trace" in html
        assert ">5m<" in html
        assert "<textarea" not in html
        assert client.post(page(recurring), {"cron": "1 * * * *"}).status_code == 403

    def test_it_unpickles_nothing_for_display(self, login):
        recurring = hourly(target=jobs.take, args=[Suitcase()])
        client = login("view_recurringjob")
        UNPICKLED.clear()
        assert "Suitcase, pickled&gt;" in body(client.get(page(recurring)))
        assert UNPICKLED == []


class TestNew:
    def test_the_form_creates_a_recurring_job(self, editor):
        add(editor, args='["a"]', cron="@hourly", priority="7", expires="12h", max_runs="3",
            jitter="5m", missed="skip", overlap="queue_one", queue_name="mail",
            timezone="Asia/Tokyo", starts_at_0="2026-03-02", starts_at_1="12:30:00")  # fmt: skip
        row = RecurringJob.objects.get()
        assert (row.callable_name, row.args, row.kwargs) == ("tests.shop.jobs.trace", ["a"], {})
        assert (row.cron, row.timezone, row.max_runs) == ("@hourly", "Asia/Tokyo", 3)
        assert (row.priority, row.queue_name, row.expires) == (7, "mail", "12h")
        assert (row.jitter, row.missed, row.overlap) == (timedelta(minutes=5), "skip", "queue_one")
        # 12:30 in Berlin, because the admin shows that time zone
        assert clock.from_row(row.starts_at) == datetime(2026, 3, 2, 11, 30, tzinfo=UTC)
        assert clock.from_row(row.next_run_at) == datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
        assert row.is_signed

    def test_it_is_the_same_row_as_that_of_the_code(self, editor):
        by_code = columns(hourly("by code", args=["a"], kwargs={}, expires="1d", every=None))
        add(editor, name="by form", args='["a"]', expires="24h")
        by_form = columns(RecurringJob.objects.get(name="by form"))
        unequal = {name for name in by_code if by_code[name] != by_form[name]}
        assert unequal == {"id", "name"}

    def test_the_time_zone_of_the_project_is_the_default(self, editor):
        add(editor, cron="", every="90m")
        row = RecurringJob.objects.get()
        assert (row.timezone, row.every) == ("Europe/Berlin", timedelta(minutes=90))

    def test_a_new_recurring_job_is_recorded_in_its_history(self, editor):
        add(editor)
        row = RecurringJob.objects.get()
        entry = LogEntry.objects.get()
        assert (entry.object_id, entry.object_repr) == (str(row.pk), "hourly")
        assert "Added" in str(entry)

    def test_it_materialises_a_run_that_is_due_soon(self, editor):
        with stopped_clock(NOW + HOUR - timedelta(seconds=5)):
            add(editor)
        assert ScheduledJob.objects.get().recurring == RecurringJob.objects.get()

    def test_the_name_of_another_one_is_refused(self, editor):
        other = hourly("report", priority=3)
        before = columns(other)
        assert "exists already" in errors(add(editor, name="report"))["name"]
        assert columns(other) == before

    def test_tags_in_the_arguments_are_only_data(self, editor):
        tagged = [{"__type__": "pickle", "class": "x", "value": "forged"}]
        add(editor, callable_name="tests.shop.jobs.take", args=json.dumps(tagged))
        assert RecurringJob.objects.get().args == tagged

    def test_without_the_add_permission_there_is_no_form(self, login):
        client = login("view_recurringjob", "change_recurringjob", "operate_scheduledjob")
        assert client.get(f"{LIST}add/").status_code == 403
        assert client.post(f"{LIST}add/", {"name": "a"}).status_code == 403


REFUSED = [
    ({"name": " a"}, "name"),
    ({"name": "a\0"}, "name"),
    ({"name": "a" * 201}, "name"),
    ({"name": ""}, "name"),
    ({"callable_name": "tests.shop.jobs.missing"}, "callable_name"),
    ({"callable_name": "remind"}, "callable_name"),
    ({"callable_name": "os.system"}, "callable_name"),
    ({"callable_name": ""}, "callable_name"),
    ({"cron": "0 0 31 2 *"}, "cron"),
    ({"cron": "0 0 9 * * *"}, "cron"),
    ({"cron": "every day"}, "cron"),
    ({"cron": ""}, "cron"),
    ({"every": "1h"}, "cron"),
    ({"timezone": ""}, "timezone"),
    ({"timezone": "America"}, "timezone"),
    ({"timezone": "../etc/passwd"}, "timezone"),
    ({"timezone": "Europe/\0"}, "timezone"),
    ({"cron": "", "every": "0s"}, "every"),
    ({"cron": "", "every": "often"}, "every"),
    ({"cron": "", "every": "-1h"}, "every"),
    ({"cron": "", "every": "6000w"}, "every"),
    ({"starts_at_0": "soon"}, "starts_at"),
    ({"starts_at_0": "0001-01-01", "starts_at_1": "00:00:00"}, "starts_at"),
    ({"starts_at_0": "9999-12-31", "starts_at_1": "00:00:00"}, "starts_at"),
    (
        {"starts_at_0": "2030-01-02", "starts_at_1": "00:00:00",
         "ends_at_0": "2030-01-01", "ends_at_1": "00:00:00"},
        "ends_at",
    ),
    ({"jitter": "61m"}, "jitter"),
    ({"jitter": "0s"}, "jitter"),
    ({"missed": "twice"}, "missed"),
    ({"overlap": "twice"}, "overlap"),
    ({"max_runs": "0"}, "max_runs"),
    ({"max_runs": "9" * 20}, "max_runs"),
    ({"max_runs": "9" * 5000}, "max_runs"),
    ({"max_runs": "many"}, "max_runs"),
    ({"catch_up_window": "0s"}, "catch_up_window"),
    ({"expires": "0s"}, "expires"),
    ({"expires": "2030-01-01"}, "expires"),
    ({"priority": "101"}, "priority"),
    ({"priority": "high"}, "priority"),
    ({"queue_name": "a\nb"}, "queue_name"),
    ({"args": ""}, "args"),
    ({"args": "a"}, "args"),
    ({"args": "null"}, "args"),
    ({"args": "[NaN]"}, "args"),
    ({"args": "[" * 50_000}, "args"),
    ({"args": "[" + "9" * 5_000 + "]"}, "args"),
    ({"args": '{"a": 1}'}, "args"),
    ({"args": "[1, 2, 3]"}, "args"),
    ({"kwargs": "[1]"}, "kwargs"),
    ({"kwargs": ""}, "kwargs"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "field"), REFUSED)
def test_the_form_refuses_bad_input_at_its_field(values, field, editor):
    assert list(errors(add(editor, **values))) == [field]
    assert not RecurringJob.objects.exists()


@pytest.mark.parametrize(("values", "field"), REFUSED)
def test_the_form_refuses_bad_changes_and_writes_nothing(values, field, editor):
    recurring = hourly()
    before = columns(recurring)
    if field == "name":
        submit(editor, page(recurring), **values)
    else:
        assert list(errors(submit(editor, page(recurring), **values))) == [field]
    assert columns(recurring) == before


@pytest.mark.parametrize(
    ("arguments", "values"),
    [
        ({"cron": "every day"}, {"cron": "every day"}),
        ({"every": "0s"}, {"cron": "", "every": "0s"}),
        ({}, {"cron": ""}),
        ({"every": "1h", "jitter": "61m"}, {"cron": "", "every": "1h", "jitter": "61m"}),
        ({"every": "1h", "max_runs": 0}, {"cron": "", "every": "1h", "max_runs": "0"}),
        ({"every": "1h", "priority": 101}, {"cron": "", "every": "1h", "priority": "101"}),
        ({"every": "1h", "args": {}}, {"cron": "", "every": "1h", "args": "{}"}),
    ],
)
def test_the_form_has_the_messages_of_the_code(arguments, values, editor):
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - a SchedulingError of any kind
        schedule_recurring("hourly", jobs.trace, **arguments)
    assert list(errors(add(editor, **values)).values()) == [str(caught.value)]


class TestChange:
    def test_saving_without_a_change_writes_nothing(self, editor):
        recurring = hourly(args=["a"], jitter="90s", starts_at=NOW.replace(microsecond=123456),
                           expires=None, priority=5, queue_name=" mail ")  # fmt: skip
        before = columns(recurring)
        with stopped_clock(NOW + timedelta(minutes=5)):
            assert submit(editor, page(recurring)).status_code == 302
        assert columns(recurring) == before

    def test_a_new_rhythm_counts_from_now(self, editor):
        recurring = schedule_recurring("poll", jobs.trace, every="90m")
        submit(editor, page(recurring), every="2h")
        recurring.refresh_from_db()
        assert clock.from_row(recurring.next_run_at) == NOW + 2 * HOUR

    def test_other_changes_keep_the_rhythm(self, editor):
        recurring = schedule_recurring("poll", jobs.trace, every="90m")
        with stopped_clock(NOW + HOUR):
            submit(editor, page(recurring), priority="9", args='["b"]')
        changed = RecurringJob.objects.get()
        assert (changed.next_run_at, changed.anchor_at) == (
            recurring.next_run_at,
            recurring.anchor_at,
        )
        assert (changed.priority, changed.args) == (9, ["b"])

    def test_a_change_takes_back_a_run_that_has_not_started(self, editor):
        recurring = hourly()
        with stopped_clock(NOW + HOUR - timedelta(seconds=5)):
            Materialiser(store_for("default")).work(clock.now())
            submit(editor, page(recurring), cron="30 * * * *")
        assert not ScheduledJob.objects.exists()

    def test_the_name_cannot_be_changed(self, editor):
        recurring = hourly()
        assert "name" not in form_at(editor, page(recurring)).fields
        submit(editor, page(recurring), name="other")
        assert RecurringJob.objects.get().name == "hourly"

    def test_a_pause_lasts(self, editor):
        recurring = hourly()
        recurring.pause("month end")
        submit(editor, page(recurring), cron="30 * * * *")
        changed = RecurringJob.objects.get()
        assert (changed.paused_reason, changed.next_run_at) == ("month end", None)

    def test_true_instead_of_one_is_a_change(self, editor):
        recurring = hourly(args=[1])
        submit(editor, page(recurring), args="[true]")
        assert raw_value(RecurringJob.objects.get(), "args") == "[true]"

    def test_arguments_are_shown_as_people_write_them(self, editor):
        recurring = hourly(args=["Zoë\0"])
        assert shown(form_at(editor, page(recurring)))["args"] == '["Zoë\\u0000"]'

    def test_the_content_object_stays(self, editor, order):
        recurring = hourly(target="remind", content_object=order, args=[2])
        submit(editor, page(recurring), cron="30 * * * *", args="[3]")
        changed = RecurringJob.objects.get()
        assert (changed.content_object, changed.args) == (order, [3])
        changed.trigger()
        run_jobs(now=NOW)
        order.refresh_from_db()
        assert order.reminders == 3

    def test_a_method_that_the_content_object_does_not_have_is_refused(self, editor, order):
        recurring = hourly(target="remind", content_object=order)
        found = errors(submit(editor, page(recurring), callable_name="remined"))
        assert "no public method" in found["callable_name"]

    def test_a_deleted_content_object_is_named(self, editor, order):
        recurring = hourly(target="remind", content_object=order)
        order.delete()
        found = errors(submit(editor, page(recurring), cron="30 * * * *"))
        assert "The content object was deleted" in found["__all__"]

    @pytest.mark.parametrize(
        "options",
        [
            {"max_attempts": 3, "timeout": "5m"},
            {"timeout": timedelta(minutes=5), "unique": "one"},
            {"unique": "one", "unique_replace": True},
            {"backoff": backoff, "max_attempts": 3},
        ],
    )
    def test_options_stay_and_are_not_decoded(self, options, editor):
        recurring = hourly(**options)
        before = raw_value(RecurringJob.objects.get(), "options")
        UNPICKLED.clear()
        submit(editor, page(recurring), cron="30 * * * *", args='["b"]')
        changed = RecurringJob.objects.get()
        assert (changed.cron, raw_value(changed, "options")) == ("30 * * * *", before)
        assert (changed.is_signed, changed.options) == (True, options)
        changed.trigger()

    def test_pickled_options_are_signed_for_another_callable(self, editor):
        recurring = hourly(backoff=backoff, max_attempts=3)
        submit(editor, page(recurring), callable_name="tests.shop.jobs.echo")
        assert RecurringJob.objects.get().options == {"backoff": backoff, "max_attempts": 3}

    def test_options_of_a_row_are_checked_together_with_those_of_the_form(self, editor):
        recurring = hourly(target=jobs.take, unique="one")
        RecurringJob.objects.update(options=Stored('{"max_attempts": 0}'))
        row = RecurringJob.objects.get()
        row.is_signed = True
        row.save()
        assert "max_attempts" in errors(submit(editor, page(recurring)))["__all__"]

    def test_a_change_is_recorded_in_the_history(self, editor):
        recurring = hourly(jitter="90s", starts_at=NOW)
        submit(editor, page(recurring), cron="30 * * * *", args='["b"]')
        assert LogEntry.objects.get().get_change_message() == "Changed Arguments and Cron."

    @pytest.mark.django_db(databases=["default", "other"])
    def test_a_row_in_another_database_is_changed_there(self, editor, settings):
        settings.DATABASE_ROUTERS = ["tests.support.routers.JobsApart"]
        add(editor, cron="0 9 * * *")
        recurring = RecurringJob.objects.using("other").get()
        submit(editor, page(recurring), cron="30 * * * *")
        assert RecurringJob.objects.using("other").get().cron == "30 * * * *"
        editor.post(f"{LIST}{recurring.pk}/delete/", {"post": "yes"})
        assert not RecurringJob.objects.using("other").exists()

    def test_a_change_clears_the_error(self, editor):
        recurring = hourly()
        RecurringJob.objects.update(error="HandlerUnknown: gone")
        submit(editor, page(recurring))
        assert RecurringJob.objects.get().error == ""


class TestArgumentsThatAreNotEdited:
    @pytest.mark.parametrize(
        ("args", "text"),
        [
            ([date(2026, 3, 2)], "date(&#x27;2026-03-02&#x27;)"),
            ([(1, 2)], "tuple([1, 2])"),
            ([Suitcase()], "Suitcase, pickled&gt;"),
            (["x" * 20_000], "xxx"),
        ],
    )
    def test_they_are_described_and_stay(self, args, text, editor):
        recurring = hourly(target=jobs.take, args=args, kwargs={"a": 1})
        before = raw_value(RecurringJob.objects.get(), "args")
        UNPICKLED.clear()
        assert text in body(editor.get(page(recurring)))
        submit(editor, page(recurring), cron="30 * * * *", args="[1]", kwargs='{"a": 2}',
               callable_name="tests.shop.jobs.echo")  # fmt: skip
        changed = RecurringJob.objects.get()
        assert (changed.cron, changed.kwargs) == ("30 * * * *", {"a": 2})
        assert (raw_value(changed, "args"), changed.is_signed) == (before, True)
        assert changed.callable_name == "tests.shop.jobs.take"
        assert UNPICKLED == []
        changed.trigger()

    def test_they_are_still_counted(self, editor):
        recurring = hourly(args=[date(2026, 3, 2)])
        found = errors(submit(editor, page(recurring), kwargs='{"colour": 1}'))
        assert "does not accept" in found["__all__"]

    def test_a_function_for_a_unique_key_does_not_get_them(self, editor):
        recurring = hourly(target=once_a_day, args=[date(2026, 3, 2)])
        submit(editor, page(recurring), cron="30 * * * *")
        assert RecurringJob.objects.get().cron == "30 * * * *"

    @pytest.mark.parametrize(
        ("target", "args", "kwargs"),
        [
            (pay, [5, SECRET], {}),
            (pay, [5], {"card": SECRET}),
            (log_in, ["Ada", SECRET], {}),
        ],
    )
    def test_sensitive_ones_are_hidden_and_stay(self, target, args, kwargs, editor):
        recurring = hourly(target=target, args=args, kwargs=kwargs)
        html = body(editor.get(page(recurring)))
        assert SECRET not in html
        assert "[hidden]" in html
        submit(editor, page(recurring), cron="30 * * * *", args="[1]", kwargs="{}",
               callable_name="tests.shop.jobs.take")  # fmt: skip
        changed = RecurringJob.objects.get()
        assert (changed.args, changed.kwargs, changed.cron) == (args, kwargs, "30 * * * *")
        assert changed.callable_name == recurring.callable_name

    def test_sensitive_ones_can_be_given_to_a_new_recurring_job(self, editor):
        add(editor, callable_name=f"{__name__}.pay", args="[5]", kwargs=f'{{"card": "{SECRET}"}}')
        recurring = RecurringJob.objects.get()
        assert recurring.kwargs == {"card": SECRET}
        assert SECRET not in body(editor.get(page(recurring)))
        assert SECRET not in body(editor.get(f"{LIST}{recurring.pk}/history/"))

    def test_those_of_an_unknown_handler_are_hidden(self, editor):
        recurring = hourly(args=[SECRET])
        RecurringJob.objects.update(callable_name="tests.gone.trace")
        assert SECRET not in body(editor.get(page(recurring)))

    def test_an_unknown_handler_without_arguments_can_be_replaced(self, editor):
        recurring = hourly()
        RecurringJob.objects.update(callable_name="tests.gone.trace", error="gone")
        submit(editor, page(recurring), callable_name="tests.shop.jobs.trace")
        changed = RecurringJob.objects.get()
        assert (changed.callable_name, changed.error) == ("tests.shop.jobs.trace", "")
        assert changed.is_signed


class TestRowsWithoutSignature:
    def test_saving_one_signs_what_it_shows(self, editor):
        recurring = hourly(args=["a"])
        RecurringJob.objects.update(args=Stored('["b"]'), error="NotSigned: ...")
        assert not RecurringJob.objects.get().is_signed
        assert shown(form_at(editor, page(recurring)))["args"] == '["b"]'
        submit(editor, page(recurring))
        changed = RecurringJob.objects.get()
        assert (changed.is_signed, changed.args, changed.error) == (True, ["b"], "")

    @pytest.mark.parametrize("target", [pay, log_in])
    def test_one_with_hidden_arguments_is_not_signed(self, target, editor):
        recurring = hourly(target=target, args=[5, "a"])
        RecurringJob.objects.update(args=encode([5, "forged"]))
        before = columns(recurring)
        found = errors(submit(editor, page(recurring), cron="30 * * * *"))
        assert "its arguments are hidden" in found["__all__"]
        assert columns(recurring) == before

    @pytest.mark.parametrize("column", ["args", "options"])
    def test_one_with_a_forged_pickle_is_not_signed(self, column, editor):
        recurring = hourly(target=jobs.take)
        forged = {"__type__": "pickle", "class": "x.X", "value": "forged"}
        text = [forged] if column == "args" else {"backoff": forged}
        RecurringJob.objects.update(**{column: Stored(json.dumps(text))})
        before = columns(recurring)
        found = errors(submit(editor, page(recurring), cron="30 * * * *"))
        assert "A pickled value was not loaded" in found["__all__"]
        assert columns(recurring) == before

    def test_the_page_of_one_imports_nothing(self, admin_client, monkeypatch):
        recurring = hourly(args=["a"])
        RecurringJob.objects.update(callable_name="tests.shop.hostile_module.run")
        monkeypatch.setattr("django_future.handlers.import_module", pytest.fail)
        for address in (LIST, page(recurring)):
            body(admin_client.get(address))

    def test_a_row_that_was_loaded_before_does_not_sign_one(self):
        recurring = hourly(args=["a"])
        RecurringJob.objects.update(args=Stored('["b"]'))
        recurring.pause()
        recurring.save()
        assert not RecurringJob.objects.get().is_signed

    @pytest.mark.parametrize("action", ["pause_selected", "resume_selected"])
    def test_an_action_does_not_sign_one(self, action, operator):
        recurring = hourly(args=["a"])
        RecurringJob.objects.update(args=Stored('["b"]'))
        act(operator, action, recurring)
        assert not RecurringJob.objects.get().is_signed


class TestDeclared:
    def test_the_form_cannot_change_it(self, editor):
        recurring = declared(args=["a"])
        html = body(editor.get(page(recurring)))
        assert "<textarea" not in html
        assert "tests.shop.jobs.trace" in html
        before = columns(recurring)
        assert editor.post(page(recurring), {"cron": "30 * * * *"}).status_code == 403
        assert columns(recurring) == before

    def test_it_can_be_paused_resumed_and_triggered(self, operator):
        recurring = declared()
        for action in ("pause_selected", "trigger_selected", "resume_selected"):
            act(operator, action, recurring)
        recurring.refresh_from_db()
        assert (recurring.is_paused, ScheduledJob.objects.count()) == (False, 1)

    def test_it_cannot_be_deleted_while_the_code_declares_it(self, editor):
        recurring, other = declared(), hourly()
        assert editor.post(f"{LIST}{recurring.pk}/delete/", {"post": "yes"}).status_code == 403
        found = act(editor, "delete_selected", recurring, other)
        assert found == [
            "The code declares 1 of them. Remove the declaration first. Nothing was deleted."
        ]
        assert RecurringJob.objects.count() == 2

    def test_it_can_be_deleted_once_the_code_does_not_declare_it(self, editor):
        recurring = declared()
        RecurringJob.objects.update(error=NOT_DECLARED, next_run_at=None)
        editor.post(f"{LIST}{recurring.pk}/delete/", {"post": "yes"})
        assert not RecurringJob.objects.exists()


class TestActions:
    def test_pause_skips_those_that_are_paused(self, operator):
        paused, active, other = hourly("paused"), hourly("active"), hourly("other")
        paused.pause("month end")
        assert act(operator, "pause_selected", paused, active) == [
            "1 recurring job was paused.",
            "1 recurring job was paused already.",
        ]
        for row in (paused, active, other):
            row.refresh_from_db()
        assert [row.is_paused for row in (paused, active, other)] == [True, True, False]
        assert paused.paused_reason == "month end"

    def test_pause_shows_a_form_for_the_reason_first(self, operator):
        paused, active = hourly("paused"), hourly("<active>")
        paused.pause("month end")
        before = columns(active)
        data = {"action": "pause_selected", "_selected_action": [paused.pk, active.pk]}
        html = body(operator.post(f"{LIST}?state=active", data))
        assert '<label for="id_reason">Reason:</label>' in html
        assert "&lt;active&gt;" in html
        assert columns(active) == before
        html = body(operator.post(LIST, data))
        assert "1 is paused already, and keeps its reason." in html
        for name, value in [("action", "pause_selected"), ("_selected_action", active.pk)]:
            assert f'<input type="hidden" name="{name}" value="{value}">' in html

    def test_pause_refuses_a_reason_that_is_too_long(self, operator):
        recurring = hourly()
        data = {"action": "pause_selected", "_selected_action": recurring.pk, "post": "yes"}
        html = body(operator.post(LIST, {**data, "reason": "x" * 256}))
        assert "at most 255 characters" in html
        recurring.refresh_from_db()
        assert not recurring.is_paused

    def test_pause_records_the_reason_and_the_user_for_each(self, operator):
        rows = [hourly("one"), hourly("two")]
        act(operator, "pause_selected", *rows, reason="month end")
        for row in rows:
            row.refresh_from_db()
            assert (row.paused_reason, bool(row.paused_by)) == ("month end", True)
        entries = LogEntry.objects.order_by("pk").values_list("object_id", "change_message")
        assert list(entries) == [(str(row.pk), "Paused: month end") for row in rows]

    def test_pause_takes_back_a_run_that_has_not_started(self, operator):
        recurring = hourly()
        Materialiser(store_for("default")).work(NOW + HOUR)
        act(operator, "pause_selected", recurring)
        assert not ScheduledJob.objects.exists()

    def test_resume_skips_those_that_are_not_paused(self, operator):
        paused, active = hourly("paused"), hourly("active")
        paused.pause()
        assert act(operator, "resume_selected", paused, active) == [
            "1 recurring job was resumed.",
            "1 recurring job was not paused.",
        ]
        paused.refresh_from_db()
        assert clock.from_row(paused.next_run_at) == datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def test_trigger_schedules_a_run_now(self, operator, trace_texts):
        recurring = hourly(args=["triggered"])
        assert act(operator, "trigger_selected", recurring) == ["1 run is due now."]
        run_jobs(now=NOW)
        assert trace_texts() == ["triggered"]

    def test_trigger_continues_after_a_failure(self, operator):
        broken, good, gone = hourly("broken"), hourly("good"), hourly("gone")
        rows = RecurringJob.objects
        rows.filter(name="broken").update(args=Stored('["b"]'))
        rows.filter(name="gone").update(callable_name="tests.shop.jobs.missing")
        report, *refusals = act(operator, "trigger_selected", broken, good, gone)
        assert report == "1 run is due now."
        assert [refusal.partition(":")[0] for refusal in refusals] == ["broken", "gone"]
        assert "signature is not valid" in refusals[0]
        assert [run.recurring for run in ScheduledJob.objects.all()] == [good]

    def test_few_of_many_failures_become_a_message(self, operator, monkeypatch):
        monkeypatch.setattr("django_future.admin.recurring.actions.MAX_REFUSALS", 2)
        selected = [hourly(f"job {number}") for number in range(5)]
        RecurringJob.objects.update(callable_name="")
        found = act(operator, "trigger_selected", *selected)
        assert len(found) == 3
        assert found[-1] == "The same or other reasons apply to 3 more."

    def test_they_are_recorded_in_the_history(self, operator):
        recurring = hourly()
        for action in ("pause_selected", "resume_selected", "trigger_selected"):
            act(operator, action, recurring)
        run = ScheduledJob.objects.get()
        entries = LogEntry.objects.order_by("pk").values_list("object_id", "change_message")
        assert list(entries) == [
            (str(recurring.pk), "Paused."),
            (str(recurring.pk), "Resumed."),
            (str(recurring.pk), f"Run now as job {run.pk}."),
        ]

    def test_they_load_no_arguments(self, operator):
        recurring = hourly(target=jobs.take, args=[Suitcase()])
        UNPICKLED.clear()
        for action in ("pause_selected", "resume_selected", "trigger_selected"):
            assert len(act(operator, action, recurring)) == 1
        assert UNPICKLED == []

    def test_a_deleted_argument_does_not_prevent_a_pause(self, operator, order):
        recurring = hourly(target=jobs.take, args=[order])
        order.delete()
        assert act(operator, "pause_selected", recurring) == ["1 recurring job was paused."]

    def test_they_reach_every_page_of_the_list(self, operator, monkeypatch):
        monkeypatch.setattr(admin.site.get_model_admin(RecurringJob), "list_per_page", 2)
        selected = [hourly(f"daily {number}") for number in range(5)]
        other = hourly("other")
        data = {"action": "pause_selected", "_selected_action": selected[0].pk, "select_across": 1,
                "post": "yes"}  # fmt: skip
        operator.post(f"{LIST}?q=ail&state=active", data)
        assert list(RecurringJob.objects.filter(paused_at=None)) == [other]

    @pytest.mark.parametrize("action", ["pause_selected", "resume_selected", "trigger_selected"])
    def test_they_require_the_change_permission(self, action, login):
        recurring = hourly()
        viewer = login("view_recurringjob", "operate_scheduledjob")
        assert action not in body(viewer.get(LIST))
        before = columns(recurring)
        viewer.post(LIST, {"action": action, "_selected_action": recurring.pk, "post": "yes"})
        assert columns(recurring) == before
        assert not ScheduledJob.objects.exists()

    def test_the_operate_permission_alone_does_not_open_the_list(self, login):
        assert login("operate_scheduledjob").get(LIST).status_code == 403


class TestDeletion:
    @pytest.fixture
    def rows(self):
        """Return recurring jobs, each with a run that has ended and one that has not started."""
        found = [hourly(f"job {number}") for number in range(3)]
        run_jobs(now=NOW + HOUR)
        Materialiser(store_for("default")).work(NOW + 2 * HOUR)
        assert ScheduledJob.objects.scheduled().count() == 3
        return found

    def test_one_is_deleted_with_its_run_that_has_not_started(self, editor, rows):
        first, *others = rows
        editor.post(f"{LIST}{first.pk}/delete/", {"post": "yes"})
        assert list(RecurringJob.objects.order_by("pk")) == others
        assert {run.recurring for run in ScheduledJob.objects.scheduled()} == set(others)
        assert ScheduledJob.objects.filter(status="complete", recurring=None).count() == 1

    def test_many_are_deleted_with_their_runs_that_have_not_started(self, editor, rows):
        data = {"action": "delete_selected", "_selected_action": [row.pk for row in rows[:2]]}
        assert "job 1" in body(editor.post(LIST, data))
        editor.post(LIST, data | {"post": "yes"})
        assert list(RecurringJob.objects.all()) == rows[2:]
        assert ScheduledJob.objects.scheduled().get().recurring == rows[2]
        assert LogEntry.objects.count() == 2

    def test_it_requires_the_delete_permission(self, login, rows):
        client = login("view_recurringjob", "change_recurringjob", "operate_scheduledjob")
        assert client.post(f"{LIST}{rows[0].pk}/delete/", {"post": "yes"}).status_code == 403
        client.post(
            LIST, {"action": "delete_selected", "_selected_action": rows[0].pk, "post": "yes"}
        )
        assert RecurringJob.objects.count() == 3


@pytest.mark.only_on("sqlite", reason="only SQLite refuses to write after a read that is old")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("act", ["change", "add", "delete"])
def test_a_page_that_writes_survives_a_rival_that_writes(editor, act):
    recurring = hourly()
    data = {**shown(form_at(editor, page(recurring))), "cron": "1 * * * *"}
    data |= {"change": {}, "add": {"name": "other"}, "delete": {"post": "yes"}}[act]
    address = f"{LIST}add/" if act == "add" else f"{LIST}{recurring.pk}/{act}/"
    with rival_writes_after_first_read(RecurringJob._meta.db_table):
        assert editor.post(address, data).status_code == 302
