"""ONAP MultiCloud's broker: one HTTP API in front of every cloud."""

import os

VERSION = "0.1.0"

# Before anybody imports eventlet: its own resolver, which is not used here (see app/net/resolver.py), would import
# dnspython, and that whatever is installed of cryptography and bcrypt: 17 MiB and 0.15 s of each start.
os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
