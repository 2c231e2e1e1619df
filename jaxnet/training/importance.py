"""What the model takes from each column: how much the log loss rises when it is shuffled.

Permutation importance (Breiman 2001; Fisher et al. 2019): the places of one raw column in x are
taken from other rows, all together, and everything else stays. A column whose content another one
repeats seems unimportant, and so does the other.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

REPEATS, ROWS, COLUMNS = 5, 2000, 200


def importance(
    log_losses: Callable[[np.ndarray, np.ndarray], Float[np.ndarray, " n"]],
    x: Float[np.ndarray, "n d"],
    y: np.ndarray,
    groups: Mapping[str, Sequence[int]],
    *,
    part: str = "test",
    repeats: int = REPEATS,
    rows: int = ROWS,
    seed: int = 0,
    poll: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """The record of the importance of every raw column, sorted falling.

    Args:
        log_losses: (x, y) -> log loss of each row, as `evaluate.row_log_losses` of the logits.
        x, y: encoded rows and targets; up to `rows` of them are drawn, the same in every call.
        groups: name of a raw column -> its places in x.
        part: what the rows are called in the record.
        repeats: permutations of each column, the same ones for all.
        poll: called before each column.

    Returns:
        metric, part, rows, repeats and the columns with the mean and the standard deviation of the
        rise over the permutations. Or the reason why there is nothing to say: more than 200
        columns, fewer than two rows.

    >>> x = np.arange(8.0).reshape(4, 2)
    >>> record = importance(lambda x, y: (x[:, 0] - y) ** 2, x, x[:, 0], {"a": [0], "b": [1]})
    >>> [(c["name"], c["mean"] > 0) for c in record["columns"]]
    [('a', True), ('b', False)]
    """
    if len(groups) > COLUMNS:
        return {"reason": f"{len(groups)} columns; importance is measured for {COLUMNS} at most"}
    if len(x) < 2:
        return {"reason": f"no rows to shuffle: the {part} part has {len(x)}"}
    rng = np.random.default_rng(seed)
    if len(x) > rows:
        drawn = np.sort(rng.choice(len(x), rows, replace=False))
        x, y = x[drawn], y[drawn]
    orders = [rng.permutation(len(x)) for _ in range(repeats)]
    whole = float(np.mean(log_losses(x, y)))
    columns: list[dict[str, Any]] = []
    for name, places in groups.items():
        poll()
        rises = [float(np.mean(log_losses(_shuffled(x, places, o), y))) - whole for o in orders]
        columns.append({"name": name, "mean": float(np.mean(rises)), "std": float(np.std(rises))})
    columns.sort(key=lambda column: -column["mean"])
    return {
        "metric": "log_loss",
        "part": part,
        "rows": len(x),
        "repeats": repeats,
        "columns": columns,
    }


def _shuffled(x: np.ndarray, places: Sequence[int], order: np.ndarray) -> np.ndarray:
    """x with the given places of each row taken from another row."""
    moved = x.copy()
    columns = np.asarray(places, np.intp)
    moved[:, columns] = x[np.ix_(order, columns)]
    return moved
