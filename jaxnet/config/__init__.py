"""The typed config of a run: loading, checking, showing. Knows no jax.

load_config(path_or_mapping, overrides) -> Config, or a ConfigError with every problem
dump_yaml(config) -> the resolved config as text
json_schema() -> the schema for editors
"""

from jaxnet.config.dump import dump_yaml as dump_yaml
from jaxnet.config.load import load_config as load_config
from jaxnet.config.names import ACTIVATIONS as ACTIVATIONS
from jaxnet.config.names import BUILTIN_SOURCES as BUILTIN_SOURCES
from jaxnet.config.names import INITS as INITS
from jaxnet.config.names import LOSS_NAMES as LOSS_NAMES
from jaxnet.config.names import METRIC_DIRECTIONS as METRIC_DIRECTIONS
from jaxnet.config.names import METRICS as METRICS
from jaxnet.config.names import OPTIMIZERS as OPTIMIZERS
from jaxnet.config.names import OUTPUT_ACTIVATIONS as OUTPUT_ACTIVATIONS
from jaxnet.config.names import SCHEDULES as SCHEDULES
from jaxnet.config.names import TASK_ACTIVATIONS as TASK_ACTIVATIONS
from jaxnet.config.names import TASKS as TASKS
from jaxnet.config.schema import CheckpointsConfig as CheckpointsConfig
from jaxnet.config.schema import Config as Config
from jaxnet.config.schema import DataConfig as DataConfig
from jaxnet.config.schema import EarlyStoppingConfig as EarlyStoppingConfig
from jaxnet.config.schema import LossConfig as LossConfig
from jaxnet.config.schema import ModelConfig as ModelConfig
from jaxnet.config.schema import OptimizerConfig as OptimizerConfig
from jaxnet.config.schema import ScheduleConfig as ScheduleConfig
from jaxnet.config.schema import SplitConfig as SplitConfig
from jaxnet.config.schema import TrainingConfig as TrainingConfig
from jaxnet.config.schema import json_schema as json_schema
