"""Every name that a config may hold, and which of them belong together.

The mathematics has registries of its own. A config knows no jax, so it lists the names here; a
test holds both sides equal.
"""

from __future__ import annotations

from typing import Literal, get_args

Task = Literal["binary", "multiclass", "multilabel"]
TASKS: tuple[str, ...] = get_args(Task)

Source = Literal["breast_cancer", "digits", "digit_attributes"]
BUILTIN_SOURCES: tuple[str, ...] = get_args(Source)
# Two classes may also be trained as two softmax outputs.
SOURCE_TASKS: dict[str, tuple[str, ...]] = {
    "breast_cancer": ("binary", "multiclass"),
    "digits": ("multiclass",),
    "digit_attributes": ("multilabel",),
}

Scale = Literal["robust", "standard", "quantile", "none", "unit"]
SCALES: tuple[str, ...] = get_args(Scale)

ColumnKind = Literal["numeric", "categorical", "id"]
COLUMN_KINDS: tuple[str, ...] = get_args(ColumnKind)

Model = Literal["mlp"]
MODELS: tuple[str, ...] = get_args(Model)

Activation = Literal[
    "identity",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "softplus",
]
ACTIVATIONS: tuple[str, ...] = get_args(Activation)

OutputActivation = Literal[
    "identity",
    "sigmoid",
    "tanh",
    "relu",
    "leaky_relu",
    "elu",
    "selu",
    "gelu",
    "silu",
    "softplus",
    "softmax",
]
OUTPUT_ACTIVATIONS: tuple[str, ...] = get_args(OutputActivation)
# The activation that turns the logits of a task into probabilities.
TASK_ACTIVATIONS: dict[str, str] = {
    "binary": "sigmoid",
    "multiclass": "softmax",
    "multilabel": "sigmoid",
}

Init = Literal["he", "glorot", "lecun", "ntk"]
INITS: tuple[str, ...] = get_args(Init)

# How the last layer is computed: with its logits, or block by block without them.
Head = Literal["auto", "dense", "linear_blocks"]
HEADS: tuple[str, ...] = get_args(Head)

HeadWeights = Literal["float32", "bfloat16"]
HEAD_WEIGHTS: tuple[str, ...] = get_args(HeadWeights)

LastLayer = Literal["zeros", "same"]
LAST_LAYERS: tuple[str, ...] = get_args(LastLayer)

NumericEmbedding = Literal["auto", "periodic", "none"]
NUMERIC_EMBEDDINGS: tuple[str, ...] = get_args(NumericEmbedding)

OutputBias = Literal["prior", "zeros"]
OUTPUT_BIASES: tuple[str, ...] = get_args(OutputBias)

LOSS_NAMES: tuple[str, ...] = ("cross_entropy", "squared_error", "focal", "asymmetric")
LOSS_TASKS: dict[str, tuple[str, ...]] = {
    "cross_entropy": TASKS,
    "squared_error": TASKS,
    "focal": ("binary", "multilabel"),
    "asymmetric": ("binary", "multilabel"),
}
# Options that not every loss takes. `label_smoothing` acts on the targets and suits them all.
LOSS_OPTIONS: dict[str, tuple[str, ...]] = {
    "cross_entropy": (),
    "squared_error": ("activation",),
    "focal": ("gamma",),
    "asymmetric": ("gamma_pos", "gamma_neg", "clip"),
}

Gradient = Literal["closed_form", "autodiff", "backprop"]
GRADIENTS: tuple[str, ...] = get_args(Gradient)

Calibration = Literal["temperature", "none"]
CALIBRATIONS: tuple[str, ...] = get_args(Calibration)

# What a threshold can be tuned for on the validation rows, per task; a number fixes it instead.
THRESHOLD_RULES: dict[str, tuple[str, ...]] = {
    "binary": ("accuracy", "f1", "balanced_accuracy", "cost"),
    "multiclass": (),
    "multilabel": ("f1",),
}

Labels = Literal["sum", "mean"]
LABELS: tuple[str, ...] = get_args(Labels)

Optimizer = Literal["sgd", "momentum", "adam", "adamw", "lion", "rmsprop", "adagrad"]
OPTIMIZERS: tuple[str, ...] = get_args(Optimizer)
OPTIMIZER_OPTIONS: dict[str, tuple[str, ...]] = {
    "sgd": (),
    "momentum": ("momentum",),
    "adam": ("b1", "b2", "eps"),
    "adamw": ("b1", "b2", "eps"),
    "lion": ("b1", "b2"),
    "rmsprop": ("decay", "eps"),
    "adagrad": ("eps",),
}

Schedule = Literal["constant", "cosine", "warmup_cosine", "exponential"]
SCHEDULES: tuple[str, ...] = get_args(Schedule)
SCHEDULE_OPTIONS: dict[str, tuple[str, ...]] = {
    "constant": (),
    "cosine": ("final",),
    "warmup_cosine": ("warmup", "final"),
    "exponential": ("decay",),
}

Precision = Literal["float32", "bfloat16"]
PRECISIONS: tuple[str, ...] = get_args(Precision)

# What a step whose loss or gradient is not finite leads to.
OnNan = Literal["stop", "skip"]
ON_NAN: tuple[str, ...] = get_args(OnNan)

Metric = Literal[
    "log_loss",
    "loss",
    "accuracy",
    "micro_f1",
    "hamming_loss",
    "subset_accuracy",
    "precision_at_1",
    "precision_at_3",
    "precision_at_5",
]
# Metrics that early stopping may watch, per task.
METRICS: dict[str, tuple[str, ...]] = {
    "binary": ("log_loss", "loss", "accuracy"),
    "multiclass": ("log_loss", "loss", "accuracy"),
    "multilabel": get_args(Metric),
}
# Those of a head that keeps no logits: no threshold is put to all of its outputs.
HEAD_METRICS = ("log_loss", "loss", "precision_at_1", "precision_at_3", "precision_at_5")
METRIC_DIRECTIONS: dict[str, Literal["minimise", "maximise"]] = {
    "log_loss": "minimise",
    "loss": "minimise",
    "accuracy": "maximise",
    "micro_f1": "maximise",
    "hamming_loss": "minimise",
    "subset_accuracy": "maximise",
    "precision_at_1": "maximise",
    "precision_at_3": "maximise",
    "precision_at_5": "maximise",
}
