"""Tasks as Django's topic guide on tasks shows them, in our own words."""

import logging

from django.core.mail import send_mail

from tests.shop.tasks import task

logger = logging.getLogger(__name__)


@task
def email_users(emails, subject, message):
    """Send a mail, and return how many were sent."""
    return send_mail(subject=subject, message=message, from_email=None, recipient_list=emails)


@task(priority=2, queue_name="default", takes_context=True)
def email_with_context(context, emails, subject, message):
    """Log the attempt and the id, and send a mail."""
    logger.debug("Attempt %s of %s", context.attempt, context.task_result.id)
    sent = send_mail(subject, message, None, emails)
    return [context.attempt, context.task_result.id, sent]


@task
def double_values(values):
    """Return a dictionary whose values are doubled."""
    return {name: 2 * value for name, value in values.items()}


@task
def fail_on_purpose():
    """Fail."""
    raise ValueError("the documented failure")
