"""The image's HEALTHCHECK: `healthcheck.py [PATH]` asks the broker of this container, and exits 0 for a 200.

A bare Python with a socket, since the whole application would cost half a second of CPU each time. It reads the
port and TLS from the environment, as the broker does.
"""

import os
import socket
import sys

path = sys.argv[1] if len(sys.argv) > 1 else "/livez"
port = int(sys.argv[2] if len(sys.argv) > 2 else os.environ.get("BROKER_SERVER_PORT") or 9001)
host = os.environ.get("BROKER_SERVER_HOST") or "127.0.0.1"
host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
sock = socket.create_connection((host, port), 2.5)
if (os.environ.get("BROKER_TLS_ENABLED") or os.environ.get("SSL_ENABLED") or "").lower() in ("true", "1", "yes", "on"):
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = False  # it asks itself: what counts is that it answers
    context.verify_mode = ssl.CERT_NONE
    sock = context.wrap_socket(sock)
sock.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
answer = sock.recv(64)
sys.exit(0 if answer.startswith(b"HTTP/1.1 200 ") else f"{path} answered {answer[:32]!r}")
