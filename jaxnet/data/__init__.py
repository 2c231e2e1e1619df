"""From files to arrays on the host: labels checked, rows split, features encoded. Knows no jax.

prepare(task, source=... | train=...) -> Dataset       from_tables(table, test) -> Dataset
encode(schema, x) -> inputs of the network             encode_labels(schema, y) -> targets
"""

from jaxnet.data.builtin import BUILTIN_SOURCES as BUILTIN_SOURCES
from jaxnet.data.dataset import Dataset as Dataset
from jaxnet.data.dataset import encode as encode
from jaxnet.data.dataset import encode_labels as encode_labels
from jaxnet.data.dataset import from_tables as from_tables
from jaxnet.data.dataset import prepare as prepare
from jaxnet.data.labels import decode as decode
from jaxnet.data.table import Table as Table
