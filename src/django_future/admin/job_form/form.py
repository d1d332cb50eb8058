"""The form of a new job. It refuses what `schedule_job` refuses."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib.admin import AdminSite
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from django_future import clock, handlers
from django_future.admin.job_form.call_text import NotACall, read_call
from django_future.admin.job_form.catalogue import is_declared_method, known_handlers
from django_future.admin.job_form.objects import (
    lookup_url,
    offered_models,
    visible_object,
    visible_object_of,
)
from django_future.admin.job_form.original import has_handler, literal_call, original_call
from django_future.admin.job_form.widgets import HandlerInput, ObjectIdInput
from django_future.exceptions import (
    InvalidArguments,
    InvalidCallable,
    InvalidObject,
    InvalidTime,
    SchedulingError,
)
from django_future.models import MAX_OBJECT_ID_LENGTH, ScheduledJob
from django_future.options import (
    MAX_PRIORITY,
    MAX_QUEUE_NAME_LENGTH,
    MIN_PRIORITY,
    UNSET,
    validate_queue_name,
)
from django_future.parameters import check_arguments
from django_future.remedies import did_you_mean
from django_future.scheduling.builder import Draft, SchedulingContext, build, build_copy
from django_future.tasks.handler import TaskHandler
from django_future.when import parse_when

FIELDSETS: list[tuple[Any, dict[str, Any]]] = [
    (_("What"), {"fields": ["handler", "arguments", ("content_type", "object_id")]}),
    (_("When"), {"fields": ["when", "expires"]}),
    (_("How"), {"fields": ["queue_name", "priority"]}),
]
NEVER = "never"
_OPTIONS = ("queue_name", "priority")
_FIELDS: list[tuple[type[SchedulingError], str]] = [
    (InvalidCallable, "handler"), (InvalidArguments, "arguments"), (InvalidObject, "object_id"),
]  # fmt: skip


class JobForm(forms.ModelForm):  # type: ignore[type-arg]
    """Schedules a job, or a copy of `original`. After validation, `draft` is the job to insert."""

    draft: Draft

    handler = forms.CharField(
        label=_("Handler"),
        max_length=handlers.MAX_NAME_LENGTH,
        widget=HandlerInput(attrs={"class": "vTextField", "autocomplete": "off", "dir": "ltr"}),
        help_text=_("Type a part of the name to find one."),
    )
    arguments = forms.CharField(
        label=_("Arguments"),
        required=False,
        strip=False,
        widget=AdminTextareaWidget(attrs={"rows": 4, "spellcheck": "false", "dir": "ltr"}),
        help_text=_("As in Python, such as order_id=70, cents=1999, or as a JSON object."),
    )
    content_type = forms.ChoiceField(label=_("Type of the object"), required=False)
    object_id = forms.CharField(
        label=_("Id of the object"),
        required=False,
        max_length=MAX_OBJECT_ID_LENGTH,
        widget=ObjectIdInput(attrs={"class": "vTextField"}),
        help_text=_("A function gets the object as its first argument."),
    )
    when = forms.CharField(label=_("When"), initial="0s", widget=AdminTextInputWidget())
    expires = forms.CharField(label=_("Expires"), required=False, widget=AdminTextInputWidget())
    queue_name = forms.CharField(
        label=_("Queue"),
        required=False,
        max_length=MAX_QUEUE_NAME_LENGTH,
        widget=AdminTextInputWidget(),
        help_text=_("Empty for the queue of the handler."),
    )
    priority = forms.IntegerField(
        label=_("Priority"),
        required=False,
        min_value=MIN_PRIORITY,
        max_value=MAX_PRIORITY,
        help_text=_("Empty for the priority of the handler. The highest starts first."),
    )

    class Meta:
        model = ScheduledJob
        fields: tuple[str, ...] = ()

    def __init__(
        self,
        *args: Any,
        request: HttpRequest,
        site: AdminSite,
        original: ScheduledJob | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._request, self._site, self._original = request, site, original
        self._known = known_handlers()
        self._models = offered_models(request, site, original)
        self._set_choices()
        zone = {"zone": clock.current_zone()}
        self.fields["when"].help_text = (
            _("Such as 3h, 1d12h, or 2030-01-31 09:00 in the zone %(zone)s. 0s is now.") % zone
        )
        self._set_help_of_defaults()

    def _set_help_of_defaults(self) -> None:
        ends = _("After this, the job does not start. Such as 7d, counted from the time, or never.")
        if self._original is None:
            kept = _("Empty for the default of the handler.")
            self.fields["expires"].help_text = ends + " " + kept
            return
        other = " " + _("Another handler uses its own value, unless you enter one.")
        for name in _OPTIONS:
            self.fields[name].help_text = _("Empty for the value of the original.") + other
        kept = _("Empty for as long as the original had.")
        self.fields["expires"].help_text = ends + " " + kept + other

    def _set_choices(self) -> None:
        fields: dict[str, Any] = self.fields
        fields["handler"].widget.handlers = list(self._known.values())
        names = sorted((str(model._meta.verbose_name), label) for label, model in
                       self._models.items())  # fmt: skip
        fields["content_type"].choices = [
            ("", "---------"), *((label, f"{name} ({label})") for name, label in names)
        ]  # fmt: skip
        chosen = self._models.get(str(self["content_type"].value()))
        if chosen is not None:
            fields["object_id"].widget.lookup_url = lookup_url(chosen, self._request, self._site)

    def clean_handler(self) -> str:
        """Return the full name of a known handler."""
        text: str = self.cleaned_data["handler"].strip()
        if text in self._known or (self._original and text == self._original.callable_name):
            return text
        found = [name for name in self._known if name.endswith(f".{text}")]
        if len(found) == 1:
            return found[0]
        short = {name.rpartition(".")[2]: name for name in self._known}
        message = gettext("This is not a known handler.")
        raise ValidationError(message + did_you_mean(text, [*self._known, *short]))

    def clean_arguments(self) -> tuple[list[Any], dict[str, Any]] | None:
        """Return the arguments, or None for those of the original job."""
        text: str = self.cleaned_data["arguments"]
        if self._original is not None:
            call = original_call(self._original)
            is_same = text.replace("\r\n", "\n").strip() == call.text.strip()
            if is_same and not call.has_sensitive:
                return None
        try:
            return read_call(text)
        except NotACall as error:
            raise ValidationError(str(error)) from error

    def clean_when(self) -> str:
        """Refuse what is not a time."""
        return _checked_time(self.cleaned_data["when"])

    def clean_expires(self) -> Any:
        """Return a time, None for never, or `UNSET` for the default."""
        text: str = self.cleaned_data["expires"]
        if not text:
            return UNSET
        return None if text.lower() in {NEVER, gettext("never")} else _checked_time(text)

    def clean_queue_name(self) -> str:
        """Refuse what no queue can be named."""
        name: str = self.cleaned_data["queue_name"]
        return _checked(validate_queue_name, name) if name else name

    def clean(self) -> dict[str, Any]:
        """Find the object."""
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        label, object_id = cleaned.get("content_type"), cleaned.get("object_id")
        if label and object_id:
            cleaned["content_object"] = self._object(self._models[label], object_id)
        elif label and "object_id" in cleaned:
            self.add_error("object_id", gettext("Give the id of the object."))
        elif object_id and "content_type" in cleaned:
            self.add_error("content_type", gettext("Choose the type of the object."))
        return cleaned

    def _object(self, model: type[Model], object_id: str) -> Model | None:
        original: Any = self._original
        if original is not None and object_id == original.object_id:
            found = visible_object_of(original, self._request, self._site)
            if type(found) is model:
                return found
        found = visible_object(model, object_id, self._request, self._site)
        if found is None:
            self.add_error("object_id", gettext("There is no object with this id."))
        return found

    # The validators of the model are not called, because build() checks every value.
    def _post_clean(self) -> None:
        if self.errors:
            return
        try:
            self.draft = self._draft()
        except SchedulingError as error:
            self.add_error(_field_of(error), str(error))
        except ValidationError as error:
            self.add_error(None, error)
        except (TypeError, ValueError):  # from a task
            self.add_error("arguments", gettext("A task takes only values of JSON's types."))

    def _draft(self) -> Draft:
        given = self.cleaned_data
        content_object, name = given.get("content_object"), given["handler"]
        original, call = self._original, given["arguments"]
        is_copy = original is not None and has_handler(original, name, content_object)
        if not is_copy:
            self._check_method(name, content_object)
        if original is not None and not is_copy and call is None:
            call = literal_call(original)
        backend = original.task_backend if original is not None and is_copy else None
        call = self._check_task(name, call, backend)
        context = SchedulingContext.current()
        times = given["when"], name, content_object, given["expires"]
        if original is not None and is_copy:
            options = self._options(_OPTIONS)
            draft = build_copy(context, original, *times, *(call or (None, None)), **options)
            if draft.job.task_backend is not None and backend is not None:
                draft.job.task_backend = backend
            return draft
        # The options of the original are not those of another handler.
        names = [name for name in _OPTIONS if original is None or name in self.changed_data]
        return build(context, *times, *call, **self._options(names))

    def _options(self, names: Iterable[str]) -> dict[str, Any]:
        options = {name: self.cleaned_data[name] for name in names}
        return {name: value for name, value in options.items() if value not in {"", None}}

    def _check_method(self, name: str, content_object: Model | None) -> None:
        if "." in name:
            return
        if content_object is None:
            raise InvalidObject(gettext("This handler is a method. Choose its object."))
        # Another model may have a method of the same name, which is not declared.
        if not is_declared_method(type(content_object), name):
            raise InvalidObject(gettext("This object does not have the method."))

    def _check_task(self, name: str, call: Any, backend: str | None) -> Any:
        """Return the checked arguments of a task, which `build` leaves to the Tasks API."""
        known = self._known.get(name)
        handler = _task_handler(name) if known is None else known.handler
        if call is None or not isinstance(handler, TaskHandler):
            return call
        leading = ["the context"] if handler.task.takes_context else []
        check_arguments(name, handler.task.func, leading, *call)
        return handler.on(backend).normalize_arguments(*call)


def _task_handler(name: str) -> Any:
    """Return the handler of an original that is not known, or None if it cannot be a task."""
    return handlers.resolve(name, None) if "." in name else None


def _field_of(error: SchedulingError) -> str | None:
    """Return the field to which a message belongs; None if there is none."""
    if isinstance(error, InvalidTime):
        return "expires" if str(error).startswith("expires") else "when"
    return next((field for kind, field in _FIELDS if isinstance(error, kind)), None)


def _checked_time(text: str) -> str:
    zone = clock.current_zone()
    _checked(lambda value: parse_when(value, now=clock.now(), zone=zone), text)
    return text


def _checked(check: Any, value: str) -> str:
    try:
        check(value)
    except SchedulingError as error:
        raise ValidationError(str(error)) from error
    return value
