"""From a run directory to a model: everything in it is checked before it is used."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxnet.data import dataset, sparse_sets
from jaxnet.data.new_rows import FORMAT, Ready
from jaxnet.errors import JaxnetError, RunDirectoryError
from jaxnet.inference.model import Model
from jaxnet.nn import activations, embedding
from jaxnet.nn.embedding import Network
from jaxnet.outputs import model_file, records, run_directory
from jaxnet.outputs.run_directory import RunDirectory
from jaxnet.training import head_step
from jaxnet.training.tasks import TASKS, find_task

_PRECISIONS = ("float32", "bfloat16", "float16")
_HEAD_WEIGHTS = ("float32", "bfloat16")  # older descriptions say nothing: float32
_PARAMETRISATIONS = ("standard", "ntk")


def load(directory: str | Path) -> Model:
    """The model of a finished run.

    Args:
        directory: a run directory, as `jaxnet.train` and `jaxnet train` leave it.

    Raises:
        RunDirectoryError: it is no run, the run did not finish, a file is damaged, or it was
            written by a version whose models this one does not read.
    """
    run = run_directory.open_existing(directory)
    if not (run.model / model_file.DESCRIPTION).exists():
        raise RunDirectoryError(f"{run.path}: holds no model; {records.what_next(run)}")
    saved = model_file.load(run.model)
    schema = records.read_json(run.schema)
    with _damage(run, run.model / model_file.DESCRIPTION):
        _check_description(saved.description)
        network = _network(saved.description, saved.arrays)
    with _damage(run, run.schema):
        _need(not records.has_half_pairs(schema), "it holds a half of a surrogate pair")
        known = _ready(run.schema, schema)
        _check_schema(schema, known, saved.description)
        _need(saved.schema in (None, records.digest(schema)), "not the one that the model had")
    return Model(network, saved.description, schema, known)


@contextmanager
def _damage(run: RunDirectory, path: Path) -> Iterator[None]:
    """Whatever a damaged record makes go wrong, in words."""
    try:
        yield
    except RunDirectoryError:
        raise
    except (JaxnetError, KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        why = f"no key {error}" if isinstance(error, KeyError) else str(error)
        raise RunDirectoryError(
            f"{path}: damaged ({why}); restore the file from a copy, or make it again: "
            f"{records.resuming_command(run)}"
        ) from error


def _need(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)


def _check_description(said: Mapping[str, Any]) -> None:
    """Names that are registered, sizes that are sizes, numbers that are numbers."""
    _need(said["task"] in TASKS, "task is unknown")
    _need(said["activation"] in activations.ACTIVATIONS, "activation is unknown")
    known = (find_task(said["task"]).activation, "softmax", *activations.ACTIVATIONS)
    _need(said["output_activation"] in known, "output_activation is unknown")
    _need(said["parametrisation"] in _PARAMETRISATIONS, "parametrisation is unknown")
    _need(said["precision"] in _PRECISIONS, "precision is unknown")
    _need(said.get("head_weights", "float32") in _HEAD_WEIGHTS, "head_weights are unknown")
    sizes = said["sizes"]
    _need(isinstance(sizes, list) and len(sizes) > 1 and _are_sizes(sizes), "sizes are no sizes")
    for pair in said.get("embeddings", ()):
        _need(len(pair) == 2 and _are_sizes(pair), "embeddings are not (slots, width)")
    temperature = said.get("temperature", 1.0)
    _need(_is_number(temperature) and temperature > 0, "temperature is not above 0")
    _check_thresholds(said["task"], sizes[-1], said.get("thresholds"))
    _check_kind(said)


def _check_kind(said: Mapping[str, Any]) -> None:
    """What only models of sparse rows, and of heads that keep no logits, say of themselves."""
    _need(said.get("inputs", sparse_sets.KIND) == sparse_sets.KIND, "inputs are unknown")
    sparse = "inputs" in said
    _need(not sparse or said["task"] == "multilabel", "sparse inputs of a task that has none")
    _need(not sparse or not said.get("embeddings"), "embeddings of sparse inputs")
    if "head" not in said:
        return
    _need(said["head"] == "linear_blocks", "head is unknown")
    _need(said["task"] == "multilabel" and said["loss"] in head_step.HEADS, "head of another loss")
    _need(said["output_activation"] == "sigmoid", "head of another output_activation")
    _need(not sparse or len(said["sizes"]) > 2, "head without a hidden layer before it")
    _need(said.get("temperature", 1.0) == 1.0, "head with a temperature")
    _need(not isinstance(said.get("thresholds"), list), "head with several thresholds")


def _check_thresholds(task: str, outputs: int, thresholds: Any) -> None:
    if thresholds is None:
        return
    found = thresholds if isinstance(thresholds, list) else [thresholds]
    _need(task != "multiclass", "thresholds of a task that has none")
    _need(all(map(_is_number, found)), "thresholds are no numbers")
    several = isinstance(thresholds, list)
    _need(not several or (task == "multilabel" and len(found) == outputs), "not one threshold each")


def _are_sizes(numbers: Any) -> bool:
    return all(isinstance(n, int) and not isinstance(n, bool) and n > 0 for n in numbers)


def _is_number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _network(said: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Network:
    """The parameters, once they are those that the sizes ask for, no more and no less."""
    head = f"layers.{len(said['sizes']) - 2}.W"
    for name, array in arrays.items():
        dtype = said.get("head_weights", "float32") if name == head else "float32"
        _need(array.dtype.name == dtype, f"{name} is {array.dtype}, not {dtype}")
        _need(bool(np.isfinite(array).all()), f"{name} holds numbers that are not finite")
    network = embedding.from_named(arrays)
    _need(set(embedding.named(network)) == set(arrays), "its arrays have other names")
    draw = partial(
        embedding.init,
        sizes=said["sizes"],
        embeddings=[tuple(pair) for pair in said.get("embeddings", ())],
        numeric=tuple(arrays["waves.v"].shape) if network.waves else (0, 0),
        bag_spread=1.0 if "inputs" in said else None,
    )
    expected = jax.eval_shape(draw, jax.random.key(0))
    _need(_shapes(network) == _shapes(expected), "its arrays have other shapes than its sizes say")
    return network


def _shapes(network: Network) -> list[tuple[str, tuple[int, ...]]]:
    """Where each array stands in the network, and its shape."""
    leaves = jax.tree_util.tree_leaves_with_path(network)
    return [(jax.tree_util.keystr(place), tuple(array.shape)) for place, array in leaves]


def _ready(path: Path, schema: Any) -> Ready | sparse_sets.Ready:
    """The schema made ready to encode."""
    _need(isinstance(schema, dict), "not a mapping")
    found = schema.get("format")
    if found != FORMAT:
        raise RunDirectoryError(
            f"{path}: format {found!r}, and this version of jaxnet reads format {FORMAT}: "
            f"train again, or use the version that trained it"
        )
    return dataset.encoder(schema)


def _check_schema(
    schema: Mapping[str, Any], known: Ready | sparse_sets.Ready, said: Mapping[str, Any]
) -> None:
    """The schema and the network were made for each other, and its keys are what they should be."""
    _need(schema["task"] == said["task"], "its task is not the model's")
    classes, names = schema["classes"], schema["class_names"]
    _need(isinstance(classes, list) and isinstance(names, list), "classes are no list")
    _need(all(isinstance(label, bool | int | str) for label in classes), "classes are no classes")
    _need(len({type(label) for label in classes}) == 1, "classes of several kinds")
    _need(len({str(label) for label in classes}) == len(classes) == len(names), "classes twice")
    outputs = find_task(said["task"]).outputs(len(classes))
    _need(outputs == said["sizes"][-1], "the model has another number of classes")
    sparse = isinstance(known, sparse_sets.Ready)
    _need(sparse == ("inputs" in said), "its rows are not the model's")
    _need(known.width == said["sizes"][0], "the model has another number of inputs")
    mine = [list(pair) for pair in schema["embeddings"]]
    _need(mine == [list(pair) for pair in said.get("embeddings", ())], "other embeddings")
    if sparse:
        counts, rows = sparse_sets.counts_of(schema)
        _need(
            counts.shape == (len(classes),) and bool((counts >= 0).all()) and rows > 0,
            "train_counts",
        )
    target = schema["target"]
    _need(isinstance(schema["named"], bool), "named is neither true nor false")
    separator = target["separator"]
    _need(separator is None or (isinstance(separator, str) and separator != ""), "separator")
    for each in (names, schema["identifiers"], schema["missing"], target["columns"]):
        _need(isinstance(each, list) and all(isinstance(n, str) for n in each), "no names")
