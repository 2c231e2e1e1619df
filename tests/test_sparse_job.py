"""Which head a config gets where it leaves the choice to the program."""

from typing import Any

import pytest

from jaxnet import sparse_job
from jaxnet.config import load_config

CONFIG = {"task": "multilabel", "data": {"source": "digit_attributes"}}


@pytest.mark.parametrize(
    ("changes", "labels", "head"),
    [
        ({}, 4096, "linear_blocks"),
        ({}, 4095, "dense"),
        ({"model.hidden": []}, 4096, "linear_blocks"),
        ({"decision.threshold": "f1"}, 4096, "linear_blocks"),
        ({"decision.threshold": 0.3}, 4096, "linear_blocks"),
        ({"training.early_stopping.metric": "precision_at_5"}, 4096, "linear_blocks"),
        ({"training.early_stopping.metric": "micro_f1"}, 4096, "dense"),
        ({"optimizer.clip_norm": 1.0}, 4096, "dense"),
        ({"loss.name": "focal"}, 4096, "dense"),
        ({"loss.gradient": "autodiff"}, 4096, "dense"),
        ({"model.head": "dense"}, 10**6, "dense"),
        ({"model.head": "linear_blocks"}, 3, "linear_blocks"),
    ],
    ids=str,
)
def test_auto_is_by_blocks_where_nothing_needs_the_logits(
    changes: dict[str, Any], labels: int, head: str
) -> None:
    assert sparse_job.head(load_config(CONFIG, overrides=changes), labels) == head
