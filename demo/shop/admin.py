"""The shop's own pages in the admin."""

from django.contrib import admin

from shop.models import Customer, Order

admin.site.register(Customer)


@admin.register(Order)
class OrderAdmin(admin.ModelAdmin):
    """Orders, and how far each has come."""

    list_display = ["flowers", "customer", "is_paid", "is_bound"]
