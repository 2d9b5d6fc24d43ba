"""The API under Pecan: `web_framework = pecan`."""
