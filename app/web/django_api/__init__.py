"""The API under Django: `web_framework = django`, the default."""
