"""A small network, and one size of table for all tests, so that its programs are compiled once."""

import numpy as np
import pandas as pd

from jaxnet import JaxnetClassifier

N = 80


def small(**parameters):
    return JaxnetClassifier(**{"hidden": (8,), "epochs": 4, "random_state": 0, **parameters})


def table(rows=N):
    rng = np.random.default_rng(0)
    age = rng.normal(40, 10, rows)
    job = rng.choice(["cook", "clerk", "nurse"], rows)
    frame = pd.DataFrame({"age": age, "job": job, "children": rng.integers(0, 4, rows)})
    frame.loc[::7, "age"] = np.nan
    frame.loc[::9, "job"] = None
    return frame, np.where((age > 40) ^ (job == "cook"), "yes", "no")


def numbers(rows=N):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 3))
    return x, (x[:, 0] + 0.3 * rng.normal(size=rows) > 0).astype(int)


def indicators(rows=N):
    x, y = numbers(rows)
    return x, np.stack([y, 1 - y, x[:, 1] > 0], axis=1).astype(int)
