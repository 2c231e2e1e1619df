"""What a loss is: value and closed-form delta of one (loss, output activation) pair.

A `Loss` is made of two functions, `value(z, y)` and `delta(z, y)` = d value / d z. Everything
else follows: `loss(z, y)` differentiates through delta (`jax.custom_vjp`), `loss.forward_mode`
too, in both directions (`jax.custom_jvp`), and `loss.plain` is left to autodiff.
"""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import FunctionType, MappingProxyType, MethodType
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Shaped

from jaxnet.errors import LossPairError, UserError, did_you_mean
from jaxnet.nn import meshes
from jaxnet.nn.activations import IMAGES
from jaxnet.nn.losses.layout import Layout, as_targets
from jaxnet.nn.precision import wide_type

Arrays: TypeAlias = dict[str, Any]
Words: TypeAlias = tuple[tuple[str, str], ...]

PAIR_REASON = (
    "the closed-form delta belongs to one pair of loss and output activation; "
    "with another activation it is the gradient of something else"
)


class ForwardModeError(UserError, TypeError):
    """A loss with a reverse-mode rule was differentiated in forward mode."""


class Inputs(NamedTuple):
    """Checked arguments of a loss; words are options that are text, hence not traced."""

    z: Float[Array, "..."]
    y: Shaped[Array, "..."]
    words: Words
    arrays: Arrays


@dataclass(frozen=True, eq=False)
class Loss:
    """A loss behind its output activation, with the gradient that belongs to the pair.

    `loss(logits, targets, **options)` gives one number an example, float32 or wider whatever the
    type of the logits; its gradient is `loss.delta` times the incoming cotangent. Leading axes may
    be any number: logits [..., K] give losses [...]. A registered loss is pickled by its name;
    copies of a loss are the loss itself, so that they compile nothing anew.

    Attributes:
        name: what it is called in `LOSSES` and in tables.
        layout: shapes of logits and targets, and how targets are read (`layout.py`).
        activation: the output activation the pair belongs to, or a tuple of those to choose from
            with the option `activation`, the first being the default.
        options: the options it takes -> their defaults.
        value_of: (z, y, **options) -> (m,), accurate where the activation saturates.
        delta_of: (z, y, **options) -> d value / d z, of the shape of z.
        seed_of: (a, y, **options) -> d value / d a, the seed of backpropagation.
        scale_of: (z, y, **options) -> sum of the absolute values of delta's terms, against which
            its error is measured where they cancel; None: |delta|.
        usual: (z, y, **options) -> (m,): the form that other libraries leave to autodiff, for
            comparison in the gradient check; None: `value_of`.

    >>> from jaxnet.nn import losses
    >>> losses.binary_cross_entropy(jnp.array([0.0, 2.0]), jnp.array([1.0, 1.0])).shape
    (2,)
    """

    name: str
    layout: Layout
    activation: str | tuple[str, ...]
    value_of: Callable[..., Array]
    delta_of: Callable[..., Array]
    seed_of: Callable[..., Array] | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    scale_of: Callable[..., Array] | None = None
    usual: Callable[..., Array] | None = None
    doc: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Give the instance and its methods the name, docstring and signature of a function."""

        def set_(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        set_("__doc__", self.doc or Loss.__doc__)
        set_("__name__", self.name)
        set_("__signature__", self._signature_of(Loss.__call__))
        for form in (Loss.forward_mode, Loss.plain, Loss.delta, Loss.seed, Loss.scale):
            shown = FunctionType(
                form.__code__, form.__globals__, form.__name__, form.__defaults__, form.__closure__
            )
            shown.__doc__, shown.__qualname__ = form.__doc__, f"{self.name}.{form.__name__}"
            shown.__signature__ = self._signature_of(form, bound=False)  # type: ignore[attr-defined]
            set_(form.__name__, MethodType(shown, self))

    def _signature_of(self, form: Callable[..., Array], bound: bool = True) -> inspect.Signature:
        """The form's signature with the options of this loss spelled out."""
        *arguments, _ = inspect.signature(form).parameters.values()
        known = {"activation": self.output_activation(), **self.options}
        spelled = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
            for name, default in known.items()
        ]
        return inspect.Signature(arguments[bound:] + spelled, return_annotation=Array)

    def __reduce__(self) -> tuple[Any, ...]:
        if LOSSES.get(self.name) is not self:
            raise UserError(
                f"{self.name}: a loss is pickled by its name; pass it to losses.register first"
            )
        return _registered, (self.name,)

    def __copy__(self) -> "Loss":
        return self

    def __deepcopy__(self, memo: Any) -> "Loss":
        return self

    def __call__(self, logits: ArrayLike, targets: ArrayLike, **options: Any) -> Array:
        """Per-example losses (m,) whose gradient is the closed form (`custom_vjp`)."""
        z, y, words, arrays = self.prepare(logits, targets, options)
        try:
            return _closed_form(self, words, z, y, arrays)
        except TypeError as error:
            # Not under an inner `jax.jit`, whose program JAX differentiates without us.
            if "forward-mode" not in str(error) or isinstance(error, ForwardModeError):
                raise
            raise ForwardModeError(
                f"{self.name} has a rule for reverse-mode differentiation only (custom_vjp); for "
                f"forward-mode, as jvp, jacfwd, linearize or a hessian of it ask, use "
                f"{self.name}.forward_mode(...): the same value and delta"
            ) from None

    def forward_mode(self, logits: ArrayLike, targets: ArrayLike, **options: Any) -> Array:
        """The same losses and delta as a `custom_jvp`: serves jvp, linearize and hessian too.

        Unlike `loss(...)`, a row that is not finite spoils its gradient even at weight 0.
        """
        z, y, words, arrays = self.prepare(logits, targets, options)
        return _forward_mode(self, words, z, y, arrays)

    def plain(self, logits: ArrayLike, targets: ArrayLike, **options: Any) -> Array:
        """The same losses as an ordinary function that autodiff differentiates."""
        return _value(self, *self.prepare(logits, targets, options))

    def delta(self, logits: ArrayLike, targets: ArrayLike, **options: Any) -> Array:
        """d(per-example loss)/d(logits), of the shape and type of the logits."""
        inputs = self.prepare(logits, targets, options)
        return _delta(self, *inputs).astype(inputs.z.dtype)

    def seed(self, activations: ArrayLike, targets: ArrayLike, **options: Any) -> Array:
        """d(per-example loss)/d(activations): dJ/dA of the lectures without the 1/m.

        Where a number is none that the output activation can return, as logits are, it is NaN.
        """
        if self.seed_of is None:
            raise UserError(f"{self.name} has no seed dJ/dA; pass seed= to losses.make")
        inputs = self.prepare(activations, targets, options)
        lowest, highest = IMAGES.get(self.output_activation(**options), (-math.inf, math.inf))
        possible = (inputs.z >= lowest) & (inputs.z <= highest)
        return jnp.where(possible, _apply(self.seed_of, self, *inputs), jnp.nan)

    def scale(self, logits: ArrayLike, targets: ArrayLike, **options: Any) -> Array:
        """Sum of the absolute values of the terms of delta: what its error is measured against."""
        inputs = self.prepare(logits, targets, options)
        return jnp.abs(_apply(self.scale_of or self.delta_of, self, *inputs))

    def output_activation(self, **options: Any) -> str:
        """Name of the output activation that the given options choose.

        Raises:
            LossPairError: the option `activation` names one that does not belong to this loss.
        """
        known = (self.activation,) if isinstance(self.activation, str) else self.activation
        chosen = options.get("activation") or known[0]
        if chosen not in known:
            raise LossPairError(
                f"{self.name} cannot stand behind {chosen!r}: {PAIR_REASON} "
                f"(lecture 1: don't use these equations blindly). "
                f"{self.name} belongs to {' or '.join(known)}"
            )
        return str(chosen)

    def prepare(self, logits: ArrayLike, targets: ArrayLike, options: Mapping[str, Any]) -> Inputs:
        """Check shapes, option names and the activation; part text options from array ones."""
        self.output_activation(**options)
        unknown = set(options) - set(self.options) - {"activation"}
        if unknown:
            raise UserError(
                f"{self.name} takes no option {', '.join(map(repr, sorted(unknown)))}; "
                f"it takes {', '.join(sorted(self.options)) or 'none'}"
            )
        z, y = self.layout.check(self.name, jnp.asarray(logits), as_targets(targets))
        words = tuple(sorted((k, v) for k, v in options.items() if isinstance(v, str)))
        if isinstance(self.activation, str):
            words = tuple((k, v) for k, v in words if k != "activation")
        numbers = {k: v for k, v in options.items() if v is not None and not isinstance(v, str)}
        arrays = {k: jnp.asarray(v, wide_type(z.dtype)) for k, v in numbers.items()}
        # The rule of a custom_vjp returns cotangents that vary as its arguments must, all alike.
        z, y, arrays = meshes.vary((z, y, arrays), meshes.axes_of(z, y, arrays))
        z, y = meshes.divide_alike(z, y)
        return Inputs(z, y, words, arrays)


def _apply(
    function: Callable[..., Array], loss: Loss, z: Array, y: Array, words: Words, arrays: Arrays
) -> Array:
    """Call a loss's own function with z (m, K), widened, and the targets read beside it.

    Logits [..., K] go to it a matrix at a time, by `jax.vmap`: a reshape to one matrix would tear
    axes that are spread over devices. Gives [...], or the shape of z.
    """

    def call(rows: Array, y: Array) -> Array:
        return function(rows, loss.layout.read(rows, y), **dict(words), **arrays)

    rows = z.astype(wide_type(z.dtype))
    if not loss.layout.has_class_axis(z, y):
        rows, y = rows[..., None], y[..., None]
    leading = rows.ndim - 1
    for _ in range(leading - 1):
        call = jax.vmap(call)
    result = call(rows, y) if leading else call(rows[None], y[None])[0]
    return result[..., 0] if result.ndim > z.ndim else result


def _value(loss: Loss, z: Array, y: Array, words: Words, arrays: Arrays) -> Array:
    return _apply(loss.value_of, loss, z, y, words, arrays)


def _delta(loss: Loss, z: Array, y: Array, words: Words, arrays: Arrays) -> Array:
    return _apply(loss.delta_of, loss, z, y, words, arrays)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _closed_form(loss: Loss, words: Words, z: Array, y: Array, arrays: Arrays) -> Array:
    return _value(loss, z, y, words, arrays)


# forward :: (z, y, options) -> (losses (m,), residuals)
def _forward(loss: Loss, words: Words, z: Array, y: Array, arrays: Arrays) -> tuple[Array, Any]:
    return _value(loss, z, y, words, arrays), (z, y, arrays)


# backward :: (residuals, cotangent (m,)) -> (dz, dy, d options)
def _backward(loss: Loss, words: Words, residuals: Any, g: Array) -> tuple[Any, Any, Any]:
    z, y, arrays = residuals
    delta = _delta(loss, z, y, words, arrays)
    dz = scale_rows(g, delta).astype(z.dtype)
    # A masked row must not reach the other gradients either: its logits could hold a NaN.
    lost = ~_over_classes(jnp.all, jnp.isfinite(delta), g.ndim) & (g == 0)
    z, y = _zero_rows(lost, z), _zero_rows(lost, y)
    # Targets and options enter the value linearly or smoothly: autodiff loses nothing there.
    _, pull = jax.vjp(lambda y, arrays: _value(loss, z, y, words, arrays), y, arrays)
    return dz, *pull(g)


def _over_classes(reduce: Callable[..., Array], x: Array, ndim: int) -> Array:
    """Reduce the class axis of x, if it has one beside the `ndim` axes of the losses."""
    return reduce(x, axis=-1) if x.ndim > ndim else x


def _zero_rows(rows: Array, x: Array) -> Array:
    return jnp.where(rows[..., None] if x.ndim > rows.ndim else rows, jnp.zeros_like(x), x)


_closed_form.defvjp(_forward, _backward)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _forward_mode(loss: Loss, words: Words, z: Array, y: Array, arrays: Arrays) -> Array:
    return _value(loss, z, y, words, arrays)


# tangent :: ((z, y, options), (dz, dy, d options)) -> (losses, d losses)
@_forward_mode.defjvp
def _tangent(loss: Loss, words: Words, primals: Any, tangents: Any) -> tuple[Array, Array]:
    z, y, arrays = primals
    dz, dy, d_arrays = tangents
    value, along_rest = jax.jvp(
        lambda y, arrays: _value(loss, z, y, words, arrays), (y, arrays), (dy, d_arrays)
    )
    products = _delta(loss, z, y, words, arrays) * dz.astype(value.dtype)
    return value, along_rest + _over_classes(jnp.sum, products, value.ndim)


def scale_rows(g: Float[Array, "..."], delta: Float[Array, "..."]) -> Float[Array, "..."]:
    """g_i delta_i; a row of cotangent 0 whose delta is not finite counts as absent."""
    g = g[..., None] if delta.ndim > g.ndim else g
    return jnp.where((g == 0) & ~jnp.isfinite(delta), 0, g * delta)


LOSSES: Mapping[str, Loss]
_REGISTRY: dict[str, Loss] = {}
LOSSES = MappingProxyType(_REGISTRY)


def _registered(name: str) -> Loss:
    """The loss that a pickle names."""
    if name not in LOSSES:
        raise UserError(
            f"no loss is called {name!r}{did_you_mean(name, LOSSES)}. A loss of your own is "
            "pickled by its name: pass it to losses.register before you unpickle"
        )
    return LOSSES[name]


def register(loss: Loss) -> Loss:
    """Add a loss to `LOSSES`, so that configs and the gradient check find it by name.

    Raises:
        UserError: another loss has that name already.

    >>> focal = LOSSES["focal"]
    >>> register(focal) is focal  # again, which changes nothing
    True
    """
    if _REGISTRY.setdefault(loss.name, loss) is not loss:
        raise UserError(f"a loss called {loss.name!r} is registered already; choose another name")
    return loss


def make(
    name: str,
    *,
    value: Callable[..., Array],
    delta: Callable[..., Array],
    layout: Layout,
    activation: str | tuple[str, ...] = "identity",
    options: tuple[str, ...] = (),
    seed: Callable[..., Array] | None = None,
    scale: Callable[..., Array] | None = None,
) -> Loss:
    """A loss of your own from its value and its delta, with all that the built-in ones have.

    value(z, y, **options) -> (m,) and delta(z, y, **options) -> shape of z receive z (m, K) in
    float32 or wider and y as `layout` reads it. `options` names those it takes; their defaults
    are those of `value`. Prove the pair with `jaxnet.gradcheck.check(loss)`, and
    pass it to `register` to use its name in a config.

    >>> from jaxnet.nn.losses import ELEMENTWISE
    >>> logcosh = make(
    ...     "logcosh", layout=ELEMENTWISE, activation="identity",
    ...     value=lambda z, y: jnp.sum(jnp.log(jnp.cosh(z - y)), axis=-1),
    ...     delta=lambda z, y: jnp.tanh(z - y))
    >>> logcosh(jnp.zeros((2, 3)), jnp.zeros((2, 3))).tolist()
    [0.0, 0.0]
    """
    if not name.isidentifier():
        raise UserError(f"a loss's name must be a plain word, such as 'my_loss', not {name!r}")
    for option in options:
        if not option.isidentifier() or option in ("logits", "targets"):
            raise UserError(
                f"{name}: an option's name must be a plain word of its own, not {option!r}"
            )
    try:
        known: Mapping[str, inspect.Parameter] = inspect.signature(value).parameters
    except (TypeError, ValueError):  # functions written in C have none
        known = {}
    defaults = {
        option: None if known[option].default is inspect.Parameter.empty else known[option].default
        for option in options
        if option in known
    }
    return Loss(
        name, layout, activation, value, delta, seed, {o: defaults.get(o) for o in options}, scale
    )
