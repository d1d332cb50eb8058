"""The traceback on the page of a job."""

import sys
import traceback

import pytest

from django_future import ScheduledJob
from django_future.admin.job_page.tracebacks import parse
from django_future.status import Status
from tests.support.admin_pages import body, job_in, page_of

SITE = "/srv/venv/lib/python3.12/site-packages"
TEXT = f"""Traceback (most recent call last):
  File "/srv/src/django_future/execution/invoke.py", line 40, in call
    return function()
           ^^^^^^^^^^
  File "/srv/shop/jobs.py", line 7, in charge
    bank.charge(
    ~~~~~~~~~~~^
        order)
        ^^^^^^
  File "{SITE}/bank/client.py", line 12, in charge
    raise Declined("no money")
bank.Declined: no money
"""


def texts_of(exception):
    return "".join(traceback.format_exception(exception))


def raised(function):
    try:
        function()
    except BaseException as error:  # noqa: BLE001
        return error
    raise AssertionError


def chained():
    try:
        {}["card"]
    except KeyError as error:
        raise ValueError("declined") from error


def while_handled():
    try:
        {}["card"]
    except KeyError:
        raise ValueError("declined")  # noqa: B904


def grouped():
    raise ExceptionGroup("two orders", [ValueError("one"), TypeError("two")])


def recursive():
    recursive()


def noted():
    error = ValueError("first\nsecond")
    error.add_note("a note")
    raise error


def syntax():
    compile("f(", "<order>", "exec")


class TestParse:
    def test_the_error_comes_with_the_frames_of_project_and_libraries(self):
        [error] = parse(TEXT)
        assert (error.kind, error.message) == ("bank.Declined", "no money")
        groups = [(group.is_own, [frame.path for frame in group.frames]) for group in error.groups]
        assert groups == [
            (False, ["/srv/src/django_future/execution/invoke.py"]),
            (True, ["/srv/shop/jobs.py"]),
            (False, [f"{SITE}/bank/client.py"]),
        ]
        assert error.groups[0].summary == "Calls in django_future: 1"
        assert error.groups[2].summary == "Calls in bank: 1"

    def test_the_source_is_kept_without_the_carets(self):
        [error] = parse(TEXT)
        assert error.groups[1].frames[0].source == "bank.charge(\n    order)"

    @pytest.mark.parametrize(
        ("function", "relation"),
        [(chained, "Its cause"), (while_handled, "While this error was handled")],
    )
    def test_the_raised_error_comes_before_its_cause(self, function, relation):
        outer, cause = parse(texts_of(raised(function)))
        assert (outer.kind, outer.message, outer.relation) == ("ValueError", "declined", "")
        assert (cause.kind, cause.message) == ("KeyError", "'card'")
        assert cause.relation == relation

    def test_a_group_shows_its_own_error_and_the_text_of_the_others(self):
        [error] = parse(texts_of(raised(grouped)))
        assert error.kind == "ExceptionGroup"
        assert error.message == "two orders (2 sub-exceptions)"
        assert "ValueError: one" in error.rest
        assert "TypeError: two" in error.rest

    def test_repeated_frames_are_left_out(self):
        [error] = parse(texts_of(raised(recursive)))
        assert error.kind == "RecursionError"
        assert len(error.groups[0].frames) < 10

    def test_a_syntax_error_keeps_its_message(self):
        [error] = parse(texts_of(raised(syntax)))
        assert error.kind == "SyntaxError"
        assert 'File "<order>", line 1' in error.message

    def test_a_message_of_several_lines_and_notes_is_whole(self):
        [error] = parse(texts_of(raised(noted)))
        assert error.message == "first\nsecond\na note"

    @pytest.mark.parametrize(
        "text",
        [
            "", "nonsense", "Traceback (most recent call last):", "the order is paid",
            'Traceback (most recent call last):\n  File "x", line 1, in f\n', "\n\n", "  |",
            "  + Exception Group Traceback (most recent call last):\n", "\x00", "ValueError",
            "During handling of the above exception, another exception occurred:", "a: b\nc",
        ],
    )  # fmt: skip
    def test_a_text_that_is_no_traceback_is_left_as_it_is(self, text):
        assert parse(text) == []

    def test_a_text_whose_middle_is_cut_is_still_read(self):
        text = TEXT.replace("    bank.charge(", "[... 5 of 9 bytes are cut here ...]")
        assert parse(text) == [] or parse(text)[0].kind

    def test_the_reading_takes_linear_time(self):
        frame = '  File "/srv/shop/jobs.py", line 7, in charge\n    charge()\n'
        assert len(parse(f"Traceback (most recent call last):\n{frame * 20_000}E: x")) <= 1

    @pytest.mark.parametrize(
        ("path", "package"),
        [
            ("/srv/shop/jobs.py", ""),
            (f"{SITE}/django/db/models/query.py", "django"),
            (f"{SITE}/six.py", "six"),
            ("/usr/lib/python3/dist-packages/requests/api.py", "requests"),
            ("/usr/lib/python3.12/json/decoder.py", "python"),
            ("<frozen importlib._bootstrap>", "python"),
            (r"C:\Python312\Lib\json\decoder.py", "python"),
            (r"C:\venv\Lib\site-packages\django\db\utils.py", "django"),
            ("/srv/django_future_shop/jobs.py", ""),
            ("/srv/mylib/jobs.py", ""),
        ],
    )
    def test_the_path_says_whose_code_it_is(self, path, package):
        [error] = parse(TEXT.replace("/srv/shop/jobs.py", path))
        frames = [frame for group in error.groups for frame in group.frames]
        assert frames[1].package == package


@pytest.mark.django_db
class TestPage:
    def page(self, client, error):
        failed = job_in(Status.FAILED)
        ScheduledJob.objects.filter(pk=failed.pk).update(error=error, attempts=1)
        return body(client.get(page_of(failed)))

    def test_the_error_is_above_the_frames_and_libraries_are_folded(self, admin_client):
        html = self.page(admin_client, TEXT).split('id="future-error"')[1]
        error, own = html.index("bank.Declined"), html.index("/srv/shop/jobs.py:7")
        assert error < html.index("Calls in django_future: 1") < own
        assert "The whole text" in html

    def test_markup_in_a_traceback_is_escaped(self, admin_client):
        html = self.page(admin_client, TEXT.replace("no money", "<script>alert(1)</script>"))
        assert "<script>alert" not in html

    @pytest.mark.parametrize("error", ["nonsense <b>", "\n", "Traceback (most recent call last):"])
    def test_a_text_that_is_no_traceback_is_shown_whole(self, error, admin_client):
        assert "<b>" not in self.page(admin_client, error)

    def test_this_python_writes_tracebacks_that_are_read(self, admin_client):
        html = self.page(admin_client, texts_of(raised(chained)))
        assert html.index("declined") < html.index("Its cause")
        assert sys.version_info >= (3, 11)
