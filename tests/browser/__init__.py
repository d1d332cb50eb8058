"""The pages of the admin in a real browser."""
