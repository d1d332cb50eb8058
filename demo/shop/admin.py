"""The admin of the shop."""

from django.contrib import admin

from shop.models import Customer, Order

admin.site.register(Customer)


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    """Shows which orders are paid, and which are bound into bouquets."""

    list_display = ["flowers", "customer", "is_paid", "is_bound"]
