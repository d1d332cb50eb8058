"""A flower shop that schedules jobs for its orders."""
