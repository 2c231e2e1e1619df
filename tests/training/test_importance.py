"""Shuffled columns: what the model uses counts, what it does not is exactly 0, always the same."""

import jax
import numpy as np
import pytest

from jaxnet.nn import embedding
from jaxnet.training import evaluate
from jaxnet.training.epoch import network_options
from jaxnet.training.importance import importance

RNG = np.random.default_rng(0)


def weighed(*weights):
    """Log losses of a model that reads column j with weight j."""

    def log_losses(x, y):
        z = x @ np.asarray(weights, np.float64)
        return np.logaddexp(0, np.where(y > 0.5, -z, z))

    return log_losses


def rows(count=500, columns=4):
    x = RNG.normal(size=(count, columns)).astype(np.float32)
    z = 3 * x[:, 0] + x[:, 1]
    return x, (RNG.random(count) < 1 / (1 + np.exp(-z))).astype(np.float32)


GROUPS = {"little": [1], "none": [2, 3], "much": [0]}


def test_columns_are_sorted_by_what_the_model_takes_from_them():
    x, y = rows()
    record = importance(weighed(3, 1, 0, 0), x, y, GROUPS)
    assert (record["metric"], record["part"]) == ("log_loss", "test")
    assert (record["rows"], record["repeats"]) == (500, 5)
    much, little, none = record["columns"]
    assert [much["name"], little["name"], none["name"]] == ["much", "little", "none"]
    assert much["mean"] > little["mean"] > 0
    assert much["std"] > 0
    assert none == {"name": "none", "mean": 0.0, "std": 0.0}


def test_places_of_one_column_move_together():
    """One-hot places shuffled apart would name two categories at once, or none."""
    x = np.eye(3, dtype=np.float32)[RNG.integers(0, 3, 300)]
    seen = []

    def log_losses(x, y):
        seen.append(x)
        return np.zeros(len(x))

    importance(log_losses, x, np.zeros(300), {"job": [0, 1, 2]})
    for shuffled in seen[1:]:
        assert (shuffled.sum(axis=1) == 1).all()
        np.testing.assert_array_equal(shuffled.sum(axis=0), x.sum(axis=0))
        assert not np.array_equal(shuffled, x)


def test_it_repeats_and_columns_do_not_depend_on_each_other():
    x, y = rows(3000)
    whole = importance(weighed(3, 1, 0, 0), x, y, GROUPS)
    assert importance(weighed(3, 1, 0, 0), x, y, GROUPS) == whole
    assert whole["rows"] == 2000
    alone = importance(weighed(3, 1, 0, 0), x, y, {"little": [1]})
    assert alone["columns"] == [c for c in whole["columns"] if c["name"] == "little"]
    assert importance(weighed(3, 1, 0, 0), x, y, GROUPS, seed=1) != whole


def test_the_rise_is_that_of_the_mean_over_permutations():
    x, y = rows(2)
    record = importance(weighed(3, 1, 0, 0), x, y, {"much": [0]}, repeats=40)
    losses = weighed(3, 1, 0, 0)
    swapped = x.copy()
    swapped[:, 0] = x[::-1, 0]
    rise = losses(swapped, y).mean() - losses(x, y).mean()
    share = record["columns"][0]["mean"] / rise  # of the permutations that swap the two rows
    assert share * 40 == pytest.approx(round(share * 40), abs=1e-9)
    assert record["columns"][0]["std"] == pytest.approx(abs(rise) * (share * (1 - share)) ** 0.5)


def test_what_cannot_be_measured_is_said():
    x, y = rows(10)
    many = {str(i): [0] for i in range(201)}
    assert importance(weighed(1, 1, 1, 1), x, y, many)["reason"].startswith("201 columns; ")
    assert len(importance(weighed(1, 1, 1, 1), x, y, dict(list(many.items())[:200]))) == 5
    for count in (0, 1):
        reason = importance(weighed(1, 1, 1, 1), x[:count], y[:count], GROUPS)["reason"]
        assert reason == f"no rows to shuffle: the test part has {count}"


def test_it_can_be_interrupted_and_takes_a_network():
    params = embedding.init(jax.random.key(0), (4, 8, 1), embeddings=[(5, 2)])
    x, y = rows()
    x[:, 3] = RNG.integers(0, 5, len(x))
    network, heard = network_options("relu", "standard", "float32"), []

    def log_losses(x, y):
        z = evaluate.logits(params, x, network=network)
        return evaluate.row_log_losses("binary", z, y, "sigmoid")

    groups = {**GROUPS, "none": [2], "code": [3]}
    record = importance(log_losses, x, y[:, None], groups, poll=lambda: heard.append(1))
    assert len(heard) == 4
    assert all(np.isfinite(column["mean"]) for column in record["columns"])
    assert record["columns"][0]["std"] > 0
