"""What an OpenStack client does, run in the clients' environment: tokens of v3 and v2, then requests with them."""

from __future__ import annotations

import json
import sys

from keystoneauth1 import session
from keystoneauth1.identity import v2, v3

region = sys.argv[1]
password = v3.Password(
    auth_url=f"{region}/identity/v3",
    username="volte",
    password="secret",
    user_domain_id="default",
    project_name="volte",
    project_domain_id="default",
)
client = session.Session(auth=password)
old = session.Session(auth=v2.Password(f"{region}/identity/v2.0", "volte", "secret", tenant_name="volte"))
network = {"name": "by-keystoneauth", "networkType": "vlan", "shared": False}
made = client.post(f"{region}/t1/networks", json=network)
networks = client.get(f"{region}/t1/networks").json()["networks"]
gone = client.delete(f"{region}/t1/networks/{made.json()['id']}")
print(
    json.dumps(
        {
            "v3": client.get_token(),
            "v2": old.get_token(),
            "project": client.get_project_id(),
            "names": [network["name"] for network in networks],
            "deleted": gone.status_code,
        }
    )
)
