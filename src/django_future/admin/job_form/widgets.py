"""The inputs of the form that need more than Django's widgets. None of them needs a script."""

from typing import Any

from django import forms
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from django_future.admin.job_form.catalogue import KnownHandler

MAX_LISTED = 200  # handlers with signature and docstring; the input finds the others


class HandlerInput(forms.TextInput):
    """A text whose suggestions are the known handlers, with a list of what each takes."""

    handlers: list[KnownHandler]

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        """Return the input, its suggestions and the list."""
        list_id = f"{(attrs or {}).get('id', name)}_known"
        listed = self.handlers[:MAX_LISTED]
        context = {
            "input": super().render(name, value, {**(attrs or {}), "list": list_id}, renderer),
            "list_id": list_id,
            "handlers": self.handlers,
            "listed": listed,
            "more": len(self.handlers) - len(listed),
        }
        return mark_safe(  # noqa: S308 - a template has escaped it
            render_to_string("admin/django_future/job_form/handler.html", context)
        )


class ObjectIdInput(forms.TextInput):
    """The primary key of an object, with a link to the page on which it can be chosen."""

    lookup_url: str | None = None

    def render(
        self, name: str, value: Any, attrs: dict[str, Any] | None = None, renderer: Any = None
    ) -> SafeString:
        """Return the input and the link, which the script of Django's admin opens as a popup."""
        context = {
            "input": super().render(name, value, attrs, renderer),
            "id": (attrs or {}).get("id", name),
            "lookup_url": self.lookup_url,
        }
        return mark_safe(  # noqa: S308 - a template has escaped it
            render_to_string("admin/django_future/job_form/object_id.html", context)
        )
