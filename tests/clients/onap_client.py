"""What an operator does with onapsdk, run in the clients' environment: register and unregister a VIM."""

from __future__ import annotations

from onapsdk.exceptions import ResourceNotFound
from onapsdk.msb.multicloud import Multicloud

Multicloud.register_vim("CloudOwner", "RegionOne", "volte")
Multicloud.register_vim("vmware", "fake")
Multicloud.unregister_vim("CloudOwner", "RegionOne")
try:
    Multicloud.register_vim("CloudOwner", "Nowhere")
except ResourceNotFound:
    print("registered, unregistered, and not found")
