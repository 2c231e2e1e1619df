"""The `jaxnet` command: parse the call, run the command, turn errors into exit codes."""

from __future__ import annotations

import argparse
import errno
import os
import sys
import traceback
from collections.abc import Sequence

from jaxnet import __version__
from jaxnet.cli import config, debug, evaluate, gradcheck, predict, report, runs, train
from jaxnet.cli.output import complain, drop, finish, note, prepare_streams
from jaxnet.cli.parser import Parser, parse
from jaxnet.cli.signals import AGAIN, heard, in_words
from jaxnet.errors import JaxnetError, Stopped
from jaxnet.printable import shell_word

_EPILOG = """\
examples:
  jaxnet train configs/binary.yaml
  jaxnet train configs/binary.yaml optimizer.learning_rate=1e-2 --run-dir runs/faster
  jaxnet evaluate runs/faster new.csv
  jaxnet predict runs/faster new.csv --output predictions.csv
  jaxnet report runs/faster
  jaxnet runs
  jaxnet train --run-dir runs/faster --resume
  jaxnet debug runs/failed
  jaxnet config check my.yaml
  jaxnet config show my.yaml
  jaxnet gradcheck
  jaxnet doctor

exit codes:
  0    done
  1    the run failed, or a check did
  2    a mistake in the call, the config or the data
  75   training was stopped by a signal, after a checkpoint: go on with --resume
  129  hung up
  130  interrupted
  143  terminated

'jaxnet COMMAND --help' explains a command.
"""
_WITH_JAX = {command.__name__ for command in (train, evaluate, predict, debug, gradcheck)}
# Conditions of the machine: not a mistake of the program, so without its traceback.
_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the words after `jaxnet`; those of the process when None.

    Returns:
        The exit code: 0; 1 when a run failed; 2 for a mistake of the user; 75 for a run that a
        signal stopped after a checkpoint, 128 + its number without one.
    """
    prepare_streams()
    # Before jax is imported: jaxlib 0.10 raises a false alarm for each program from its cache.
    # A process that has imported jax hands down the level 1 that jax sets: that is no one's wish.
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "1") == "1":
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except SystemExit as leaving:  # --help and --version
        return leaving.code if isinstance(leaving.code, int) else 0
    except JaxnetError as error:
        complain(error)
        return error.exit_code
    except Stopped as stop:
        complain(_stopped(stop))
        return stop.exit_code
    except KeyboardInterrupt:
        complain("interrupted")
        return 130
    except BrokenPipeError:
        drop(sys.stdout)
        drop(sys.stderr)
        return 1
    except Exception as error:
        return _unexpected(error)
    finally:
        finish()


def _run(argv: Sequence[str]) -> int:
    parser = build_parser()
    args = parse(parser, argv)
    if not hasattr(args, "run"):
        getattr(args, "parser", parser).error("a command is missing")
    if args.run.__module__ in _WITH_JAX or args.run is _doctor:
        from jaxnet.training.free_memory import refuse_no_room_for_jax

        refuse_no_room_for_jax()
    with heard() as args.poll:
        code: int = args.run(args)
    return code


def _stopped(stop: Stopped) -> str:
    what = in_words(stop.signal)
    notes = "".join(f"; {note}" for note in getattr(stop, "__notes__", ()))
    if stop.saved is None:
        return what + (notes or AGAIN)
    return f"{what}; to go on: jaxnet train --run-dir {shell_word(stop.saved)} --resume"


def _unexpected(error: Exception) -> int:
    if isinstance(error, OSError) and error.errno in _MACHINE:
        complain(error)
        return 1
    said = str(error)
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in said:  # of the device, by XLA
        from jaxnet.training import memory

        complain(memory.translated(error) or said)
        return 1
    if isinstance(error, RuntimeError) and said.startswith("Unable to initialize backend"):
        complain(f"jax finds no such device: {said}; see 'jaxnet doctor'")
        return 2
    if isinstance(error, RuntimeError) and said == "can't start new thread":
        complain(
            "the system starts no more threads for this process: see the limits of memory and of "
            "processes (ulimit -v, ulimit -d, ulimit -u)"
        )
        return 1
    note(traceback.format_exc().rstrip("\n"))
    kind = type(error).__name__
    complain(f"this is a bug in jaxnet ({kind}: {error}); please report it with the lines above")
    return 1


def build_parser() -> Parser:
    """The parser of every command."""
    parser = Parser(
        prog="jaxnet",
        description="Train feedforward classifiers in JAX from one config.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"jaxnet {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND")
    for command in (train, evaluate, predict, report, runs, debug):
        command.add_parser(commands)
    config.add_parser(commands)
    gradcheck.add_parser(commands)
    _add_doctor(commands)
    return parser


def _add_doctor(commands: argparse._SubParsersAction[Parser]) -> None:
    parser = commands.add_parser(
        "doctor",
        help="look at the installation: versions, devices, a check of the sums",
        description="Look at the installation: versions, devices, threads, a check that the CPU "
        "adds up, the compilation cache, and what is missing.",
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.set_defaults(run=_doctor, parser=parser)


def _doctor(args: argparse.Namespace) -> int:
    from jaxnet.cli import doctor

    return doctor.run(args)


if __name__ == "__main__":
    sys.exit(main())
