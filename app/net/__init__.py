"""Green input and output that the server and the upstream client share; with them the only home of eventlet."""
