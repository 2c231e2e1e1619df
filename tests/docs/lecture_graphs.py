"""The computation graphs of the second lecture, node by node, with the derivatives it prints.

Arrays are laid out as the lecture has them, (features, examples): the binary cost is a row (1, m).
A graph is a list of named nodes, each a function of the nodes before it; the last one is J.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Values = Mapping[str, Any]
Node = Callable[[Values], Any]
Columns = np.ndarray


class Graph(NamedTuple):
    """A cost as nodes, and dJ/du of every node as the lecture prints it.

    Attributes:
        nodes: name -> value from the values of the nodes before it ("a" and "y" are given).
        printed: name -> (a, y) -> dJ/du, last node first.
    """

    nodes: dict[str, Node]
    printed: dict[str, Callable[[Columns, Columns], Columns | float]]


def forward(graph: Graph, a: Any, y: Any) -> dict[str, Any]:
    """The value of every node; the last is J."""
    values = {"a": a, "y": y}
    for name, node in graph.nodes.items():
        values[name] = node(values)
    return values


def rest(graph: Graph, values: Values, name: str) -> Callable[[Any], Any]:
    """J as a function of the node `name`: the graph from there on, everything before it held."""
    order = list(graph.nodes)

    def cost(u: Any) -> Any:
        held = {**values, name: u}
        for later in order[order.index(name) + 1 :]:
            held[later] = graph.nodes[later](held)
        return held[order[-1]]

    return cost


def derivatives(graph: Graph, a: Columns, y: Columns) -> dict[str, Any]:
    """dJ/du of every node, each by autodiff of the rest of the graph."""

    def all_nodes(a: Any, y: Any) -> dict[str, Any]:
        values = forward(graph, a, y)
        return {name: jax.grad(rest(graph, values, name))(values[name]) for name in graph.nodes}

    return jax.jit(all_nodes)(a, y)


def _seed(a: Columns, y: Columns) -> Columns:
    """dJ/dA of the binary and of the multi-label cost, as printed."""
    return ((1 - y) / (1 - a) - y / a) / a.shape[1]


BINARY = Graph(
    nodes={
        "u_0": lambda u: u["a"],
        "u_1": lambda u: 1 - u["u_0"],
        "u_2": lambda u: jnp.log(u["u_0"]),
        "u_3": lambda u: jnp.log(u["u_1"]),
        "u_4": lambda u: u["y"] * u["u_2"] + (1 - u["y"]) * u["u_3"],
        "u_5": lambda u: -jnp.sum(u["u_4"]) / u["a"].shape[1],
    },
    printed={
        "u_5": lambda a, y: 1.0,
        "u_4": lambda a, y: -1 / a.shape[1],
        "u_3": lambda a, y: -(1 - y) / a.shape[1],
        "u_2": lambda a, y: -y / a.shape[1],
        "u_1": lambda a, y: -(1 - y) / (1 - a) / a.shape[1],
        "u_0": _seed,
    },
)

MULTICLASS = Graph(
    nodes={
        "u_0": lambda u: u["a"],
        "u_1": lambda u: jnp.log(u["u_0"]),
        "u_2": lambda u: u["y"] * u["u_1"],
        "u_3": lambda u: jnp.sum(u["u_2"], axis=0),
        "u_4": lambda u: -jnp.sum(u["u_3"]) / u["a"].shape[1],
    },
    printed={
        "u_4": lambda a, y: 1.0,
        "u_3": lambda a, y: -1 / a.shape[1],
        "u_2": lambda a, y: -1 / a.shape[1],
        "u_1": lambda a, y: -y / a.shape[1],
        "u_0": lambda a, y: -y / a / a.shape[1],
    },
)

MULTILABEL = Graph(
    nodes={
        "u_0": lambda u: u["a"],
        "u_1": lambda u: 1 - u["u_0"],
        "u_2": lambda u: jnp.log(u["u_0"]),
        "u_3": lambda u: jnp.log(u["u_1"]),
        "u_4": lambda u: u["y"] * u["u_2"] + (1 - u["y"]) * u["u_3"],
        "u_5": lambda u: -jnp.sum(u["u_4"], axis=1) / u["a"].shape[1],
        "u_6": lambda u: jnp.sum(u["u_5"]),
    },
    printed={
        "u_6": lambda a, y: 1.0,
        "u_5": lambda a, y: 1.0,
        "u_4": lambda a, y: -1 / a.shape[1],
        "u_3": lambda a, y: -(1 - y) / a.shape[1],
        "u_2": lambda a, y: -y / a.shape[1],
        "u_1": lambda a, y: -(1 - y) / (1 - a) / a.shape[1],
        "u_0": _seed,
    },
)


class Case(NamedTuple):
    """Logits, activations and targets of a cost, (features, examples), float64.

    The first four examples have hard targets (0 and 1), the others soft ones.
    """

    z: Columns
    a: Columns
    y: Columns


def sigmoid_case(outputs: int, *, m: int = 9) -> Case:
    """Outputs behind sigmoids."""
    rng = np.random.default_rng(outputs)
    z = 3 * rng.standard_normal((outputs, m))
    hard, soft = rng.integers(0, 2, z.shape).astype(float), rng.uniform(size=z.shape)
    return Case(z, 1 / (1 + np.exp(-z)), np.where(np.arange(m) < 4, hard, soft))


def softmax_case(outputs: int, *, m: int = 9) -> Case:
    """Outputs behind softmax; the targets of an example (a column) sum to 1."""
    rng = np.random.default_rng(outputs)
    z = 3 * rng.standard_normal((outputs, m))
    hard = np.eye(outputs)[rng.integers(0, outputs, m)].T
    soft = rng.dirichlet(np.ones(outputs), m).T
    return Case(z, np.exp(z) / np.exp(z).sum(axis=0), np.where(np.arange(m) < 4, hard, soft))
