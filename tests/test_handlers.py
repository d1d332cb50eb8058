"""The callables that jobs may call."""

import functools
import subprocess
import sys
import types

import pytest

from django_future import job
from django_future.exceptions import CallableNotAllowed, InvalidCallable
from django_future.handlers import identify, resolve
from tests.shop import hostile, jobs
from tests.shop.models import ExpressOrder, Order


def name_of(target, content_object):
    name, _ = identify(target, content_object)
    return name


def nested():
    def inner():
        pass

    return inner


class Handlers:
    def method(self):
        pass

    def __call__(self):
        pass


def in_a_script():
    pass


def in_a_shell():
    pass


in_a_script.__module__ = "__main__"
in_a_shell.__module__ = None  # type: ignore[assignment]
partial = functools.partial(jobs.echo, 1)


@job
def decorated():
    """Be a handler outside the apps of the project."""


@pytest.fixture
def library(monkeypatch):
    """Return a module that belongs to no app of the project."""
    module = types.ModuleType("somewhere_else")

    def plain():
        """Be a function that no setting allows."""

    plain.__module__ = "somewhere_else"
    plain.__qualname__ = "plain"
    module.plain = plain
    monkeypatch.setitem(sys.modules, "somewhere_else", module)
    return module


def test_a_dotted_path_and_its_function_name_the_same_handler():
    assert (
        name_of(jobs.echo, None) == name_of("tests.shop.jobs.echo", None) == "tests.shop.jobs.echo"
    )
    assert resolve("tests.shop.jobs.echo", None) is jobs.echo


def test_a_bare_name_is_a_method_of_the_content_object():
    order = Order(number="A1")
    assert resolve(name_of("remind", order), order) == order.remind


def test_a_proxy_model_has_its_own_methods():
    assert name_of("hurry", ExpressOrder()) == "hurry"


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("tests.shop.jobs.missing", "does not exist"),
        ("tests.missing.echo", "cannot be imported"),
        ("tests.shop.jobs.Trace.objects", "cannot be imported"),
        ("tests.shop.jobs.sys", "not callable"),
        ("echo", "is not a dotted path"),
        ("", "is not a dotted path"),
        (".echo", "is not a dotted path"),
        ("tests.shop.jobs." + "x" * 255, "more than 255 characters"),
        (lambda: None, "is a lambda. Write it with def"),
        (nested(), "is defined inside a function. Move it to the top level of a module"),
        (Handlers.method, "is a method of Handlers. .* write a function"),
        (Handlers(), "Write a function at the top level of a module"),
        (
            partial,
            "is a partial. Pass its function as callable, and its arguments in args and kwargs",
        ),
        (
            Handlers().method,
            "is bound to a value of type tests.test_handlers.Handlers. Write a function",
        ),
        (Order.remind, "pass the name of the method, 'remind', and a saved instance"),
        (Order().remind, "Pass the name of the method, 'remind', and the object"),
        (Order().save, r"Or list 'tests.shop.models.Order.save' in DJANGO_FUTURE\['CALLABLES'\]"),
        ("django.core.mail.send_mail", "List it in .* or write a function or a method that calls"),
        ("os.system", "List it in .* or write a function or a method that calls"),
        ("tests.shop.jobs.trace_al", r"Did you mean 'tests.shop.jobs.trace_all'\?"),
        ("tests.shop.jobs:trace", r"Did you mean 'tests.shop.jobs.trace'\?"),
        (Order.from_db, "Write a function"),
        (in_a_script, "is defined in a script or a shell. Move it to a module"),
        (in_a_shell, "is defined in a script or a shell. Move it to a module"),
        ("__main__.handler", "is defined in a script or a shell"),
        ("shopp.jobs.echo", "there is no module 'shopp'. Check its spelling"),
        ("test.shop.jobs.echo2", "so jobs may not call it"),
        ("tets.shop.jobs.echo", "Did you mean 'tests"),
        ("tests.shop.job.echo", r"Did you mean 'tests.shop.jobs'\?"),
        ("tests.shop.models.Order.remind", "is a method of Order. .* pass the name .*, 'remind'"),
        (5, "Pass a function without calling it, its dotted path"),
        (None, "Pass a function without calling it, its dotted path"),
    ],
)
def test_a_target_that_no_job_can_call_is_refused(target, reason):
    with pytest.raises(InvalidCallable, match=reason):
        name_of(target, None)


@pytest.mark.parametrize("name", ["missing", "number", "_secret", "__init__", "objects"])
def test_a_name_that_is_no_public_method_of_the_object_is_refused(name):
    with pytest.raises(InvalidCallable, match="no public method"):
        name_of(name, Order())


def test_the_error_about_a_method_says_how_to_call_a_function():
    with pytest.raises(InvalidCallable, match="For a function, give its dotted path"):
        name_of("echo", Order())


def test_the_error_names_the_child_model_that_has_the_method():
    with pytest.raises(InvalidCallable, match="ExpressOrder has it: bind the job to an"):
        name_of("hurry", Order())


def test_a_function_that_its_path_does_not_resolve_to_is_refused(monkeypatch):
    original = jobs.echo
    monkeypatch.setattr(jobs, "echo", jobs.fail)
    with pytest.raises(InvalidCallable, match=r"is .*, not <function"):
        name_of(original, None)


@pytest.mark.parametrize(
    "path",
    [
        "os.system",
        "posix.system",
        "subprocess.Popen",
        "builtins.eval",
        "tests.shop.jobs.system",  # imported there, but defined elsewhere
        "tests.shop.jobs.functools.partial",
        "django.core.management.call_command",
        "tests.shop.jobs.__class__",
    ],
)
def test_callables_outside_the_project_are_refused(path):
    with pytest.raises(InvalidCallable):
        resolve(path, None)


def test_a_module_outside_the_project_is_not_imported():
    assert "antigravity" not in sys.modules
    with pytest.raises(CallableNotAllowed):
        resolve("antigravity.geohash", None)
    assert "antigravity" not in sys.modules


def test_a_callable_from_a_library_is_refused_with_the_remedy(library):
    with pytest.raises(CallableNotAllowed, match=r"@job .*CALLABLES"):
        name_of("somewhere_else.plain", None)


@pytest.mark.parametrize("name", ["somewhere_else.plain", "not_installed.plain"])
def test_a_callable_outside_the_installed_apps_is_refused_with_a_question(
    library, name, tmp_path, monkeypatch
):
    (tmp_path / "not_installed.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        CallableNotAllowed,
        match=r"outside the installed apps and the project, .* Is the app of '.*' in INSTALLED_A",
    ):
        resolve(name, None)


@pytest.mark.parametrize(("name", "similar"), [("remindd", "remind"), ("rings", "ring")])
def test_a_misspelt_method_is_refused_with_a_similar_name(name, similar):
    with pytest.raises(InvalidCallable, match=rf"Did you mean '{similar}'\?"):
        resolve(name, Order())


def test_a_method_of_django_is_refused_with_a_remedy_that_works(settings):
    with pytest.raises(CallableNotAllowed, match="List it in DJANGO_FUTURE"):
        resolve("save", Order())
    settings.DJANGO_FUTURE = {"CALLABLES": ["tests.shop.models.Order.save"]}
    assert callable(resolve("save", Order()))


def test_the_job_decorator_allows_a_callable_from_a_library(library):
    library.plain = job(library.plain)
    assert resolve("somewhere_else.plain", None) is library.plain


@pytest.mark.parametrize("listed", ["somewhere_else.plain", "somewhere_else"])
def test_the_callables_setting_allows_a_callable_or_a_module(library, settings, listed):
    settings.DJANGO_FUTURE = {"CALLABLES": [listed]}
    assert resolve("somewhere_else.plain", None) is library.plain


def test_a_decorated_function_is_still_a_function():
    assert decorated() is None
    assert name_of(decorated, None) == "tests.test_handlers.decorated"


def test_the_public_names_load_before_the_apps_do():
    code = "import django_future as f; f.job; f.job_as_parameter; dir(f)"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize(
    "handler", [hostile.generate, hostile.generate_declared, hostile.generate_async]
)
def test_a_generator_function_is_refused_when_it_is_scheduled(handler):
    with pytest.raises(InvalidCallable, match="Do not yield in a handler"):
        identify(handler, None)


def test_a_handler_replaced_in_its_module_resolves_to_the_new_function(monkeypatch):
    name = "tests.shop.jobs.echo"
    assert resolve(name, None) is jobs.echo
    monkeypatch.setattr(jobs, "echo", jobs.return_time)
    assert resolve(name, None) is jobs.return_time


def test_a_handler_that_the_settings_no_longer_list_is_not_called(settings):
    settings.DJANGO_FUTURE = {"CALLABLES": ["textwrap.dedent"]}
    resolve("textwrap.dedent", None)
    settings.DJANGO_FUTURE = {}
    with pytest.raises(CallableNotAllowed):
        resolve("textwrap.dedent", None)
