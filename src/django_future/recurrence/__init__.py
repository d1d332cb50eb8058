"""When recurring jobs run: cron expressions and intervals, in local time."""
