from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from aimass.core.sources.kafka.settings import KafkaSettings


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"message": "shop.Order"}, "`message`"),
        ({"schema_id": 7}, "`schema_id`"),
        ({"value_schema": "{}"}, "`value_schema`"),
        ({"format": "raw", "wire_prefix": "confluent"}, "`wire_prefix`"),
        ({"format": "avro", "value_schema": "{}", "message": "shop.Order"}, "`message`"),
        ({"format": "avro", "value_schema": "{}", "schema_id": 7}, "`schema_id`"),
    ],
)
def test_what_would_do_nothing_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=f"{said}: no meaning"):
        KafkaSettings(topics=("t",), **settings)


def test_what_belongs_together_is_taken() -> None:
    avro = KafkaSettings(topics=("t",), format="avro", value_schema="{}", wire_prefix="confluent", schema_id=7)
    assert avro.schema_id == 7
