"""The admin of the shop."""

from django.contrib import admin

from django_future.admin import JobInline
from shop.models import Customer, Order

admin.site.register(Customer)


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    """Shows which orders are paid, which are bound into bouquets, and the jobs of each."""

    list_display = ["flowers", "customer", "is_paid", "is_bound"]
    inlines = [JobInline]
