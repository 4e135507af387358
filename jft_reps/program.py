"""What every program does around its work: flags, one-line errors, exit codes, TensorFlow's log.

`apps/` has the library's programs; the quickstart and the benchmarks of `experiments/` are others.
"""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence

from absl import flags, logging

from jft_reps import environment
from jft_reps.errors import ClusterError, ConfigError, JftError, StorageError, printable


def run(main: Callable[[Sequence[str]], int | None], argv: Sequence[str] | None = None) -> int:
  """Runs a program and turns what went wrong into one line on stderr and an exit code.

  Args:
    main: takes the arguments, program name first.
    argv: instead of the process's own.
  """
  environment.set_defaults()
  argv = list(sys.argv if argv is None else argv)
  if not flags.FLAGS.is_parsed():
    flags.FLAGS(argv[:1])  # absl's logging asks; our programs have flag values of their own
  logging.use_absl_handler()
  logging.set_verbosity(logging.WARNING)
  try:
    return main(argv) or 0
  except ClusterError as e:
    print(f"jft_reps: {e}", file=sys.stderr, flush=True)
    sys.stdout.flush()
    os._exit(e.exit_code)  # TensorFlow would wait for ever for a task that does not answer
  except JftError as e:
    print(f"jft_reps: {e}", file=sys.stderr)
    return e.exit_code
  except flags.Error as e:
    print(f"jft_reps: error[flags]: {e}", file=sys.stderr)
    return 1
  except BrokenPipeError:
    # The reader of our output has gone, e.g. `| head`.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
  except KeyboardInterrupt:
    return 130


def log_tensorflow_to(path: str | os.PathLike[str]) -> None:
  """Sends what TensorFlow's C++ code prints to a file; Python's stderr stays where it is.

  In-process servers print a page each as they start and end, which nobody can switch off.

  Raises:
    StorageError: the file cannot be written.
  """
  try:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
  except OSError as e:
    raise StorageError("workdir", path, e.strerror or str(e), "a folder to write to",
                       "Choose another --workdir, or make it writable.") from e
  sys.stderr.flush()
  terminal = os.dup(2)
  os.dup2(file, 2)
  os.close(file)
  sys.stderr = os.fdopen(terminal, "w", buffering=1)
  logging.get_absl_handler().python_handler.stream = sys.stderr


def parse(values: flags.FlagValues, argv: Sequence[str], description: str,
          required: Sequence[str] = ()) -> None:
  """Parses a program's own flags; prints its help and ends where asked.

  Args:
    values: takes what is parsed.
    argv: program name first.
    description: stands above the flags in the help.
    required: names of flags that must have a value.

  Raises:
    ConfigError: an argument that is no flag, or a required flag without a value.
  """
  if {"--help", "-h", "--helpshort", "-help"} & set(argv[1:]):
    print(f"{description.strip()}\n")
    print("\n".join(_help(values)))
    raise SystemExit(0)
  values.unparse_flags()  # of an earlier call in this process
  stray = values(list(argv))[1:]
  if stray:
    raise ConfigError("flags", printable(stray[0]), "an argument that is no flag",
                      fix="Write --flag=value; see --help.")
  for name in required:
    if not values[name].value:
      raise ConfigError("flags", f"--{name}", "missing", "a value", "See --help.")


def _help(values: flags.FlagValues) -> Iterator[str]:
  """A flag and what it is for, on as few lines as it takes; without what absl says of types."""
  for name in sorted(values):
    flag = values[name]
    if flag.boolean:
      shown = f"--[no]{name}" if flag.default else f"--{name}"
    else:
      choices = getattr(flag.parser, "enum_values", None)
      default = flag.default_as_str.strip("'") if flag.default not in (None, "", [], 0) else ""
      shown = f"--{name}=" + (default or ("|".join(choices) if choices else name.upper()))
    said = re.sub(r"^<[^>]*>: ", "", flag.help)  # absl says the choices once more
    yield from textwrap.wrap(f"{shown}  {said}", 99, initial_indent="  ",
                             subsequent_indent="      ", break_on_hyphens=False)
