"""What the programs share: the configuration that flags name, and `jft-reps <program>`."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags

import jft_reps
from jft_reps.errors import ConfigError, printable
from jft_reps.program import log_tensorflow_to, parse, run

if TYPE_CHECKING:
  from jft_reps.data.hierarchy.graph import Hierarchy
  from jft_reps.workflows.configuration import Resolved

__all__ = ["PROGRAMS", "hierarchy", "log_tensorflow_to", "main", "parse", "resolve", "run",
           "split_overrides"]

PROGRAMS = ("train", "evaluate", "probe", "export", "build_records", "validate", "noise_sheet",
            "subset", "dedup", "verify_init", "hierarchy", "study", "report", "doctor",
            "forecast")


def hierarchy(values: flags.FlagValues, **arguments: Any) -> Hierarchy | None:
  """The label hierarchy of `--hierarchy` and `--hierarchy_format`, or None.

  Args:
    values: of the program's flags.
    **arguments: of the form's reader.

  Raises:
    JftError: the form is not given, or the file does not hold a hierarchy of it.
  """
  if not values.hierarchy:
    return None
  if not values.hierarchy_format:
    raise ConfigError("flags", "--hierarchy_format", "missing", "the form of the hierarchy")
  from jft_reps.data.hierarchy import readers

  return readers.read(values.hierarchy, values.hierarchy_format, **arguments)


def split_overrides(argv: Sequence[str]) -> tuple[list[str], dict[str, str]]:
  """Takes `--config.a.b=value` out of the arguments."""
  rest, overrides = [], {}
  for argument in argv:
    name, equals, value = argument.lstrip("-").partition("=")
    if argument.startswith("-") and name.startswith("config."):
      if not equals:
        raise ConfigError("flags", argument, "no value", "--config.key=value")
      overrides[name.removeprefix("config.")] = value
    else:
      rest.append(argument)
  return rest, overrides


def resolve(argv: Sequence[str], values: flags.FlagValues, description: str,
            trained: bool = False) -> Resolved:
  """The configuration that the flags name, overridden, with its run directory.

  Args:
    argv: of the program.
    values: its flags, with `config`, `workdir` and `records`.
    description: stands above the flags in the help.
    trained: the run is there, and knows its configuration; one that is given besides is compared.
  """
  argv, overrides = split_overrides(argv)
  parse(values, argv, description, required=("workdir",) if trained else ("config", "workdir"))
  from jft_reps.workflows import configuration

  records = values.records or ""
  found = (configuration.resolve(values.config, overrides, records) if values.config else
           configuration.of_run(values.workdir, overrides, records))
  if trained and values.config:
    for difference in configuration.differences(found.config, values.workdir):
      print(f"jft_reps: {printable(difference, 300)}", file=sys.stderr)
  return dataclasses.replace(found, config=configuration.placed(found.config, values.workdir))


def main() -> None:
  """`jft-reps <program> …`, the same as `python -m jft_reps.apps.<program> …`."""
  asked = sys.argv[1] if len(sys.argv) > 1 else ""
  if asked == "--version":
    print(f"jft-reps {jft_reps.__version__}")
    sys.exit(0)
  if asked not in PROGRAMS:
    helped = asked in ("--help", "-h")
    print(usage(), file=sys.stdout if helped else sys.stderr)
    sys.exit(0 if helped else 1)
  program = importlib.import_module(f"jft_reps.apps.{asked}")
  sys.exit(run(program.main, [f"jft-reps {asked}", *sys.argv[2:]]))


def usage() -> str:
  """The programs, each with the first sentence of its file, which is read and not imported."""
  lines = ["usage: jft-reps PROGRAM [--help] …", "       jft-reps --version", ""]
  for name in PROGRAMS:
    file = pathlib.Path(__file__).with_name(f"{name}.py")
    described = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or ""
    lines.append(f"  {name:14} {described.partition(chr(10))[0]}")
  return "\n".join(lines)
