"""`jaxnet config init | show | check | schema`: make a config, or look at one."""

from __future__ import annotations

import argparse
import json
from typing import Any

from jaxnet.cli import config_init
from jaxnet.cli.output import emit
from jaxnet.cli.parser import UsageError, add_items, split_items

# What `config show` fills in when no file is named.
_EXAMPLE = {"task": "binary", "data": {"source": "breast_cancer"}}


def add_parser(subparsers: Any) -> None:
    """Add the command and its parts to the parser."""
    parser = subparsers.add_parser(
        "config",
        help="make a config for a file, show or check one, or print the JSON schema",
        description="Make a config for a file of rows, or look at one without running it.",
    )
    parser.set_defaults(parser=parser)
    parts = parser.add_subparsers(metavar="COMMAND")
    config_init.add_parser(parts)
    _add(parts, "show", show, "print a config with every default and what each key means")
    _add(parts, "check", check, "say whether a config is sound, or everything that is wrong")
    _add(parts, "schema", schema, "print the JSON schema of every config, for editors")


def _add(parts: Any, name: str, run: Any, text: str) -> None:
    needed = name == "check"
    config = "CONFIG" if needed else "[CONFIG]"
    part = parts.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        usage=f"jaxnet config {name} {config} [key.path=value ...]",
    )
    add_items(part, needed=needed)
    part.set_defaults(run=run, parser=part)


def show(args: argparse.Namespace) -> int:
    """Print the resolved config; without a file, the defaults."""
    from jaxnet.config import dump_yaml, load_config

    path, overrides = split_items(args.items)
    emit(dump_yaml(load_config(_EXAMPLE if path is None else path, overrides)))
    return 0


def check(args: argparse.Namespace) -> int:
    """Say `ok`, or raise every problem."""
    path, overrides = split_items(args.items)
    if path is None:
        raise UsageError("config check needs a CONFIG; see 'jaxnet config check --help'")
    from jaxnet.config import load_config

    load_config(path, overrides)
    emit(f"{path}: ok")
    return 0


def schema(args: argparse.Namespace) -> int:
    """Print the JSON schema. It is the same for every config, so a named one changes nothing."""
    from jaxnet.config import json_schema

    emit(json.dumps(json_schema(), indent=2))
    return 0
