r"""Checks, shows and measures label hierarchies.

  python -m jft_reps.apps.hierarchy check|show|closure|stats --hierarchy=FILE --format=FORMAT

check    one line per finding; exit code 0, or 2 if it is no hierarchy
show     the nodes below --node (or below all roots) as a tree, --depth levels of it
closure  all pairs of a node and one of its ancestors, `node<TAB>ancestor`
stats    one JSON object of counts

FORMAT is edges, mlimages, openimages or is_a; see jft_reps/data/hierarchy/readers.py.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from absl import flags

from jft_reps import whole_files
from jft_reps.data.hierarchy import display, readers
from jft_reps.data.hierarchy import graph as hierarchy_lib
from jft_reps.data.hierarchy.graph import Hierarchy
from jft_reps.errors import ConfigError, JftError, StorageError, printable

# Own flags, so that one process can import several programs.
FLAGS = flags.FlagValues()
_HIERARCHY = flags.DEFINE_string(
    "hierarchy", None, "File to read.", flag_values=FLAGS)
_FORMAT = flags.DEFINE_enum(
    "format", None, readers.FORMATS, "Its form.", flag_values=FLAGS)
flags.DEFINE_boolean(
    "header", None, "edges: whether the first line is a header (default: if it reads like one).",
    flag_values=FLAGS)
flags.DEFINE_string(
    "order", None, "edges: 'child,parent' or 'parent,child', with ',name' if there is a third "
    "column.", flag_values=FLAGS)
flags.DEFINE_enum(
    "separator", None, ["comma", "tab", "space"], "edges: between columns (default: as the first "
    "line has it).", flag_values=FLAGS)
flags.DEFINE_enum(
    "roots", None, ["auto", "declared", "implied"], "edges: whether a node without parents needs "
    "a line with an empty parent.", flag_values=FLAGS)
flags.DEFINE_string("names", None, "File of id,name lines.", flag_values=FLAGS)
flags.DEFINE_string("nodes", None, "Label map: the classes in their order.", flag_values=FLAGS)
flags.DEFINE_boolean(
    "parts", None, "openimages: whether a part is below its whole.", flag_values=FLAGS)
_NODE = flags.DEFINE_string("node", None, "show: the top node.", flag_values=FLAGS)
_DEPTH = flags.DEFINE_integer(
    "depth", 2, "show: levels below the top.", lower_bound=0, upper_bound=100, flag_values=FLAGS)
_IDS = flags.DEFINE_enum(
    "ids", "id", ["id", "index", "name"], "closure: what stands for a node.", flag_values=FLAGS)
_OUTPUT = flags.DEFINE_string("output", None, "File instead of stdout.", flag_values=FLAGS)
_MAX_PAIRS = flags.DEFINE_integer(
    "max_pairs", hierarchy_lib.MAX_PAIRS, "closure: refuse to list more.", flag_values=FLAGS)
flags.DEFINE_boolean("help", False, "Show this help.", short_name="h", flag_values=FLAGS)
FLAGS.set_gnu_getopt(True)

_READER_FLAGS = ("header", "order", "separator", "roots", "names", "nodes", "parts")


def main(argv: Sequence[str]) -> int:
  """Runs one subcommand and returns its exit code; what is wrong goes to stderr in one line."""
  try:
    return _run(argv)
  except JftError as error:
    print(printable(error, 2000), file=sys.stderr)
    return error.exit_code
  except BrokenPipeError:  # `| head` has seen enough
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def run() -> None:
  """Entry point of the console."""
  for stream in (sys.stdout, sys.stderr):
    if isinstance(stream, io.TextIOWrapper):
      stream.reconfigure(errors="backslashreplace")  # terminals without UTF-8
  sys.exit(main(sys.argv))


def _run(argv: Sequence[str]) -> int:
  commands: dict[str, Callable[[], Iterator[str]]] = {
      "show": lambda: display.tree(_read(), _NODE.value, _DEPTH.value),
      "closure": lambda: display.pairs(_read(), _IDS.value, _MAX_PAIRS.value),
      "stats": lambda: iter([json.dumps(_read().stats())]),
  }
  FLAGS.unparse_flags()
  try:
    _, *words = FLAGS(list(argv))
  except flags.Error as error:
    raise ConfigError("bad-flag", "command line", printable(error)) from None
  if FLAGS.help:
    print(f"{__doc__}\n{FLAGS.get_help()}")
    return 0
  if len(words) != 1 or words[0] not in ("check", *commands):
    raise ConfigError(
        "bad-command", "command line", printable(" ".join(words)) or "no subcommand",
        "one of check, show, closure, stats", "See --help.")
  for flag in (_HIERARCHY, _FORMAT):
    if flag.value is None:
      raise ConfigError("missing-flag", f"--{flag.name}", "not given", "a value", "See --help.")
  with _output(_OUTPUT.value) as out:
    if words[0] == "check":
      return _check(out)
    out.writelines(f"{line}\n" for line in commands[words[0]]())
  return 0


def _arguments() -> dict[str, object]:
  return {name: FLAGS[name].value for name in _READER_FLAGS if FLAGS[name].value is not None}


def _read() -> Hierarchy:
  return readers.read(_HIERARCHY.value, _FORMAT.value, **_arguments())


def _check(out: IO[str]) -> int:
  found = display.check(readers.parse(_HIERARCHY.value, _FORMAT.value, **_arguments()))
  out.writelines(f"note: {note}\n" for note in found.notes)
  out.flush()
  for finding in found.findings:
    print(printable(finding, 2000), file=sys.stderr)
  if found.findings:
    return found.findings[0].exit_code
  out.write(f"ok: {found.nodes} nodes, {found.edges} edges\n")
  return 0


@contextlib.contextmanager
def _output(path: str | None) -> Iterator[IO[str]]:
  """Stdout, flushed, or a file that appears whole or not at all."""
  if path is not None:
    with whole_files.replacing(path) as out:
      yield out
    return
  try:
    yield sys.stdout
    sys.stdout.flush()
  except BrokenPipeError:
    raise
  except OSError as error:
    raise StorageError(
        "write-failed", "stdout", printable(error.strerror), "space to write") from None


if __name__ == "__main__":
  run()
