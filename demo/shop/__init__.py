"""A flower shop, whose orders have work to come."""
