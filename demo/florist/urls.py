"""The admin, at the root: there is nothing else to see."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("", admin.site.urls)]
