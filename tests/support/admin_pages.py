"""Helpers for the pages of the admin."""

from django_future import ScheduledJob, schedule_job
from tests.shop import jobs

LIST = "/admin/django_future/scheduledjob/"
UNPICKLED: list[object] = []


class Suitcase:
    """A value that must be pickled, and that records when it is unpickled."""

    def __setstate__(self, state):
        UNPICKLED.append(state)

    def __getstate__(self):
        return {"packed": True}


def page_of(job):
    return f"{LIST}{job.pk}/change/"


def body(response):
    assert response.status_code == 200
    return response.content.decode().replace("<wbr>", "")


def listed(response):
    return [job.pk for job in response.context["cl"].result_list]


def act(client, action, *selected, address=LIST):
    data = {"action": action, "_selected_action": [job.pk for job in selected]}
    response = client.post(address, data, follow=True)
    return [str(message) for message in response.context["messages"]]


def job_in(status, target=jobs.echo, **options):
    job = schedule_job("1h", target, **options)
    ScheduledJob.objects.filter(pk=job.pk).update(status=status)
    job.refresh_from_db()
    return job
