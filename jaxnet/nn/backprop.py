"""The backward pass of the lectures, written out: delta by delta, dW, db.

    delta_L     = dJ/dz_L                                (of the pair loss, output activation)
    delta_{l-1} = (delta_l W_l) * f'(z_{l-1})
    dW_l        = delta_l^T a_{l-1}
    db_l        = sum over rows of delta_l

The first lecture prints the second line with the index L on both sides (it is any layer l), and
with W of shape (n_in, n_out); here W is (n_out, n_in) and rows are examples.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from jaxnet.nn import activations, bags, meshes, mlp
from jaxnet.nn.bags import BagLayer
from jaxnet.nn.losses import Loss, mean
from jaxnet.nn.losses.core import scale_rows
from jaxnet.nn.losses.layout import as_targets
from jaxnet.nn.mlp import Cache, Layer, Masks, Params, Rows


def backward(
    params: Params,
    cache: Cache,
    delta: Float[Array, "m n_L"],
    *,
    activation: str = "relu",
    parametrisation: str = "standard",
    compute_dtype: Any = None,
) -> Params:
    """Gradients of every W and b from the delta of the output layer.

    Args:
        params: the parameters of the forward pass.
        cache: what `mlp.forward_with_cache` returned.
        delta: dJ/dz_L, (m, n_L), with the weights of the rows (1/m) already in it.
        compute_dtype: type of the products; sums stay float32.

    >>> import jax
    >>> params = mlp.init(jax.random.key(0), [4, 8, 3])
    >>> logits, cache = mlp.forward_with_cache(params, jnp.ones((2, 4)))
    >>> [layer.W.shape for layer in backward(params, cache, jnp.ones((2, 3)))]
    [(8, 4), (3, 8)]
    """
    found, _ = through_layers(
        params,
        cache,
        delta,
        activation=activation,
        parametrisation=parametrisation,
        compute_dtype=compute_dtype,
    )
    return found


def through_layers(
    params: Params,
    cache: Cache,
    delta: Float[Array, "m n_L"],
    *,
    activation: str,
    parametrisation: str,
    compute_dtype: Any,
) -> tuple[Params, Float[Array, "m n_1"]]:
    """(gradients of every W and b, delta_1), from the last layer to the first."""
    derivative = activations.find(activation).derivative
    scale_of = mlp.find_scale(parametrisation)
    dtype = compute_dtype or params[0][0].dtype

    def layer_by_layer(params: Params, cache: Cache, delta: Array) -> tuple[Params, Array]:
        gradients: list[Layer | BagLayer] = []
        for l in reversed(range(len(params))):  # noqa: E741 (the lecture's letter)
            W, b = params[l]
            db = jnp.sum(delta, axis=0).astype(b.dtype)
            if isinstance(params[l], BagLayer):  # the first: a_0 are bags
                dE = bags.table_gradient(W.shape[0], cache.a[0], delta.astype(dtype))
                gradients.append(BagLayer(dE.astype(W.dtype), db))
                break
            scale = scale_of(W.shape[1])
            narrow = delta.astype(dtype)
            dW = mlp.weight_gradient(narrow, cache.a[l].astype(dtype)) * scale
            gradients.append(Layer(dW.astype(W.dtype), db))
            if l > 0:
                da = mlp.contract(narrow, W.astype(dtype), 1, 0) * scale
                da = da * cache.masks[l - 1] if cache.masks else da
                delta = da * derivative(cache.z[l - 1])
        return meshes.summed_like(tuple(reversed(gradients)), params), delta

    first_z = cache.z[0] if cache.z else delta
    delta_1 = meshes.spec(meshes.divided(delta), meshes.divided(first_z, 1))
    return meshes.automatic(
        layer_by_layer, params, cache, delta, out=(meshes.specs_of(params), delta_1)
    )


def input_gradient(
    first: Layer,
    delta: Float[Array, "m n_1"],
    *,
    inputs: slice,
    parametrisation: str = "standard",
    compute_dtype: Any = None,
) -> Float[Array, "m _"]:
    """da_0 = delta_1 W_1, for the given ones of the inputs: the lecture's step once more.

    Args:
        first: W (n_1, n_0) and b of the first layer. delta: dJ/dz_1.
        inputs: which of the n_0 inputs.
        compute_dtype: type of the product; its sums stay float32.

    >>> first = Layer(jnp.array([[1.0, 2.0, 3.0]]), jnp.zeros(1))
    >>> input_gradient(first, jnp.ones((1, 1)), inputs=slice(-2, None)).tolist()
    [[2.0, 3.0]]
    """
    dtype = compute_dtype or first.W.dtype
    scale = mlp.find_scale(parametrisation)(first.W.shape[1])

    def product(delta: Array, W: Array) -> Array:
        return mlp.contract(delta.astype(dtype), W[:, inputs].astype(dtype), 1, 0) * scale

    out = meshes.spec(meshes.divided(delta), None)
    return meshes.automatic(product, delta, first.W, out=out)


def gradients(
    params: Params,
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
) -> tuple[Float[Array, ""], Params]:
    """(mean loss, its gradients in the parameters), by the equations of the lectures.

    Equal to `jax.value_and_grad` of `losses.mean(loss(mlp.forward(params, x), targets), weights)`
    up to rounding, and like it summed over devices that share the parameters inside
    `jax.shard_map(..., check_vma=True)`. The delta of the output layer is the loss's own, so any
    activation and any loss of `losses.LOSSES` will do.

    Args:
        weights: of the examples, (m,), or a boolean mask; None: 1 each.
        activation, parametrisation, masks, compute_dtype: as in `mlp.forward`.
        output_activation: the loss's option `activation` (squared_error); None: its default.
        options: the loss's other options, such as label_smoothing.

    >>> import jax
    >>> from jaxnet.nn import losses
    >>> params = mlp.init(jax.random.key(0), [4, 8, 3], last_layer="zeros")
    >>> value, grads = gradients(
    ...     params, jnp.ones((2, 4)), jnp.array([0, 2]), losses.categorical_cross_entropy)
    >>> round(float(value), 4), grads[-1].b.shape
    (1.0986, (3,))
    """
    names = {"activation": activation, "parametrisation": parametrisation}

    def written_out(
        params: Params, x: Rows, targets: Array, weights: Any, masks: Masks, numbers: Any
    ) -> tuple[Array, Params]:
        value, cache, delta = output_delta(
            params,
            x,
            targets,
            loss,
            weights=weights,
            masks=masks,
            compute_dtype=compute_dtype,
            output_activation=output_activation,
            **names,
            **words,
            **numbers,
        )
        return value, backward(params, cache, delta, compute_dtype=compute_dtype, **names)

    words = {name: option for name, option in options.items() if isinstance(option, str)}
    numbers = {name: option for name, option in options.items() if name not in words}
    out = meshes.spec(), meshes.specs_of(params)
    return meshes.automatic(
        written_out, params, x, as_targets(targets), weights, masks, numbers, out=out
    )


def output_delta(
    params: Params,
    x: Rows,
    targets: ArrayLike,
    loss: Loss,
    *,
    weights: ArrayLike | None = None,
    masks: Masks = (),
    output_activation: str | None = None,
    activation: str,
    parametrisation: str,
    compute_dtype: Any,
    **options: Any,
) -> tuple[Float[Array, ""], Cache, Float[Array, "m n_L"]]:
    """(mean loss, what the backward pass reads, delta_L): the forward pass of `gradients`."""
    if output_activation is not None:
        options["activation"] = output_activation
    logits, cache = mlp.forward_with_cache(
        params,
        x,
        masks=masks,
        activation=activation,
        parametrisation=parametrisation,
        compute_dtype=compute_dtype,
    )
    targets = as_targets(targets)
    if targets.ndim == 1 and logits.shape[1] == 1:
        targets = targets[:, None]  # one logit column: the binary head
    value = mean(loss.plain(logits, targets, **options), weights)
    delta = scale_rows(row_shares(logits, weights), loss.delta(logits, targets, **options))
    return value, cache, delta


def row_shares(logits: Float[Array, "m _"], weights: ArrayLike | None) -> Float[Array, " m"]:
    """Share of each row in the mean, w_i / sum w: the 1/m of the lectures; 0 if all weigh 0."""
    if weights is None:
        weights = jnp.ones_like(logits[:, 0])
    w = jnp.asarray(weights).astype(logits.dtype)
    total = jnp.sum(w)
    return w / jnp.where(total == 0, 1, total)
