"""Addresses of pages of the admin."""

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.urls import NoReverseMatch, reverse


def address(site: AdminSite, page: str, *arguments: Any, **query: Any) -> str:
    """Return the address of a page of this site, or "" if the site does not have it."""
    try:
        found = reverse(f"admin:{page}", args=arguments, current_app=site.name)
    except NoReverseMatch:
        return ""
    return f"{found}?{urlencode(query)}" if query else found
