"""Feedforward classifiers in JAX: losses with proven gradients, training from one config.

Everything here is imported when it is first used, so `import jaxnet` alone costs nothing and does
not load JAX:

    jaxnet.train(config) -> run             jaxnet.run
    jaxnet.load(run_directory) -> model     jaxnet.inference
    jaxnet.JaxnetClassifier(...).fit(X, y)  jaxnet.estimator
    jaxnet.losses, jaxnet.activations, jaxnet.mlp, jaxnet.backprop, jaxnet.gradcheck,
    jaxnet.linear_heads: jaxnet.nn; `from jaxnet.losses import focal` works too
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxnet import activations as activations
    from jaxnet import backprop as backprop
    from jaxnet import errors as errors
    from jaxnet import gradcheck as gradcheck
    from jaxnet import linear_heads as linear_heads
    from jaxnet import losses as losses
    from jaxnet import mlp as mlp
    from jaxnet import nn as nn
    from jaxnet.estimator import JaxnetClassifier as JaxnetClassifier
    from jaxnet.inference import load as load
    from jaxnet.run import train as train

__version__ = "0.1.0"

_MODULES = {
    "activations": "jaxnet.activations",
    "backprop": "jaxnet.backprop",
    "gradcheck": "jaxnet.gradcheck",
    "errors": "jaxnet.errors",
    "linear_heads": "jaxnet.linear_heads",
    "losses": "jaxnet.losses",
    "mlp": "jaxnet.mlp",
    "nn": "jaxnet.nn",
}
_FUNCTIONS = {
    "JaxnetClassifier": "jaxnet.estimator",
    "load": "jaxnet.inference",
    "train": "jaxnet.run",
}

__all__ = [
    "JaxnetClassifier",
    "__version__",
    "activations",
    "backprop",
    "errors",
    "gradcheck",
    "linear_heads",
    "load",
    "losses",
    "mlp",
    "nn",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562)."""
    if name in _MODULES:
        value: Any = import_module(_MODULES[name])
    elif name in _FUNCTIONS:
        value = getattr(import_module(_FUNCTIONS[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value  # later look-ups no longer come here
    return value


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return list(__all__)
