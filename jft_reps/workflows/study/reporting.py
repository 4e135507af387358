"""The pages that a plan's Python file has for a study, and what of the study they need."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
from collections.abc import Mapping, Sequence

import jft_reps
from jft_reps.errors import ConfigError, printable
from jft_reps.studies.report import rows
from jft_reps.studies.running import archive as archives
from jft_reps.workflows import configuration

OURS = pathlib.Path(jft_reps.__file__).resolve().parents[1] / "experiments"


def named_plan(reference: str, studies: Sequence[str]) -> str:
  """What a study says it was made from, `<file>.py[:part,…]`, if the file may be run.

  Studies and archives may come from anywhere, so what they name is only taken from `experiments/`
  of the clone that the library lies in.

  Raises:
    ConfigError: it may not.
  """
  name, *parts = reference.partition(":")
  name = os.path.realpath(OURS.parent / name) if name.isprintable() and name else ""
  if not name or not pathlib.Path(name).is_relative_to(OURS):
    raise ConfigError("plan", studies[0], f"its plan is {printable(reference)!r}" if name else
                      "it names no plan", f"a file of {OURS}",
                      "Give --plan, the file with its pages; it is run.")
  return "".join([name, *parts])


def load_pages(reference: str, overrides: Mapping[str, str] | None = None) -> Sequence:
  """The pages of a plan `<file>.py[:part,…]`: `pages(config)` of its configuration, else PAGES.

  Raises:
    ConfigError: no such file, it does not run, it refuses the overrides, or it has no pages.
  """
  file = reference.partition(":")[0]
  module = configuration.load_module(file)
  pages = getattr(module, "PAGES", None)
  if hasattr(module, "pages"):
    config, _ = configuration.read_config(reference)
    configuration.override(config, overrides or {})
    try:
      pages = module.pages(config)
    except (ValueError, KeyError, AttributeError, TypeError) as error:
      raise ConfigError("plan", printable(reference), f"{type(error).__name__}: "
                        f"{printable(error)}", "a configuration that its pages can show") from error
  if not isinstance(pages, Sequence) or isinstance(pages, str) or not pages:
    raise ConfigError("plan", printable(file), "no pages(config) and no PAGES",
                      "a sequence of pages", "See jft_reps/studies/report/pages.py.")
  return pages


def noting_changes(study, reference: str, overrides: Mapping[str, str], publish: bool):
  """The study with a note if its pages are of another configuration than it was run with.

  Raises:
    ConfigError: they are, and what they say is to be published.
  """
  module = configuration.load_module(reference.partition(":")[0])
  if not study.config or not hasattr(module, "pages"):
    return study
  config, _ = configuration.read_config(reference)
  configuration.override(config, overrides)
  now = configuration.values(configuration.whole(config, module))
  changed = [f"{key}={study.config.get(key)} in place of {now.get(key)}"
             for key in {**study.config, **now} if study.config.get(key) != now.get(key)]
  if not changed:
    return study
  more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
  told = f"was run with {printable(', '.join(changed[:5]), 600)}{more}"
  if publish:
    raise ConfigError("plan", printable(reference), f"the study {told}",
                      "the configuration that it was run with", "Its pages would say what is not "
                      "so: leave out --results, or give the --plan and --config of the study.")
  print(f"report: the pages are of {printable(reference)}, but the study {told}", file=sys.stderr)
  return dataclasses.replace(study, notes=[
      *study.notes, f"The pages are of another configuration: the study {told}."])


def write_archive(study, pages: Sequence, directory: str) -> list[str]:
  """Keeps of a study what the pages need; returns the files."""

  detailed = {result.id for page in pages if page.gained
              for _, result in rows.members(page.restricted(page.gained), study.results)}
  return archives.write(directory, study, ("definitions.json",), detailed)
