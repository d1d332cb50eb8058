"""Customers and their orders."""

from django.contrib.contenttypes.fields import GenericRelation
from django.db import models


class Customer(models.Model):
    """A customer of the shop."""

    name = models.CharField(max_length=50)

    def __str__(self):
        return self.name


class Order(models.Model):
    """Flowers for a customer."""

    customer = models.ForeignKey(Customer, models.CASCADE)
    flowers = models.CharField(max_length=50)
    is_paid = models.BooleanField(default=False)
    is_bound = models.BooleanField(default=False)

    jobs = GenericRelation("django_future.ScheduledJob")

    def __str__(self):
        return self.flowers

    def bind(self):
        """Bind the flowers into a bouquet. A job can call this method of its bound object."""
        self.is_bound = True
        self.save()
        return f"{self.flowers} bound for {self.customer}"
