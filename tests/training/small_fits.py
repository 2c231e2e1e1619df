"""A small fit for the tests of training: 37 rows, three classes, batches of eight."""

import numpy as np

from jaxnet.training import state as states
from jaxnet.training.epoch import Program
from jaxnet.training.fit import Plan, Rows, fit
from jaxnet.training.optimizer import Optimizer, Schedule
from jaxnet.training.snapshot import beginning

ROWS, FEATURES, CLASSES, BATCH = 37, 5, 3, 8
STEPS = 5  # ceil(37 / 8)


def rows(seed=0, count=ROWS):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, FEATURES)).astype(np.float32)
    return Rows(x, (x[:, 0] + x[:, 1] > 0).astype(np.int32) + (x[:, 2] > 1))


def program(**changes):
    optimizer = Optimizer("adam", schedule=Schedule("cosine"))
    chosen = Program("categorical_cross_entropy", optimizer=optimizer, batch_size=BATCH)
    return chosen._replace(**changes)


def begin(chosen, **rates):
    rates = {"learning_rate": 0.01, "total_steps": 10 * STEPS, **rates}
    sizes = (FEATURES, 16, 8, CLASSES)
    return states.begin(sizes, chosen.optimizer, states.hyper(**rates), seed=3)


def train(chosen=None, plan=None, data=None, watch=None, **rates):
    chosen = chosen or program()
    return fit(
        chosen,
        beginning(begin(chosen, **rates)),
        data or rows(),
        rows(1),
        plan or Plan(3),
        task="multiclass",
        activation="softmax",
        watch=watch,
    )
