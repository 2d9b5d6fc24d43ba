"""Simulators of what stands around the broker: an A&AI and plugins, as real HTTP servers in their own processes.

The broker knows nothing of them; `demo`, the tests and Compose start them.
"""
