"""The addresses of the site: the admin, and another one with the jobs of each order."""

from django.contrib import admin
from django.http import HttpResponse
from django.urls import path

from django_future.admin import JobInline
from tests.shop.models import Order


class OrderAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Shows an order with its jobs."""

    inlines = [JobInline]


office = admin.AdminSite(name="office")
office.register(Order, OrderAdmin)


def no_icon(request):
    """Answer the browser, which requests the icon of each site."""
    return HttpResponse(status=204)


urlpatterns = [
    path("admin/", admin.site.urls),
    path("office/", office.urls),
    path("favicon.ico", no_icon),
]
