"""The overview: the first page of the app in the admin."""
