"""The store on PostgreSQL, and its statements."""
