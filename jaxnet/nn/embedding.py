"""Learned embeddings: what stands between the columns of x and the first layer.

    a_0 = [x_1, ..., x_{d-c}, e_1, ..., e_p, T_1[k_1], ..., T_c[k_c]]
    da_0 = delta_1 W_1;  dT_i[s] = sum of da_0's columns of T_i over the rows whose k_i = s

k are the trailing c columns of x, codes of categories, which become rows of tables (Guo and
Berkhahn 2016). e_j is made of waves of x_j, the leading p columns (see `periodic`). A network
without either is the feedforward network itself, operation by operation.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from jaxnet.errors import UserError
from jaxnet.nn import backprop, bags, meshes, mlp, periodic
from jaxnet.nn.bags import BagLayer
from jaxnet.nn.losses import Loss
from jaxnet.nn.losses.layout import as_targets
from jaxnet.nn.mlp import Key, Layer, Masks, Params, Rows
from jaxnet.nn.periodic import Periodic

Tables: TypeAlias = tuple[Float[Array, "_ _"], ...]
Embeddings: TypeAlias = Sequence[Sequence[int]]

# Part the random numbers of tables, waves and bags from those of the layers.
TABLES = 0x7AB1E5
WAVES = 0x3A7E5
BAGS = 0xBA65


class Network(NamedTuple):
    """Parameters of a network: the embeddings of its columns, and its layers.

    Attributes:
        tables: (slots, width) for each trailing column of codes; () without any.
        layers: as `mlp.init` draws them.
        waves: of the leading columns of numbers; () without any.
    """

    tables: Tables
    layers: Params
    waves: Periodic | tuple[()] = ()


def init(
    key: Key,
    sizes: Sequence[int],
    *,
    embeddings: Embeddings = (),
    numeric: tuple[int, int] = (0, 0),
    spread: float | None = None,
    scheme: str = "he",
    last_layer: str | None = None,
    bag_spread: float | None = None,
) -> Network:
    """Draw the tables and the layers of a network; T_i ~ N(0, spread^2).

    Args:
        key: a JAX random key.
        sizes: (d, n_1, ..., n_L): columns of x, codes included, hidden layers, outputs.
        embeddings: (slots, width) of each trailing column of x that holds codes.
        numeric: (p, E): how many leading columns of x get waves, and into how many numbers each.
        spread: deviation of the tables' numbers; None: 1 / sqrt(width), which gives rows of about
            length 1, as those of a one-hot column have.
        scheme, last_layer: as in `mlp.init`.
        bag_spread: deviation of the numbers of a first layer of bags (see `bags`), for rows that
            are mostly zeros; None: x is an array.

    Raises:
        UserError: more embeddings than columns, a table without slots, or what `mlp.init` refuses.

    >>> network = init(jax.random.key(0), [5, 8, 3], embeddings=[(10, 4)])
    >>> [table.shape for table in network.tables], network.layers[0].W.shape
    ([(10, 4)], (8, 8))
    """
    if bag_spread is not None:
        first = bags.init(jax.random.fold_in(key, BAGS), sizes[0], sizes[1], spread=bag_spread)
        rest = mlp.init(key, sizes[1:], scheme=scheme, last_layer=last_layer) if sizes[2:] else ()
        return Network((), (first, *rest))
    inputs = first_inputs(sizes[0] if sizes else 0, embeddings, numeric)
    layers = mlp.init(key, (inputs, *sizes[1:]), scheme=scheme, last_layer=last_layer)
    waves = periodic.init(jax.random.fold_in(key, WAVES), *numeric) if numeric[0] else ()
    if not embeddings:
        return Network((), layers, waves)
    # One draw for all tables: compiling a generator for each would take seconds.
    counts = [slots * width for slots, width in embeddings]
    drawn = jax.random.normal(jax.random.fold_in(key, TABLES), (sum(counts),), jnp.float32)
    parts = jnp.split(drawn, np.cumsum(counts)[:-1])
    return Network(
        tuple(
            part.reshape(slots, width) * (width**-0.5 if spread is None else spread)
            for part, (slots, width) in zip(parts, embeddings, strict=True)
        ),
        layers,
        waves,
    )


def first_inputs(columns: int, embeddings: Embeddings, numeric: tuple[int, int] = (0, 0)) -> int:
    """Inputs of the first layer: d - c plain columns, p E numbers, and the widths of c tables.

    >>> first_inputs(5, [(10, 4), (7, 2)], (3, 4))
    21
    """
    if len(embeddings) + numeric[0] > columns or any(min(shape) < 1 for shape in embeddings):
        raise UserError(
            f"embeddings take (slots, width) >= 1 for at most the {columns} columns of x; "
            f"got {list(embeddings)!r}"
        )
    learned = sum(width for _, width in embeddings) + numeric[0] * numeric[1]
    return columns - len(embeddings) + learned


def columns(network: Network) -> int:
    """Columns of the x that a network takes.

    >>> columns(init(jax.random.key(0), [5, 3], embeddings=[(10, 4)]))
    5
    """
    widths = sum(table.shape[1] for table in network.tables)
    learned = widths + (network.waves.v.size if network.waves else 0)
    return int(_first(network).W.shape[1]) - learned + len(network.tables)


def _first(network: Network) -> Layer:
    """The first layer of a network of arrays."""
    first = network.layers[0]
    if isinstance(first, BagLayer):
        raise UserError("a first layer of bags has no columns that could be embedded")
    return first


def _codes(tables: Tables, x: Float[Array, "m d"]) -> list[Int[Array, " m"]]:
    """The trailing columns as indices; a code beyond its table is taken for the nearest slot."""
    first = x.shape[1] - len(tables)
    return [
        jnp.clip(x[:, first + i].astype(jnp.int32), 0, table.shape[0] - 1)
        for i, table in enumerate(tables)
    ]


def first_activations(network: Network, x: Rows) -> Rows:
    """a_0: the plain columns of x, the waves of the leading ones, rows for the trailing codes.

    >>> network = Network((jnp.array([[0.0, 0.5], [1.0, 1.5]]),), ())
    >>> first_activations(network, jnp.array([[7.0, 1.0]])).tolist()
    [[7.0, 1.0, 1.5]]
    """
    tables, waves = network.tables, network.waves
    if not tables and not waves:
        return x
    x = jnp.asarray(x)

    def side_by_side(tables: Tables, waves: Periodic | tuple[()], x: Array) -> Array:
        made = [periodic.embed(waves, x[:, : waves.w.shape[0]])] if waves else []
        # A gather a table: joined into one table they would be copied at every step.
        made += [
            table.at[code].get(mode="promise_in_bounds")
            for table, code in zip(tables, _codes(tables, x), strict=True)
        ]
        plain = x[:, : x.shape[1] - len(tables)]
        return jnp.concatenate([plain.astype(made[0].dtype), *made], axis=1)

    out = meshes.spec(meshes.divided(x), None)
    return meshes.automatic(side_by_side, tables, waves, x, out=out)


def _check(network: Network, x: Rows) -> None:
    expected = columns(network)
    if isinstance(x, bags.Bags) or np.ndim(x) != 2 or np.shape(x)[1] != expected:
        raise UserError(
            f"the network takes rows of {expected} numbers, (m, {expected}), the last "
            f"{len(network.tables)} of them codes; got {np.shape(x)}"
        )


def forward(
    network: Network,
    x: Rows,
    *,
    activation: str = "relu",
    parametrisation: str = "standard",
    dropout: Any = None,
    key: Key | None = None,
    masks: Masks = (),
    compute_dtype: Any = None,
) -> Float[Array, "m n_L"]:
    """Logits z_L (m, n_L) of the rows of x (m, d), whose trailing columns are codes.

    Args:
        activation, parametrisation, dropout, key, masks, compute_dtype: as in `mlp.forward`.

    Raises:
        UserError: x does not fit the network, or what `mlp.forward` refuses.

    >>> network = init(jax.random.key(0), [5, 8, 3], embeddings=[(10, 4)])
    >>> forward(network, jnp.ones((2, 5))).shape
    (2, 3)
    """
    if network.tables or network.waves:
        _check(network, x)
    return mlp.forward(
        network.layers,
        first_activations(network, x),
        activation=activation,
        parametrisation=parametrisation,
        dropout=dropout,
        key=key,
        masks=masks,
        compute_dtype=compute_dtype,
    )


def hidden(
    body: Network,
    x: Rows,
    *,
    activation: str = "relu",
    parametrisation: str = "standard",
    masks: Masks = (),
    compute_dtype: Any = None,
) -> Any:
    """a_{L-1} of a network without its last layer: what that reads.

    Args:
        activation, parametrisation, masks, compute_dtype: as in `mlp.hidden_with_cache`.

    >>> network = init(jax.random.key(0), [5, 8, 3], embeddings=[(10, 4)])
    >>> hidden(network._replace(layers=network.layers[:-1]), jnp.ones((2, 5))).shape
    (2, 8)
    """
    return mlp.hidden_with_cache(
        body.layers,
        first_activations(body, x),
        activation=activation,
        parametrisation=parametrisation,
        masks=masks,
        compute_dtype=compute_dtype,
    )[0]


def gradients(
    network: Network,
    x: Rows,
    targets: ArrayLike,
    loss: Loss,
    *,
    weights: ArrayLike | None = None,
    activation: str = "relu",
    parametrisation: str = "standard",
    masks: Masks = (),
    compute_dtype: Any = None,
    output_activation: str | None = None,
    **options: Any,
) -> tuple[Float[Array, ""], Network]:
    """(mean loss, its gradients in tables and layers), by the equations of the lectures.

    Equal to `jax.value_and_grad` of `losses.mean(loss(forward(network, x), targets), weights)` up
    to rounding.

    Args:
        weights, activation, parametrisation, masks, compute_dtype, output_activation: as in
            `backprop.gradients`.
        options: the loss's other options, such as label_smoothing.

    >>> from jaxnet.nn import losses
    >>> network = init(jax.random.key(0), [5, 8, 3], embeddings=[(10, 4)])
    >>> value, grads = gradients(
    ...     network, jnp.ones((2, 5)), jnp.array([0, 2]), losses.categorical_cross_entropy)
    >>> grads.tables[0].shape, bool(grads.tables[0][1].any()), bool(grads.tables[0][2].any())
    ((10, 4), True, False)
    """
    names: dict[str, Any] = {
        "activation": activation,
        "parametrisation": parametrisation,
        "compute_dtype": compute_dtype,
    }
    if not network.tables and not network.waves:
        value, layers = backprop.gradients(
            network.layers,
            x,
            targets,
            loss,
            weights=weights,
            masks=masks,
            output_activation=output_activation,
            **names,
            **options,
        )
        return value, Network((), layers)
    _check(network, x)
    words = {name: option for name, option in options.items() if isinstance(option, str)}
    numbers = {name: option for name, option in options.items() if name not in words}

    def written_out(
        network: Network, x: Any, targets: Array, weights: Any, masks: Masks, numbers: Any
    ) -> tuple[Array, Network]:
        value, cache, delta = backprop.output_delta(
            network.layers,
            first_activations(network, x),
            targets,
            loss,
            weights=weights,
            masks=masks,
            output_activation=output_activation,
            **names,
            **words,
            **numbers,
        )
        layers, delta = backprop.through_layers(network.layers, cache, delta, **names)
        tables, waves = _first_gradients(
            network, x, delta, parametrisation=parametrisation, compute_dtype=compute_dtype
        )
        return value, Network(tables, layers, waves)

    arguments = (network, jnp.asarray(x), as_targets(targets), weights, masks, numbers)
    out = meshes.spec(), meshes.specs_of(network)
    return meshes.automatic(written_out, *arguments, out=out)


def _first_gradients(
    network: Network,
    x: Float[Array, "m d"],
    delta: Float[Array, "m n_1"],
    *,
    parametrisation: str,
    compute_dtype: Any,
) -> tuple[Tables, Periodic | tuple[()]]:
    """Gradients of what stands between x and the first layer, from delta_1."""
    da = backprop.input_gradient(
        _first(network),
        delta,
        inputs=slice(x.shape[1] - len(network.tables), None),
        parametrisation=parametrisation,
        compute_dtype=compute_dtype,
    )
    waves, end = network.waves, 0
    if waves:
        end = waves.v.size
        numbers = x[:, : waves.w.shape[0]].astype(waves.w.dtype)
        waves = periodic.gradients(waves, numbers, da[:, :end].astype(waves.w.dtype))
    tables = _table_gradients(network.tables, x, da[:, end:])
    return meshes.summed_like(tables, network.tables), waves


def _table_gradients(
    tables: Tables, x: Float[Array, "m d"], da: Float[Array, "m widths"]
) -> Tables:
    """dT_i: each row of da_0 is added to the row of the table that it came from."""
    found, start = [], 0
    for table, code in zip(tables, _codes(tables, x), strict=True):
        part = da[:, start : start + table.shape[1]].astype(table.dtype)
        start_of = meshes.vary(jnp.zeros_like(table), meshes.axes_of(part, code))
        found.append(start_of.at[code].add(part, mode="promise_in_bounds"))
        start += table.shape[1]
    return tuple(found)


def named(network: Network) -> dict[str, np.ndarray]:
    """Parameters as named arrays on the host: tables.0, ..., layers.0.W, layers.0.b, ...

    >>> sorted(named(init(jax.random.key(0), [5, 3], embeddings=[(10, 4)])))
    ['layers.0.W', 'layers.0.b', 'tables.0']
    """
    tables = {f"tables.{index}": np.asarray(table) for index, table in enumerate(network.tables)}
    waves = network.waves._asdict() if network.waves else {}
    learned = tables | {f"waves.{name}": np.asarray(array) for name, array in waves.items()}
    return learned | {
        f"layers.{index}.{name}": np.asarray(array)
        for index, layer in enumerate(network.layers)
        for name, array in layer._asdict().items()
    }


def from_named(arrays: Mapping[str, ArrayLike]) -> Network:
    """The network whose parameters `named` gave these names.

    >>> from_named(named(init(jax.random.key(0), [5, 3], embeddings=[(10, 4)]))).tables[0].shape
    (10, 4)
    """
    tables = sum(name.startswith("tables.") for name in arrays)
    layers = sum(name.startswith("layers.") for name in arrays) // len(Layer._fields)
    return Network(
        tuple(jnp.asarray(arrays[f"tables.{index}"]) for index in range(tables)),
        tuple(_layer(arrays, f"layers.{index}") for index in range(layers)),
        Periodic(*(jnp.asarray(arrays[f"waves.{name}"]) for name in Periodic._fields))
        if "waves.w" in arrays
        else (),
    )


def _layer(arrays: Mapping[str, ArrayLike], name: str) -> Layer | BagLayer:
    kind = BagLayer if f"{name}.E" in arrays else Layer
    return kind(*(jnp.asarray(arrays[f"{name}.{field}"]) for field in kind._fields))
