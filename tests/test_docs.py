"""The examples in the documentation, and the completeness of the reference."""

import ast
import doctest
import inspect
import re
import sys
import textwrap
from dataclasses import fields
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path
from types import ModuleType
from typing import Never

import django
import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand
from django.dispatch import Signal

import django_future
from django_future import (
    RecurringJob,
    ScheduledJob,
    backend,
    conf,
    declarations,
    decorators,
    exceptions,
    options,
    schedule_recurring,
    signals,
    testing,
)
from django_future.models import JobProgress
from django_future.models.querysets import ScheduledJobQuerySet
from django_future.options import UNSET
from django_future.scheduling import builder, recurring_columns
from django_future.status import Status
from django_future.tasks import api
from django_future.tasks.options import NAMES
from django_future.tasks.task import FutureTask
from tests.shop import models

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "django_future"
REFERENCE = DOCS / "reference"
PAGES = sorted(
    str(page.relative_to(ROOT))
    for page in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]
    if "_build" not in page.parts
)

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NIGHTS = re.compile(r"^\| Rhythm \| (\w+/.*) \|\n\|.*\n((?:\|.*\n)+)", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# The first line of a block that belongs to a module of the shop.
MODULE = re.compile(r"# shop/(jobs|tasks)\.py(, not on Django 6\.0)?\n")
BACKEND = "django_future.backend.FutureBackend"


@pytest.fixture
def shop(monkeypatch, settings):
    """Return an empty module `shop.jobs`, in a package with the models of the test shop.

    It has an empty module `shop.tasks` next to it.
    """
    settings.DJANGO_FUTURE = {"CALLABLES": ["shop"]}
    monkeypatch.setattr(declarations, "_declared", [])
    jobs = ModuleType("shop.jobs")
    for module in (ModuleType("shop"), jobs, ModuleType("shop.tasks")):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(sys.modules, "shop.models", models)
    return jobs


@pytest.mark.django_db(databases="__all__")
@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_each_page_work(page, shop, order, settings):
    text = for_this_django((ROOT / page).read_text())
    for block in blocks(text, "python"):
        settings.TASKS |= our_backends(block)
        module = MODULE.match(block)
        if module and not (module[2] and django.VERSION[:2] == (6, 0)):
            exec(block, sys.modules[f"shop.{module[1]}"].__dict__)
    test = doctest.DocTestParser().get_doctest(
        only_code(text, "pycon"), {"order": order}, page, str(ROOT / page), 0
    )
    report = []
    result = doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=report.append)
    assert not result.failed, "".join(report)
    assert result.attempted == text.count("\n>>> ")


@pytest.mark.django_db
def test_the_instants_of_both_nights_are_those_of_the_code(shop):
    exec("def report(): pass", shop.__dict__)
    text = (DOCS / "explanation" / "daylight-saving.md").read_text()
    cells = [cell for table in NIGHTS.findall(text) for cell in cells_of(*table)]
    assert len(cells) == 24
    for *night, shown in cells:
        assert (night, instants_of(*night)) == (night, shown)


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_each_page_compiles(page):
    for block in blocks((ROOT / page).read_text(), "python"):
        assert ">>>" not in block, "An example with a prompt belongs in a block of pycon."
        compile(textwrap.dedent(block), page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", PAGES)
def test_the_settings_of_each_page_are_valid(page, settings):
    for block in blocks((ROOT / page).read_text(), "python"):
        found = settings_of(block)
        if "DJANGO_FUTURE" in found:
            settings.DJANGO_FUTURE = found["DJANGO_FUTURE"]
            assert conf.config()
        if found := our_backends(block):
            settings.TASKS = found
            assert [api.task_backends[alias].check() for alias in found] == [[] for _ in found]


@pytest.mark.parametrize("page", PAGES)
def test_the_links_of_each_page_lead_to_a_file(page):
    folder = (ROOT / page).parent
    links = LINK.findall((ROOT / page).read_text())
    assert [link for link in links if not (folder / link).exists()] == []


@pytest.mark.parametrize("name", django_future.__all__)
def test_every_public_name_is_in_the_reference_with_its_signature(name):
    (shown,) = re.findall(rf"^:::{{py:\w+}} {name}(?:\((.*)\).*)?$", reference("api"), re.MULTILINE)
    if shown:
        assert parameters(shown) == parameters_of(getattr(django_future, name))


@pytest.mark.parametrize(
    "name", ["reschedule", "cancel", "move", "run_now", "retry", "progress", "log"]
)
def test_the_methods_of_a_job_are_in_the_reference_with_their_signatures(name):
    pattern = rf"^:::{{py:method}} ScheduledJob\.{name}\((.*)\).*$"
    (shown,) = re.findall(pattern, reference("api"), re.MULTILINE)
    assert parameters(shown) == parameters_of(getattr(ScheduledJob, name))


@pytest.mark.parametrize(
    "name", ["pause", "resume", "trigger", "backfill", "upcoming", "previous", "describe"]
)
def test_the_methods_of_a_recurring_job_are_in_the_reference_with_their_signatures(name):
    pattern = rf"^:::{{py:method}} RecurringJob\.{name}\((.*)\).*$"
    (shown,) = re.findall(pattern, reference("api"), re.MULTILINE)
    assert parameters(shown) == parameters_of(getattr(RecurringJob, name))


@pytest.mark.parametrize(
    "name", ["schedule", "aschedule", "spec", "schedule_many", "using", "bound_to"]
)
def test_the_methods_of_a_handler_are_in_the_reference_with_their_signatures(name):
    pattern = rf"^:::{{py:method}} job\.{name}\((.*)\).*$"
    (shown,) = re.findall(pattern, reference("api"), re.MULTILINE)
    assert parameters(shown) == parameters_of(getattr(decorators.Scheduler, name))


@pytest.mark.parametrize(
    "name",
    [
        "assert_scheduled",
        "assert_not_scheduled",
        "assert_none_left",
        "assert_recurs",
        "perform_job",
        "run_due_jobs",
        "travel_to",
        "override_future",
    ],
)
def test_the_test_helpers_are_in_the_reference_with_their_signatures(name):
    pattern = rf"^:::{{py:function}} {name}\((.*)\).*$"
    (shown,) = re.findall(pattern, reference("api"), re.MULTILINE)
    assert parameters(shown) == parameters_of(getattr(testing, name))


@pytest.mark.parametrize(
    ("method", "function"),
    [
        ("FutureBackend.enqueue_many", backend.FutureBackend.enqueue_many),
        ("FutureTask.using", FutureTask.using),
    ],
)
def test_the_methods_of_tasks_are_in_the_reference_with_their_signatures(method, function):
    pattern = rf"^:::{{py:method}} {re.escape(method)}\((.*)\).*$"
    (shown,) = re.findall(pattern, reference("api"), re.MULTILINE)
    assert parameters(shown) == parameters_of(function)


@pytest.mark.parametrize("page", ["how-to/django-tasks", "reference/settings"])
def test_every_option_of_the_backend_is_in_its_pages(page):
    text = (DOCS / f"{page}.md").read_text()
    assert [name for name in backend._OPTIONS if f"`{name}`" not in text] == []


def test_every_option_of_a_task_is_in_the_page_on_tasks():
    text = (DOCS / "how-to" / "django-tasks.md").read_text()
    assert [name for name in NAMES if f"`{name}`" not in text] == []


@pytest.mark.parametrize(
    "option", [*options.HandlerOptions.__annotations__, *builder.CallOptions.__annotations__]
)
def test_every_option_is_in_the_page_on_handlers(option):
    assert f"`{option}`" in (DOCS / "how-to" / "declare-handlers.md").read_text()


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("api", [field.name for field in ScheduledJob._meta.fields]),
        ("api", [field.name for field in RecurringJob._meta.fields]),
        ("api", list(recurring_columns.RecurringArguments.__annotations__)),
        ("api", list(NAMES)),
        ("api", [name for name in vars(ScheduledJobQuerySet) if not name.startswith("_")]),
        ("api", [field.name for field in JobProgress._meta.fields if field.name != "job"]),
        ("api", list(Status.values)),
        ("api", list(builder.JobSpec.__annotations__)),
        ("api", [codename for codename, _ in ScheduledJob._meta.permissions]),
        ("settings", [field.name for field in fields(conf.Config)]),
        ("signals", [name for name, found in vars(signals).items() if isinstance(found, Signal)]),
    ],
)
def test_every_field_setting_and_signal_is_in_the_reference(page, names):
    text = reference(page)
    assert [name for name in names if not re.search(rf"`{name}(\(.*\))?`", text)] == []


@pytest.mark.parametrize(
    "error",
    [found for found in vars(exceptions).values() if isinstance(found, type)],
    ids=lambda error: error.__name__,
)
def test_every_error_is_in_the_reference_under_its_base(error):
    name, bases = error.__name__, ", ".join(base.__name__ for base in error.__bases__)
    pattern = rf"^:::{{py:exception}} {name}\nBase: `{bases}`$"
    assert re.search(pattern, reference("errors"), re.MULTILINE)


def test_every_check_is_in_the_reference():
    source = "".join(module.read_text() for module in SOURCE.rglob("*.py"))
    ids = set(re.findall(r"\bdjango_future\.[EW]\d{3}\b", source))
    assert ids == set(re.findall(r"^## `(.*)`$", reference("checks"), re.MULTILINE))


def test_every_command_and_option_is_in_the_reference():
    ours = [name for name, app in get_commands().items() if app == "django_future"]
    page = reference("commands")
    for name in ours:
        command = load_command_class("django_future", name)
        for option in options_of(command) - options_of(BaseCommand()):
            assert f"`{option}`" in page, f"{name} {option}"
    assert ours == re.findall(r"^## `(.*)`$", page, re.MULTILINE)


def test_the_architecture_page_names_every_module():
    page = (DOCS / "explanation" / "architecture.md").read_text()
    stages = {"scheduling", "store", "execution", "worker"}
    modules = {path.relative_to(SOURCE) for path in SOURCE.rglob("[!_]*.py")}
    names = {path.name if path.parts[0] in stages else path.parts[0] for path in modules}
    assert {name for name in names if f"`{name}" not in page} == set()


def test_architecture_pages_are_short():
    for name in ("architecture", "lifecycle", "claiming", "executing"):
        lines = (DOCS / "explanation" / f"{name}.md").read_text().splitlines()
        assert len(lines) < 120, name


def reference(name):
    return (REFERENCE / f"{name}.md").read_text()


def for_this_django(text):
    """Return a page as it reads for the Django of this process.

    On Django 5.2, a reader imports from `django_tasks` what the page imports from `django.tasks`.
    """
    return text.replace("django.tasks", "django_tasks") if django.VERSION < (6, 0) else text


def our_backends(block):
    """Return the aliases that have `FutureBackend` in the setting `TASKS` of a block."""
    tasks = settings_of(block).get("TASKS", {})
    return {alias: values for alias, values in tasks.items() if values["BACKEND"] == BACKEND}


def blocks(text, language):
    return [block for found, block in FENCE.findall(text) if found == language]


def only_code(text, language):
    """Return the code of `text`, with blank lines for the rest to keep the line numbers."""
    parts, end = [], 0
    for fence in FENCE.finditer(text):
        if fence[1] == language:
            parts += ["\n" * text.count("\n", end, fence.start(2)), fence[2]]
            end = fence.end(2)
    return "".join(parts)


def cells_of(heading, rows):
    """Yield the rhythm, the zone, the day and the instants of each cell of a table."""
    nights = [night.split(", ") for night in heading.split(" | ")]
    for row in rows.splitlines():
        rhythm, *cells = row.strip("| ").split(" | ")
        for (zone, day), cell in zip(nights, cells, strict=True):
            yield rhythm.strip("`"), zone, day, cell


def instants_of(rhythm, zone, day):
    """Return the instants from 01:00 to 03:59, as the page on the change of clocks writes them."""
    start = datetime.fromisoformat(f"{day} 01:00")
    arguments = {"cron": rhythm}
    if rhythm.startswith("every"):
        arguments = {"every": rhythm.split('"')[1], "starts_at": start - timedelta(minutes=1350)}
    row = schedule_recurring(rhythm, "shop.jobs.report", timezone=zone, **arguments)
    end = start + timedelta(hours=3)
    instants = row.upcoming(9, after=start - timedelta(seconds=1))
    found = takewhile(lambda instant: instant.replace(tzinfo=None) < end, instants)
    return ", ".join(f"{instant:%H:%M}{instant.isoformat()[19:]}" for instant in found) or "none"


def settings_of(block):
    imports = ast.Import | ast.ImportFrom
    statements = [node for node in ast.parse(block).body if not isinstance(node, imports)]
    if not statements or not all(
        isinstance(node, ast.Assign) and node.targets[0].id.isupper() for node in statements
    ):
        return {}
    found = {"BASE_DIR": ROOT, "INSTALLED_APPS": []}
    exec(block, found)
    return found


def parameters(text):
    return parameters_of(eval(f"lambda {text}: None", {"UNSET": UNSET}))


def parameters_of(function):
    return [
        (parameter.name, parameter.kind, parameter.default)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.name != "self" and parameter.annotation is not Never  # always refused
    ]


def options_of(command):
    parser = command.create_parser("manage.py", "a command")
    return {option for action in parser._actions for option in action.option_strings}
