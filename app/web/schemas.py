"""The bodies of the API as JSON Schema: the objects of VoLTE, and those of the broker's own endpoints."""

from __future__ import annotations

from collections.abc import Mapping

Schema = Mapping[str, object]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}


def obj(properties: Mapping[str, Schema], *required: str) -> Schema:
    """An object; other properties are allowed, since plugins have their own."""
    schema: dict[str, object] = {"type": "object", "properties": dict(properties)}
    return {**schema, "required": list(required)} if required else schema


def array(items: Schema) -> Schema:
    return {"type": "array", "items": dict(items)}


FREE: Schema = {"type": "object"}
ANYTHING: Schema = {}

CREATED = {"id": TEXT, "status": TEXT, "vimId": TEXT, "vimName": TEXT, "tenantId": TEXT, "returnCode": NUMBER}
"""What every created or read object has besides what was asked; returnCode 0: it existed, 1: it is new."""

CREATE: Mapping[str, Schema] = {
    "images": obj(
        {"name": TEXT, "imageType": TEXT, "imagePath": TEXT, "containerFormat": TEXT, "visibility": TEXT},
        "name", "imageType", "imagePath", "containerFormat",
    ),
    "networks": obj({"name": TEXT, "networkType": TEXT, "shared": FLAG, "vlanTransparent": FLAG,
                     "segmentationId": NUMBER, "physicalNetwork": TEXT, "routerExternal": FLAG},
                    "name", "networkType", "shared"),
    "subnets": obj({"networkId": TEXT, "name": TEXT, "cidr": TEXT, "ipVersion": NUMBER, "enableDhcp": FLAG,
                    "gatewayIp": TEXT, "dnsNameservers": array(TEXT), "allocationPools": array(FREE)},
                   "networkId", "name", "cidr", "ipVersion"),
    "ports": obj({"networkId": TEXT, "name": TEXT, "subnetId": TEXT, "macAddress": TEXT, "ip": TEXT,
                  "vnicType": TEXT, "securityGroups": TEXT}, "networkId", "name"),
    "flavors": obj({"name": TEXT, "vcpu": NUMBER, "memory": NUMBER, "disk": NUMBER, "ephemeral": NUMBER,
                    "swap": NUMBER, "isPublic": FLAG, "extraSpecs": array(FREE)}, "name", "vcpu", "memory", "disk"),
    "servers": obj({
        "name": TEXT,
        "boot": obj({"type": {"type": "integer", "enum": [1, 2]}, "volumeId": TEXT, "imageId": TEXT}, "type"),
        "flavorId": TEXT, "nicArray": array(obj({"portId": TEXT}, "portId")), "metadata": array(FREE), "userdata": TEXT,
        "availabilityZone": TEXT, "securityGroups": array(TEXT), "serverGroup": TEXT, "volumeArray": array(FREE),
        "contextArray": array(FREE)}, "name", "boot", "flavorId"),
    "volumes": obj({"name": TEXT, "volumeSize": NUMBER, "volumeType": TEXT, "imageId": TEXT, "availabilityZone": TEXT},
                   "name", "volumeSize"),
}  # fmt: skip
"""What creating each of VoLTE's resources takes (contract, section 1)."""


def one(plural: str) -> Schema:
    """A resource as a plugin answers it."""
    properties = CREATE[plural]["properties"]
    assert isinstance(properties, dict)
    return obj({**properties, **CREATED})


def many(plural: str, items: Schema) -> Schema:
    """A list of a tenant's resources."""
    return obj({"vimId": TEXT, "vimName": TEXT, "tenantId": TEXT, plural: array(items)})


TENANTS = obj({"vimId": TEXT, "vimName": TEXT, "tenants": array(obj({"id": TEXT, "name": TEXT}))})
ACTION = obj({"os-start": {}, "os-stop": {}, "reboot": obj({"type": {"type": "string", "enum": ["SOFT", "HARD"]}})})
RESOURCES = {"vCPU": {"type": ["number", "string"]}, "Memory": {"type": ["number", "string"]},
             "Storage": {"type": ["number", "string"]}}  # fmt: skip
CAPACITY = obj(RESOURCES)
ROOM = obj({"result": FLAG, "AZs": array(FREE)}, "result")
PAIR = {"cloud-owner": TEXT, "cloud-region-id": TEXT}
WORKLOAD = obj({"template_type": TEXT, "workload_id": TEXT, "template_response": {}})
TOKEN = obj({"auth": FREE}, "auth")

VIM_TYPES: Schema = array(obj({"vim_type": TEXT, "versions": array(TEXT)}, "vim_type", "versions"))
CHECK_CAPACITY: Mapping[str, Schema] = {
    "v0": obj({**RESOURCES, "VIMs": array(TEXT)}, "VIMs"),
    "v1": obj({**RESOURCES, "VIMs": array(obj(PAIR, "cloud-owner", "cloud-region-id"))}, "VIMs"),
}
WITH_ROOM: Mapping[str, Schema] = {
    "v0": obj({"VIMs": array(TEXT)}, "VIMs"),
    "v1": obj({"VIMs": array(obj({**PAIR, "AZs": array(FREE)}, *PAIR, "AZs"))}, "VIMs"),
}
ERROR = obj(
    {"error": obj({"code": NUMBER, "reason": TEXT, "message": TEXT, "request_id": TEXT},
                  "code", "reason", "message", "request_id")}, "error")  # fmt: skip
