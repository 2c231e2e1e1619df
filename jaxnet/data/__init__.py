"""From files to arrays on the host: labels checked, rows split, features encoded. Knows no jax.

prepare(task, source=... | train=...) -> Dataset       from_frames(x, y) -> Dataset
encode_frame(schema, x) -> inputs of the network       labels_of(schema, x) -> labels
"""

from jaxnet.data.builtin import BUILTIN_SOURCES as BUILTIN_SOURCES
from jaxnet.data.dataset import Dataset as Dataset
from jaxnet.data.dataset import encode_frame as encode_frame
from jaxnet.data.dataset import encoder as encoder
from jaxnet.data.dataset import from_frames as from_frames
from jaxnet.data.dataset import from_tables as from_tables
from jaxnet.data.dataset import labels_of as labels_of
from jaxnet.data.dataset import prepare as prepare
from jaxnet.data.table import Table as Table
