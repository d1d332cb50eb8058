"""The admin is translated completely, and its pages render in each language."""

import gettext as gnu
import re
from datetime import timedelta
from functools import cache
from html import unescape
from importlib.resources import files
from io import BytesIO
from pathlib import Path

import django
import pytest
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from django.urls import reverse
from django.utils import translation
from django.utils.translation.template import templatize

from django_future import ScheduledJob, clock, schedule_job, schedule_recurring
from django_future.status import Status
from django_future.worker.heartbeat import new_worker
from tests.shop import jobs
from tests.support.admin_pages import body

PACKAGE = Path(str(files("django_future")))
LANGUAGES = ["de", "es", "fr", "ja", "pt_BR"]
WITHOUT_TRANSLATION = ["ar", "he"]
LAZY = ("gettext", "ngettext", "pgettext", "npgettext")
KEYWORDS = {
    **DEFAULT_KEYWORDS,
    **{f"{name}_lazy": DEFAULT_KEYWORDS[name] for name in LAZY},
}
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%%|\{\w*\}")
# As in Django, whose translation of the same message may be used in its place.
DJANGO_CATALOGUES = ["conf", "contrib/admin", "contrib/auth", "contrib/contenttypes"]
# In the order of the languages, what each term is called in any case and number.
TERMS = {
    "queue": ["warteschlange", "cola", "d’attente", "キュー", "fila"],
    "worker": ["worker", "worker", "worker", "ワーカー", "worker"],
    "handler": ["handler", "manejador", "gestionnaire", "ハンドラー", "handler"],
    "thread": ["thread", "hilo", "thread", "スレッド", "thread"],
}
# For each page, a text that it shows as a title.
PAGES = {
    "app_list": "Scheduled jobs",
    "scheduledjob_changelist": "scheduled job",
    "scheduledjob_change": "Why isn’t it running?",
    "scheduledjob_add": "Schedule a job",
    "failures": "Failures",
    "recurringjob_changelist": "recurring job",
    "recurringjob_add": "recurring job",
    "recurringjob_change": "recurring job",
    "recurringjob_pause": "Pause",
    "recurringjob_backfill": "Backfill",
    "pausedqueue_changelist": "paused queue",
    "worker_changelist": "worker",
}


def path(language, ending="po"):
    return PACKAGE / "locale" / language / "LC_MESSAGES" / f"django.{ending}"


def catalogue(language):
    with path(language).open("rb") as file:
        return read_po(file)


def messages_of(read):
    """Return the translations by context and text; both are tuples if there are plural forms."""

    def plain(value):
        return value if isinstance(value, str) else tuple(value)

    return {(one.context, plain(one.id)): plain(one.string) for one in read if one.id}


@cache
def source_messages():
    """Return the context and the text, or the two texts, of each message in code and templates."""
    found = set()
    for file in PACKAGE.rglob("*"):
        if file.suffix not in {".py", ".html"}:
            continue
        text = file.read_text()
        code = templatize(text, origin=str(file)) if file.suffix == ".html" else text
        for _line, texts, _comments, context in extract("python", BytesIO(code.encode()), KEYWORDS):
            found.add((context, texts))
    return found


def placeholders(text):
    return sorted(PLACEHOLDER.findall(text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_message_of_the_source_is_in_the_catalogue_and_no_other(language):
    assert set(messages_of(catalogue(language))) == source_messages()


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_message_has_a_translation_in_each_plural_form(language):
    read = catalogue(language)
    assert not read.obsolete
    for message in read:
        forms = message.string if message.pluralizable else (message.string,)
        assert not message.id or not message.fuzzy, message.id
        assert all(forms), message.id
        assert len(forms) == (read.num_plurals if message.pluralizable else 1), message.id


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_placeholders_of_its_message(language):
    for (_, texts), translated in messages_of(catalogue(language)).items():
        if isinstance(texts, str):
            assert placeholders(translated) == placeholders(texts), texts
            continue
        *few, many = translated
        assert placeholders(many) == placeholders(texts[1]), texts
        for form in few:
            assert placeholders(form) in [placeholders(text) for text in texts], texts


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_begins_and_ends_as_its_message(language):
    for (_, texts), translated in messages_of(catalogue(language)).items():
        first, forms = (texts, [translated]) if isinstance(texts, str) else (texts[0], translated)
        for form in forms:
            assert form == form.strip(), form
            assert ("\n" in form) == ("\n" in first), form
            for end in ".?:":
                similar = {".": ".。", "?": "?？", ":": ":："}[end]
                assert first.endswith(end) == form.endswith(tuple(similar)), (first, form)


@pytest.mark.parametrize("term", TERMS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_term_has_one_translation(language, term):
    wanted = TERMS[term][LANGUAGES.index(language)]
    for (_, texts), translated in messages_of(catalogue(language)).items():
        text, form = (texts, translated) if isinstance(texts, str) else (texts[0], translated[0])
        if re.search(rf"\b{term}s?\b", PLACEHOLDER.sub("", text), re.IGNORECASE):
            assert wanted in form.lower(), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_says_the_same(language):
    with path(language, "mo").open("rb") as file:
        compiled = read_mo(file)
    assert messages_of(compiled) == messages_of(catalogue(language))
    with path(language, "mo").open("rb") as file:
        forms = gnu.GNUTranslations(file)
    assert forms.info()["plural-forms"].startswith(f"nplurals={catalogue(language).num_plurals};")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_has_no_dates_and_no_line_numbers(language):
    text = path(language).read_text()
    assert "-Date:" not in text
    assert re.findall(r"^#: .*:\d+.*$", text, re.MULTILINE) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_message_of_django_has_the_translation_of_django(language):
    ours = messages_of(catalogue(language))
    for name in DJANGO_CATALOGUES:
        file = Path(django.__file__).parent / name / "locale" / language / "LC_MESSAGES/django.mo"
        with file.open("rb") as opened:
            theirs = gnu.GNUTranslations(opened)._catalog
        for (context, text), translated in ours.items():
            if context is None and isinstance(text, str) and theirs.get(text):
                assert translated == theirs[text], text


@pytest.fixture
def page_in(admin_client, settings):
    """Return a function that returns the HTML of a page in a language."""
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    worker = new_worker()
    worker.seen_at = clock.to_row(clock.now())
    worker.save()
    made = schedule_job("1h", jobs.echo)
    failed = schedule_job("1h", jobs.echo)
    ScheduledJob.objects.filter(pk=failed.pk).update(status=Status.FAILED, error="ValueError: 1")
    recurring = schedule_recurring("often", jobs.trace, every="90m")
    pks = {
        "scheduledjob_change": made.pk,
        "recurringjob_change": recurring.pk,
        "recurringjob_pause": recurring.pk,
        "recurringjob_backfill": recurring.pk,
    }

    def page(name, language):
        if name == "app_list":
            address = reverse("admin:app_list", args=["django_future"])
        else:
            args = [pks[name]] if name in pks else []
            address = reverse(f"admin:django_future_{name}", args=args)
        return body(
            admin_client.get(address, headers={"accept-language": language.replace("_", "-")})
        )

    yield page
    translation.deactivate()  # the middleware leaves the last language active


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_its_title_in_the_language(page_in, name, language):
    with translation.override(language):
        title = translation.gettext(PAGES[name])
    shown = page_in(name, language)
    assert f'<html lang="{language.replace("_", "-").lower()}" dir="ltr"' in shown
    assert title.lower() in unescape(shown).lower()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_shows_no_sentence_in_english(page_in, name, language):
    shown = unescape(page_in(name, language))
    texts = {text for _, text in source_messages() if isinstance(text, str) and " " in text}
    translated = messages_of(catalogue(language)).values()
    nodes = {text.strip() for text in re.split(r"<[^>]*>", shown)}
    labels = re.findall(r'(?:aria-label|placeholder|title)="([^"]*)"', shown)
    assert (nodes | set(labels)) & (texts - set(translated)) == set()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_in_english_in_a_project_of_another_language(page_in, settings, name):
    settings.LANGUAGE_CODE = "de"
    assert PAGES[name].lower() in unescape(page_in(name, "en")).lower()


@pytest.mark.parametrize("language", WITHOUT_TRANSLATION)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_reads_from_right_to_left_in_english_words(page_in, name, language):
    shown = unescape(page_in(name, language))
    assert f'<html lang="{language}" dir="rtl"' in shown
    assert PAGES[name].lower() in shown.lower()


def test_the_reason_why_a_job_waits_is_a_sentence_in_the_language(page_in):
    ScheduledJob.objects.update(scheduled_at=clock.to_row(clock.now() + timedelta(days=3, hours=1)))
    assert "Er ist in 3 Tagen fällig, um " in page_in("scheduledjob_change", "de")


def test_the_words_for_a_cron_expression_are_marked_as_english(page_in):
    schedule_recurring("nightly", jobs.trace, cron="0 9 * * *")
    shown = page_in("recurringjob_changelist", "de")
    assert '<span lang="en">At 09:00 every day, Europe/Berlin</span>' in shown.replace("<wbr>", "")
    assert "Alle 1h30m" in shown
