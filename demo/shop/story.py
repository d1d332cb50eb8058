"""Four days of the flower shop, simulated in a second."""

from datetime import date, timedelta

from django.utils import timezone

from django_future import cancel_jobs, run_jobs, schedule_job
from shop import jobs, tasks
from shop.models import Customer, Order


def live_four_days():
    """Take orders, schedule their jobs, and run what is due on three of the four days."""
    open_the_shop()
    # A real shop runs a worker, `manage.py future_worker`. Here `now` replaces the current time.
    # No jobs run on the first evening and on the third day.
    for days in 0, 1, 3:
        run_jobs(now=timezone.now() + timedelta(days=days), ignore_errors=True)


def open_the_shop():
    """Create customers and orders, and schedule one job of each kind."""
    ada, ben = Customer.objects.create(name="Ada"), Customer.objects.create(name="Ben")
    tulips = Order.objects.create(customer=ada, flowers="tulips")
    roses = Order.objects.create(customer=ben, flowers="roses")
    lilies = Order.objects.create(customer=ben, flowers="lilies")
    next_year = timezone.localdate().year + 1

    schedule_job("0s", jobs.water, kwargs={"litres": 5})
    schedule_job("3h", jobs.offer, args=["daisies"], kwargs={"discount": 20}, expires="2h")
    schedule_job("1d", "bind", content_object=tulips)
    schedule_job("1d", jobs.charge, content_object=roses, args=[date(2019, 12, 31)])
    schedule_job(timedelta(days=3), jobs.follow_up, content_object=tulips)
    schedule_job("1d", "bind", content_object=lilies)
    schedule_job(f"{next_year}-05-09 09:00", jobs.greet, content_object=ada)

    if hasattr(tasks.thank, "enqueue"):
        tasks.thank.enqueue("Ben")
    else:  # on Django 5.2
        schedule_job("0s", tasks.thank, args=["Ben"])

    cancel_jobs(lilies.jobs.all())  # Ben has changed his mind.
