"""Three ways to the same gradient: closed form, autodiff of the plain loss, and the lecture's."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import jax
from jaxtyping import Array

from jaxnet.nn import embedding
from jaxnet.nn.embedding import Network
from jaxnet.nn.losses import Loss, mean
from jaxnet.nn.mlp import Masks

# (params, x, y, weights, masks, loss, loss options, network options) -> (mean loss, gradients)
Engine: TypeAlias = Callable[..., tuple[Array, Network]]


def _differentiated(call: Callable[..., Array]) -> Engine:
    def engine(
        params: Network,
        x: Array,
        y: Array,
        weights: Array,
        masks: Masks,
        loss: Loss,
        options: Mapping[str, Any],
        network: Mapping[str, Any],
    ) -> tuple[Array, Network]:
        def mean_loss(params: Network) -> Array:
            logits = embedding.forward(params, x, masks=masks, **network)
            return mean(call(loss, logits, y, **options), weights)

        return jax.value_and_grad(mean_loss)(params)

    return engine


def _written_out(
    params: Network,
    x: Array,
    y: Array,
    weights: Array,
    masks: Masks,
    loss: Loss,
    options: Mapping[str, Any],
    network: Mapping[str, Any],
) -> tuple[Array, Network]:
    rest = {name: value for name, value in options.items() if name != "activation"}
    return embedding.gradients(
        params,
        x,
        y,
        loss,
        weights=weights,
        masks=masks,
        output_activation=options.get("activation"),
        **network,
        **rest,
    )


ENGINES: Mapping[str, Engine] = MappingProxyType(
    {
        "closed_form": _differentiated(lambda loss, z, y, **o: loss(z, y, **o)),
        "autodiff": _differentiated(lambda loss, z, y, **o: loss.plain(z, y, **o)),
        "backprop": _written_out,
    }
)
