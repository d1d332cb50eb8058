"""The admin, at the root of the site."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("", admin.site.urls)]
