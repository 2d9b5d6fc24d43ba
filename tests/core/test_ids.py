from __future__ import annotations

import uuid

from app.core.ids import new_id


def test_ids_are_random_uuids_and_differ() -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert {(uuid.UUID(one).version, uuid.UUID(one).variant, str(uuid.UUID(one)) == one) for one in ids} == {
        (4, uuid.RFC_4122, True)
    }
