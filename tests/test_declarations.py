"""Recurring jobs that the code declares: what is applied to the database, when, and what is not."""

import functools
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection

from django_future import (
    RecurringJob,
    ScheduledJob,
    clock,
    declarations,
    recurring,
    run_jobs,
    schedule_recurring,
)
from django_future.exceptions import InvalidOption
from django_future.models import AppliedDeclarations
from django_future.models.recurring import NOT_DECLARED
from django_future.scheduling import declared
from django_future.scheduling.declared import synchronise
from django_future.scheduling.runs import LEAD, Materialiser
from django_future.store import store_for
from django_future.testing import travel_to
from django_future.testing.travel import stopped_clock
from tests.shop import jobs, witness
from tests.shop.models import Order
from tests.support.processes import ROOT
from tests.support.waiting import MAX_WAIT_SECONDS, eventually, has_ended

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 2, 8, 0, 1, tzinfo=UTC)  # a Monday, a second after eight
NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _nothing_declared(monkeypatch):
    monkeypatch.setattr(declarations, "_declared", [])
    declarations._import.cache_clear()
    yield
    declarations._import.cache_clear()


@pytest.fixture
def monday():
    """Stop the clock on a Monday."""
    with stopped_clock(NOW):
        yield


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Return a function that writes the modules of an app, which can then be imported."""

    def write(**modules):
        folder = tmp_path / "declaring"
        folder.mkdir()
        for name, code in {"__init__": "", **modules}.items():
            (folder / f"{name}.py").write_text(code)
        return "declaring"

    monkeypatch.syspath_prepend(tmp_path)
    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] == "declaring"]:
        del sys.modules[name]


@pytest.fixture
def install(package, settings):
    """Return a function that installs an app with these modules."""

    def install(**modules):
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, package(**modules)]

    return install


def declare(*versions, handler=jobs.trace):
    """Let the code declare one recurring job for each dictionary of arguments, and no others."""
    declarations._declared.clear()
    for arguments in versions:
        recurring(**arguments)(handler)


def apply(*versions, at=NOW, **options):
    """Declare recurring jobs, and synchronise them at a time."""
    declare(*versions)
    with stopped_clock(at):
        synchronise(**options)


def row(name="report"):
    """Return the row of a recurring job."""
    return RecurringJob.objects.get(name=name)


def next_at(name="report"):
    """Return the next run of a recurring job."""
    found = row(name).next_run_at
    return found and clock.from_row(found)


def warnings():
    """Return the messages of the check of declarations."""
    return [found.msg for found in run_checks() if found.id == "django_future.W007"]


HOURLY = {"name": "report", "cron": "0 * * * *"}
DAILY = {"name": "report", "cron": "0 9 * * *", "timezone": "UTC"}
OTHER = {"name": "other", "every": "2h"}

HEAD = """
from django_future import job, job_as_parameter, recurring
from tests.shop.jobs import trace

"""


class TestDecorator:
    def test_the_decorator_returns_the_handler(self):
        assert recurring(cron="0 9 * * *")(jobs.trace) is jobs.trace

    @pytest.mark.parametrize(
        ("decorators", "parameters"),
        [
            ("@recurring(cron='0 * * * *')", ""),
            ("@recurring(cron='0 * * * *')\n@job", ""),
            ("@job\n@recurring(cron='0 * * * *')", ""),
            ("@recurring(cron='0 * * * *')\n@job(queue_name='mail')\n@job_as_parameter", "job"),
            ("@job(priority=5)\n@recurring(cron='0 * * * *')\n@job_as_parameter", "job"),
            ("@job_as_parameter\n@recurring(cron='0 * * * *')\n@job", "job"),
            ("@job_as_parameter\n@job\n@recurring(cron='0 * * * *')", "job"),
        ],
    )
    def test_a_handler_recurs_in_any_order_of_the_decorators(
        self, decorators, parameters, install, trace_texts, monday
    ):
        install(jobs=f"{HEAD}{decorators}\ndef tick({parameters}):\n    trace('ticked')\n")
        synchronise()
        run_jobs(now=NOW + HOUR)
        assert trace_texts() == ["ticked"]

    def test_the_name_defaults_to_the_path_of_the_handler(self):
        apply({"every": "1h"})
        assert row("tests.shop.jobs.trace").callable_name == "tests.shop.jobs.trace"

    def test_a_handler_recurs_more_than_once_with_a_name_each(self):
        apply({"name": "often", "every": "1h", "args": ["a"]}, {**DAILY, "args": ["b"]})
        found = {row.name: row.args for row in RecurringJob.objects.all()}
        assert found == {"often": ["a"], "report": ["b"]}

    def test_the_options_of_a_declaration_are_stored(self):
        apply({**DAILY, "queue_name": "mail", "max_attempts": 3, "overlap": "skip"})
        found = row()
        assert (found.queue_name, found.options, found.overlap, found.is_declared) == (
            "mail",
            {"max_attempts": 3},
            "skip",
            True,
        )

    def test_the_module_tasks_is_searched_too(self, install):
        install(tasks=f"{HEAD}@recurring(every='1h')\ndef tick(): pass")
        synchronise()
        assert row("declaring.tasks.tick").every == HOUR

    def test_a_module_that_is_executed_twice_declares_once(self, install):
        install(jobs=f"{HEAD}@recurring(every='1h')\ndef tick(): pass")
        synchronise()
        del sys.modules["declaring.jobs"]
        declarations._import.cache_clear()
        assert warnings() == []

    def test_an_app_without_a_package_is_no_mistake(self, tmp_path, monkeypatch, settings):
        (tmp_path / "single_module.py").touch()
        monkeypatch.syspath_prepend(tmp_path)
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "single_module"]
        assert warnings() == []


class TestSettings:
    def test_the_settings_can_list_recurring_jobs(self, settings):
        settings.DJANGO_FUTURE = {
            "RECURRING": [
                {"callable": "tests.shop.jobs.trace", "cron": "0 9 * * *", "args": ["a"]},
                {"name": "other", "callable": "tests.shop.jobs.echo", "every": "2h"},
            ]
        }
        synchronise()
        found = {
            (row.name, row.callable_name, row.cron, row.is_declared)
            for row in RecurringJob.objects.all()
        }
        assert found == {
            ("tests.shop.jobs.trace", "tests.shop.jobs.trace", "0 9 * * *", True),
            ("other", "tests.shop.jobs.echo", "", True),
        }

    @pytest.mark.parametrize(
        ("entry", "words"),
        [
            ({"cron": "0 9 * * *", "name": "x"}, r"'x' \(None\) .* has no 'callable'. Give it"),
            ({"callable": "tests.shop.jobs.gone", "every": "1h"}, "does not exist"),
            ({"callable": "trace", "every": "1h"}, "'trace' is not a dotted path"),
            ({"callable": "tests.shop.jobs.trace", "every": "1h", 5: 5, "z": 5}, "option '5', 'z'"),
            ({"callable": "tests.shop.jobs.trace", "every": "1h", "name": ""}, "name is ''"),
            ({}, r"None \(None\) is not valid: .* has no 'callable'. Give it\."),
            ({"calable": "x", "cron": "@daily"}, "Give it instead of 'calable'"),
        ],
    )
    def test_a_wrong_entry_is_found_by_the_check(self, settings, entry, words):
        settings.DJANGO_FUTURE = {"RECURRING": [entry]}
        [warning] = warnings()
        assert re.search(words, warning)


class TestSynchronisation:
    def test_a_declared_job_is_inserted_with_its_next_run(self):
        apply(DAILY)
        assert (row().is_declared, row().cron, next_at()) == (
            True,
            "0 9 * * *",
            NOW.replace(hour=9, second=0),
        )

    def test_an_unchanged_declaration_costs_two_queries(self, django_assert_num_queries):
        apply(DAILY, OTHER)
        with django_assert_num_queries(2):
            apply(DAILY, OTHER, at=NOW + HOUR)

    @pytest.mark.parametrize("is_deploy", [False, True])
    def test_an_unchanged_declaration_touches_nothing(self, is_deploy):
        apply(DAILY, OTHER)
        before = list(RecurringJob.objects.order_by("pk").values())
        apply(DAILY, OTHER, at=NOW + HOUR / 2, is_deploy=is_deploy)
        assert list(RecurringJob.objects.order_by("pk").values()) == before

    def test_a_changed_declaration_leaves_the_others_alone(self):
        apply(DAILY, OTHER)
        before = RecurringJob.objects.values().get(name="other")
        apply(HOURLY, OTHER, at=NOW + HOUR / 2)
        assert RecurringJob.objects.values().get(name="other") == before

    def test_a_changed_rhythm_counts_from_now(self):
        apply({"name": "report", "every": "2h"})
        apply({"name": "report", "every": "3h"}, at=NOW + HOUR)
        assert next_at() == NOW + 4 * HOUR

    def test_changed_arguments_keep_the_rhythm(self):
        apply({"name": "report", "every": "2h", "args": ["a"]})
        apply({"name": "report", "every": "2h", "args": ["b"]}, at=NOW + HOUR)
        assert (row().args, next_at()) == (["b"], NOW + 2 * HOUR)

    def test_changed_arguments_replace_a_run_that_has_not_started(self):
        apply({"name": "report", "every": "2h", "args": ["a"]})
        Materialiser(store_for("default")).work(NOW + 2 * HOUR, LEAD)
        apply(
            {"name": "report", "every": "2h", "args": ["b"]},
            at=NOW + 2 * HOUR - timedelta(seconds=9),
        )
        assert [run.args for run in ScheduledJob.objects.all()] == [["b"]]

    def test_another_time_zone_of_the_project_applies_to_declarations_without_one(self, settings):
        apply({"name": "report", "cron": "0 9 * * *"})
        settings.TIME_ZONE = "Asia/Kathmandu"
        apply({"name": "report", "cron": "0 9 * * *"})
        assert row().timezone == "Asia/Kathmandu"

    def test_a_value_whose_text_contains_its_address_is_no_change(self, django_assert_num_queries):
        apply({**DAILY, "args": [object()]})
        with django_assert_num_queries(2):
            apply({**DAILY, "args": [object()]})

    def test_a_pause_is_kept(self):
        apply(DAILY)
        row().pause("the shop is closed")
        apply(HOURLY)
        found = row()
        assert (found.paused_reason, found.cron, found.next_run_at) == (
            "the shop is closed",
            "0 * * * *",
            None,
        )

    @pytest.mark.django_db(databases="__all__")
    def test_a_declaration_may_belong_to_another_database(self):
        apply(DAILY, {**OTHER, "using": "other"})
        assert [found.name for found in RecurringJob.objects.using("default")] == ["report"]
        declare(DAILY, {**OTHER, "using": "other"})
        synchronise("other")
        [found] = RecurringJob.objects.using("other")
        assert (found.name, found.is_declared) == ("other", True)

    @pytest.mark.django_db(databases="__all__")
    def test_the_same_name_in_two_databases_is_no_mistake(self):
        declare(DAILY, {**DAILY, "using": "other"})
        assert warnings() == []

    @pytest.mark.django_db(databases="__all__")
    def test_a_declaration_that_moves_to_another_database_stops_in_the_first(self):
        apply(DAILY)
        apply({**DAILY, "using": "other"})
        synchronise("other")
        assert row().error == NOT_DECLARED
        assert RecurringJob.objects.using("other").get().error == ""


class TestRemovedDeclarations:
    def test_a_removed_declaration_stops_and_stays_visible(self):
        apply(DAILY, OTHER)
        apply(OTHER)
        found = row()
        assert (found.error, found.next_run_at, found.is_declared) == (NOT_DECLARED, None, True)
        assert (row("other").error, next_at("other")) == ("", NOW + 2 * HOUR)

    def test_a_removed_declaration_does_not_run(self, monday):
        apply(DAILY)
        apply()
        assert travel_to(NOW + timedelta(days=3)) == []

    def test_its_run_that_has_not_started_is_taken_back(self):
        apply(OTHER)
        Materialiser(store_for("default")).work(NOW + 2 * HOUR, LEAD)
        apply()
        found = row("other")
        assert (ScheduledJob.objects.exists(), found.runs, found.last_run_at) == (False, 0, None)

    def test_its_run_that_has_started_is_kept(self):
        apply(OTHER)
        Materialiser(store_for("default")).work(NOW + 2 * HOUR, LEAD)
        ScheduledJob.objects.update(status="running")
        apply()
        assert (ScheduledJob.objects.count(), row("other").runs) == (1, 1)

    def test_a_pause_and_its_end_do_not_start_it_again(self):
        apply(DAILY)
        apply()
        row().pause()
        row().resume()
        assert (row().next_run_at, row().is_paused) == (None, False)

    def test_its_error_is_replaced(self):
        apply(DAILY)
        RecurringJob.objects.update(error="HandlerUnknown: its handler is gone, too")
        apply()
        assert row().error == NOT_DECLARED

    def test_a_declaration_that_returns_continues_its_rhythm(self):
        apply(OTHER)
        apply(at=NOW + HOUR / 2)
        apply(OTHER, at=NOW + 5 * HOUR, is_deploy=True)
        found = row("other")
        assert (found.error, next_at("other")) == ("", NOW + 6 * HOUR)
        assert (found.runs, found.missed_runs) == (0, 0)

    def test_it_stays_stopped_after_another_deploy(self):
        apply(DAILY, OTHER)
        apply(OTHER)
        before = RecurringJob.objects.values().get(name="report")
        apply(OTHER, is_deploy=True)
        assert RecurringJob.objects.values().get(name="report") == before

    def test_it_stops_again_if_it_was_resumed(self):
        apply(DAILY)
        apply()
        row().pause()
        row().resume()
        apply(is_deploy=True)
        assert next_at() is None


class TestDeclarationsInOtherModules:
    @pytest.fixture
    def start_process(self, install, tmp_path):
        """Return a function that synchronises as in a process that has not imported the module."""
        install(other=f"{HEAD}@recurring(every='1h')\ndef tick(): pass")
        __import__("declaring.other")
        synchronise()

        def start(code=None):
            declarations._declared.clear()
            del sys.modules["declaring.other"]
            if code is not None:
                (tmp_path / "declaring" / "other.py").write_text(code)
            synchronise()
            return row("declaring.other.tick")

        return start

    def test_a_process_that_has_not_imported_the_module_stops_nothing(self, start_process):
        assert start_process().error == ""

    def test_a_removed_declaration_stops(self, start_process):
        code = "def tick(): pass  # and a new length of the file, so that Python reads it again"
        assert start_process(code).error == NOT_DECLARED


class TestTravel:
    def test_travel_to_counts_a_declared_interval_from_its_start(self):
        declare({"name": "often", "every": "1h"})
        assert len(travel_to("1d")) == 24


class TestRowsOfOthers:
    def test_a_row_of_the_same_name_is_not_changed(self, caplog):
        schedule_recurring("report", jobs.echo, every="5h")
        before = RecurringJob.objects.values().get()
        apply(DAILY)
        assert RecurringJob.objects.values().get() == before
        assert "The recurring job 'report' was created by a person" in caplog.text

    def test_the_other_declarations_are_applied(self):
        schedule_recurring("report", jobs.echo, every="5h")
        apply(DAILY, OTHER)
        assert row("other").is_declared

    def test_rows_that_were_never_declared_do_not_stop(self):
        schedule_recurring("by hand", jobs.echo, every="5h")
        apply(DAILY)
        apply()
        assert row("by hand").error == ""

    def test_a_declared_job_that_code_schedules_belongs_to_that_code(self):
        apply(DAILY)
        schedule_recurring("report", jobs.echo, every="5h")
        apply()
        assert (row().callable_name, row().error) == ("tests.shop.jobs.echo", "")


def nested():
    """Return a handler that no worker can find."""

    def inner():
        """Do nothing."""

    return inner


class TestMistakes:
    @pytest.mark.parametrize("given", [jobs.trace, "0 9 * * *"])
    def test_an_argument_without_a_name_is_refused_with_the_remedy(self, given):
        with pytest.raises(InvalidOption, match=r"by name, such as @recurring\(cron="):
            recurring(given)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"cron": "0 0 31 2 *"}, "never matches"),
            ({"cron": 5}, "cron: 5 is not a cron expression"),
            ({}, "neither"),
            ({"every": "1h", "colour": "red"}, "no option 'colour'"),
            ({"every": "1h", "evry": "1h"}, "Did you mean 'every'"),
            ({"every": "1h", "callable": "x"}, "no option 'callable'"),
            ({"every": "1h", "is_declared": False}, "no option 'is_declared'"),
            ({"every": "1h", "content_object": Order(pk=1)}, "Only schedule_recurring"),
            ({"every": "1h", "starts_at": "5d"}, "count from each start of a process"),
            ({"every": "1h", "ends_at": timedelta(5)}, "count from each start of a process"),
            ({"every": "1h", "args": [1, 2, 3]}, "tests.shop.jobs.trace"),
            ({"every": "1h", "args": 5}, "args"),
            ({"every": "1h", "using": "gone"}, "using is 'gone'"),
            ({"every": "1h", "using": ["default"]}, "using is"),
            ({"every": "1h", "timezone": "Mars/Olympus"}, "Mars/Olympus"),
            ({"every": "1h", "kwargs": 5}, "kwargs"),
            ({"every": "1h", "missed": []}, "missed"),
            ({"every": "1h", "unique": len}, "unique is a function"),
            ({"every": "1h", "name": "x" * 201}, "name is"),
            ({"every": "1h", "name": b"report"}, "name is"),
        ],
    )
    def test_a_mistake_is_logged_and_found_by_the_check(self, arguments, words, caplog):
        apply({"name": "wrong", **arguments}, DAILY)
        assert [found.name for found in RecurringJob.objects.all()] == ["report"]
        [warning] = warnings()
        assert re.search(words, warning)
        assert warning in caplog.text

    @pytest.mark.parametrize(
        ("handler", "words"),
        [
            (lambda: None, r"\.<lambda>'.*It is a lambda"),
            (nested(), "It is defined inside a function"),
            (Order.remind, "It is a method of Order"),
            (Order.__dict__["ring"], "It is a method of Order"),
            (classmethod(nested()), "callable is of type classmethod"),
            (functools.partial(jobs.trace), "It is a partial"),
            (5, "callable is of type int"),
            (functools.wraps(jobs.trace)(lambda: None), None),
        ],
    )
    def test_a_handler_that_no_worker_can_find_is_a_mistake(self, handler, words):
        declare({"every": "1h"}, handler=handler)
        found = warnings()
        assert found == [] if words is None else re.search(words, *found)

    def test_a_handler_that_has_gone_from_its_module_is_a_mistake(self, install):
        install(jobs=f"{HEAD}@recurring(every='1h')\ndef tick(): pass\ndel tick")
        [warning] = warnings()
        assert "'declaring.jobs.tick' does not exist" in warning

    def test_two_declarations_with_one_name_are_a_mistake(self, caplog):
        apply(HOURLY, DAILY, OTHER)
        assert [found.name for found in RecurringJob.objects.all()] == ["other"]
        [warning] = warnings()
        assert "declared with the same name: 'report' (tests.shop.jobs.trace), 'report'" in warning
        assert warning in caplog.text

    @pytest.mark.parametrize(
        "wrong", [[{**DAILY, "cron": "?"}], [DAILY, HOURLY], [{**DAILY, "using": "gone"}]]
    )
    def test_a_declaration_that_becomes_wrong_keeps_its_row(self, wrong):
        apply(DAILY)
        before = RecurringJob.objects.values().get()
        apply(*wrong, is_deploy=True)
        assert RecurringJob.objects.values().get() == before

    def test_a_declaration_that_is_corrected_is_applied(self):
        apply({**DAILY, "cron": "?"})
        apply(DAILY)
        assert row().cron == "0 9 * * *"

    def test_a_warning_of_the_check_says_what_happens_until_then(self):
        declare({})
        [found] = [found for found in run_checks() if found.id == "django_future.W007"]
        assert "the database keeps what was declared before" in found.hint

    def test_correct_declarations_pass_the_check(self):
        declare(DAILY, OTHER)
        assert warnings() == []

    def test_wrong_settings_are_left_to_another_check(self, settings):
        settings.DJANGO_FUTURE = {"RECURRING": "tests.shop.jobs.trace"}
        assert {found.id for found in run_checks()} == {"django_future.E001"}


class TestModulesThatCannotBeImported:
    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("import module_that_is_missing", "ModuleNotFoundError: No module named 'module_that_"),
            ("def", "SyntaxError"),
            ("1 / 0", "ZeroDivisionError: division by zero."),
            ("raise SystemExit(3)", "SystemExit: 3."),
        ],
    )
    def test_the_check_names_the_module_and_its_error(self, install, code, words):
        install(jobs=code)
        [warning] = warnings()
        assert warning.startswith(
            f"declaring.jobs, which may declare recurring jobs, cannot be imported: {words}"
        )

    def test_no_declaration_stops(self, install, caplog):
        apply(DAILY, OTHER)
        install(jobs="1 / 0")
        apply(OTHER, is_deploy=True)
        assert (row().error, next_at()) == ("", NINE)
        assert "ZeroDivisionError" in caplog.text

    def test_the_declarations_of_other_modules_are_applied(self, install):
        install(jobs="1 / 0", tasks=f"{HEAD}@recurring(every='1h')\ndef tick(): pass")
        synchronise()
        assert row("declaring.tasks.tick").is_declared

    def test_old_code_whose_module_fails_changes_nothing(self, install):
        apply(HOURLY)
        install(jobs="1 / 0")
        apply(DAILY)
        apply({**DAILY, "args": ["newer"]})
        apply(DAILY)
        assert row().args == ["newer"]

    def test_it_stops_once_the_module_can_be_imported_again(self, package, settings):
        apply(DAILY, OTHER)
        settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, package(jobs="1 / 0")]
        apply(OTHER)
        settings.INSTALLED_APPS = settings.INSTALLED_APPS[:-1]
        apply(OTHER)
        assert row().error == NOT_DECLARED

    def test_a_module_is_executed_once_even_if_it_fails(self, install):
        witness.CALLS.clear()
        install(jobs="from tests.shop import witness\nwitness.CALLS.append(1)\n1 / 0")
        synchronise()
        synchronise()
        assert ("ZeroDivisionError" in warnings()[0], witness.CALLS) == (True, [1])

    def test_a_module_that_fails_after_a_declaration_is_executed_once(self, install):
        witness.CALLS.clear()
        install(
            jobs=f"{HEAD}@recurring(every='1h')\ndef tick(): pass\n"
            "from tests.shop import witness\nwitness.CALLS.append(1)\n1 / 0"
        )
        synchronise()
        assert (len(warnings()), witness.CALLS) == (1, [1])

    def test_each_module_that_fails_is_named(self, install):
        install(jobs="1 / 0", tasks="import module_that_is_missing")
        assert [warning.partition(",")[0] for warning in warnings()] == [
            "declaring.jobs",
            "declaring.tasks",
        ]

    def test_a_module_that_was_imported_in_the_meantime_is_correct(self, install, tmp_path):
        install(jobs="1 / 0")
        assert warnings() != []
        (tmp_path / "declaring" / "jobs.py").write_text(f"{HEAD}@recurring()\ndef tick(): pass")
        __import__("declaring.jobs")
        [warning] = warnings()
        assert "'declaring.jobs.tick'" in warning


class TestDeploys:
    def test_a_worker_with_old_code_changes_nothing(self, caplog):
        apply(HOURLY, OTHER)
        apply(DAILY, at=NOW + HOUR)
        before = list(RecurringJob.objects.order_by("pk").values())
        apply(HOURLY, OTHER, at=NOW + 2 * HOUR)
        assert list(RecurringJob.objects.order_by("pk").values()) == before
        assert "declares other recurring jobs than the code that was deployed last" in caplog.text

    def test_a_worker_with_new_code_changes_nothing_after_one_with_old_code(self, caplog):
        apply(HOURLY)
        apply(DAILY)
        apply(HOURLY)
        caplog.clear()
        apply(DAILY)
        assert (row().cron, caplog.text) == ("0 9 * * *", "")

    def test_old_code_without_declarations_stops_nothing(self, caplog):
        apply()
        apply(DAILY)
        apply()
        assert row().error == ""
        assert "deployed last" in caplog.text

    def test_code_without_a_mistake_that_was_taken_back_is_current(self, caplog):
        apply(DAILY)
        apply(DAILY, {"name": "broken", "cron": "0 9 * *"})
        caplog.clear()
        apply(DAILY)
        assert caplog.text == ""

    def test_migrate_applies_old_code_again(self):
        apply(HOURLY, OTHER)
        apply(DAILY)
        apply(HOURLY, OTHER, is_deploy=True)
        assert (row().cron, row("other").error) == ("0 * * * *", "")

    def test_a_worker_of_the_code_that_was_rolled_back_changes_nothing(self):
        apply(HOURLY)
        apply(DAILY)
        apply(HOURLY, is_deploy=True)
        apply(DAILY)
        assert row().cron == "0 * * * *"

    def test_the_latest_code_is_known_even_if_a_clock_was_set_back(self, caplog):
        apply(HOURLY)
        apply(DAILY, at=NOW - HOUR)
        apply(DAILY)
        assert caplog.text == ""

    def test_a_test_database_is_not_synchronised_after_migrate(self):
        declare(DAILY)
        call_command("migrate", verbosity=0)
        assert not RecurringJob.objects.exists()


@pytest.mark.django_db(transaction=True)
class TestConcurrentStarts:
    @pytest.fixture
    def start_together(self, monkeypatch):
        """Return a function that synchronises in two threads, and returns the rows they write."""
        both, written, errors = Barrier(2), [], []
        is_new, write = declared._is_new, declared.write

        def wait(*arguments):
            found = is_new(*arguments)
            both.wait(timeout=MAX_WAIT_SECONDS)
            return found

        def start():
            try:
                synchronise()
            except Exception as error:  # noqa: BLE001
                errors.append(error)
            finally:
                connection.close()

        def start_both():
            monkeypatch.setattr(declared, "_is_new", wait)
            monkeypatch.setattr(
                declared, "write", lambda row: (written.append(row.name), write(row))
            )
            threads = [Thread(target=start) for _ in range(2)]
            for thread in threads:
                thread.start()
            assert all(has_ended(thread) for thread in threads)
            assert errors == []
            return written

        return start_both

    def test_two_workers_apply_the_first_declarations_once(self, start_together):
        declare(DAILY, OTHER)
        assert start_together() == ["other", "report"]
        assert RecurringJob.objects.count() == 2

    def test_two_workers_apply_changed_declarations_once(self, start_together):
        apply(DAILY, OTHER)
        declare(HOURLY, OTHER)
        assert start_together() == ["other", "report"]
        assert (row().cron, AppliedDeclarations.objects.count()) == ("0 * * * *", 2)


@pytest.mark.slow
@pytest.mark.only_on("sqlite", reason="the command uses its own SQLite file")
class TestMigrate:
    @pytest.fixture
    def manage(self, package, tmp_path):
        """Return a function that runs a command of a project with its own SQLite file."""
        package(jobs=f"{HEAD}@recurring(name='report', cron='0 9 * * *')\ndef tick(): pass")
        (tmp_path / "settings_of_project.py").write_text(
            "from tests.settings import *\n"
            f"DATABASES = {{'default': {{'ENGINE': 'django.db.backends.sqlite3', "
            f"'NAME': {str(tmp_path / 'project.sqlite3')!r}}}}}\n"
            "INSTALLED_APPS = [*INSTALLED_APPS, 'declaring']\n"
        )
        environment = {
            "DJANGO_SETTINGS_MODULE": "settings_of_project",
            "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}",
        }

        def run(*arguments):
            done = subprocess.run(
                [sys.executable, "-m", "django", *arguments],
                cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stderr

        return run

    @pytest.fixture
    def rows(self, tmp_path):
        """Return a function that reads the rows of the project."""

        def read():
            with closing(sqlite3.connect(tmp_path / "project.sqlite3")) as database:
                query = "SELECT name, callable_name, error FROM django_future_recurringjob"
                return database.execute(query).fetchall()

        return read

    def test_migrate_applies_the_declarations(self, manage, rows):
        manage("migrate", "-v0")
        assert rows() == [("report", "declaring.jobs.tick", "")]

    def test_migrate_stops_what_is_no_longer_declared(self, manage, rows, tmp_path):
        manage("migrate", "-v0")
        (tmp_path / "declaring" / "jobs.py").write_text("")
        manage("migrate", "-v0")
        assert rows() == [("report", "declaring.jobs.tick", NOT_DECLARED)]

    def test_migrate_works_without_the_tables(self, manage):
        manage("migrate", "auth", "-v0")

    def test_a_mistake_does_not_stop_migrate(self, manage, rows, tmp_path):
        (tmp_path / "declaring" / "jobs.py").write_text("import module_that_is_missing")
        assert "declaring.jobs, which may declare recurring jobs" in manage("migrate", "-v1")
        assert rows() == []


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
class TestWorkers:
    def test_a_worker_applies_the_declarations_and_runs_them(
        self, start_worker, package, tmp_path, trace_texts
    ):
        package(jobs=f"{HEAD}@recurring(every='1s')\ndef tick(): trace('ticked')")
        (tmp_path / "settings_of_worker.py").write_text(
            "from tests.settings import *\nINSTALLED_APPS = [*INSTALLED_APPS, 'declaring']\n"
        )
        start_worker(
            DJANGO_SETTINGS_MODULE="settings_of_worker",
            PYTHONPATH=f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}",
        )
        eventually(lambda: len(trace_texts()) >= 3)
        found = row("declaring.jobs.tick")
        runs = list(ScheduledJob.objects.finished().order_by("recurs_at")[:3])
        first_at = clock.from_row(found.anchor_at)
        assert [clock.from_row(run.recurs_at) - first_at for run in runs] == [
            timedelta(seconds=n) for n in range(3)
        ]
        assert all(run.started_at >= run.recurs_at for run in runs)
