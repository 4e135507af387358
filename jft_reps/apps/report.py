r"""Turns study directories into tables, plots, fits and sentences.

  python -m jft_reps.apps.report --study=DIR[,DIR2] [--plan=experiments/paper.py:miniature]
      [--output=DIR/report] [--results=experiments/results] [--readme=README.md]

Writes report.html, one file to read or send, and report.md with its pictures, a section per table
and figure of the plan's pages; a study may be half done or still running. --results writes one CSV
per page as well, and --readme brings the blocks between `<!-- results:NAME -->` and `<!-- end -->`
to what these CSVs say. --archive keeps the runs, their numbers and run cards without their weights,
in two files; --study takes archives too.

The plan is a Python file that is run. Where --plan is missing it is the one that the study names,
if that is in experiments/ of the clone that the library lies in. Its configuration has the
overrides of the study, and then --config.KEY=VALUE.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
import sys
from collections.abc import Mapping, Sequence

from absl import flags

import jft_reps
from jft_reps.apps import command_line, configuration
from jft_reps.errors import ConfigError, StorageError, printable

OURS = pathlib.Path(jft_reps.__file__).resolve().parents[1] / "experiments"
FLAGS = flags.FlagValues()
flags.DEFINE_list("study", [], "Work directories and archives of studies, shown together.",
                  flag_values=FLAGS)
flags.DEFINE_string("plan", "", "<file>.py[:part,…]: a module with pages(config) or PAGES.",
                    flag_values=FLAGS)
flags.DEFINE_string("output", "", "Folder for the report (default: `report` in the first study).",
                    flag_values=FLAGS)
flags.DEFINE_string("results", "", "Folder for a CSV per page, and one of all runs.",
                    flag_values=FLAGS)
flags.DEFINE_string("archive", "", "Folder for the study without its weights.", flag_values=FLAGS)
flags.DEFINE_string("readme", "", "README with markers.", flag_values=FLAGS)


def main(argv: Sequence[str]) -> int:
  from jft_reps.apps.train import split_overrides

  argv, overrides = split_overrides(argv)
  command_line.parse(FLAGS, argv, __doc__)
  if not FLAGS.study:
    raise ConfigError("flags", "--study", "missing", "work directories or archives of studies",
                      "See --help.")
  if FLAGS.readme and not FLAGS.results:
    raise ConfigError("flags", "--results", "missing", "the folder with the README's results")
  from jft_reps.studies import report_files, report_runs, report_sections, study_archive

  study = study_archive.opened(FLAGS.study)
  reference = FLAGS.plan or named_plan(study.plan, FLAGS.study)
  overrides = {**study.overrides, **overrides}
  pages = load_pages(reference, overrides)
  report_sections.check(pages)
  study = _noting_changes(study, reference, overrides)
  output = FLAGS.output or _inside(FLAGS.study[0])
  title = f"Study: {printable(study.plan or FLAGS.plan)}"
  sections = report_files.write(study, pages, output, title)
  print(f"{output}/report.html: {len(sections)} pages, {report_runs.counts(study.results)}")
  for section in sections:
    print(f"  {section.name:24} {section.counts}")
  if FLAGS.results:
    plan = pathlib.Path(reference.partition(":")[0]).stem
    runs = pathlib.Path(FLAGS.results) / f"{plan}_runs.csv"
    for path in [*report_files.write_results(sections, pages, FLAGS.results), runs]:
      print(path)
    report_files.write_run_list(study, runs)
  if FLAGS.archive:
    for path in archive(study, pages, FLAGS.archive):
      print(path)
  if FLAGS.readme:
    changed = report_files.update_readme(FLAGS.readme, pages, FLAGS.results)
    print(f"{FLAGS.readme}: {'brought to the results' if changed else 'as the results say'}")
  return 0


def _noting_changes(study, reference: str, overrides: Mapping[str, str]):
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
  if FLAGS.results:
    raise ConfigError("plan", printable(reference), f"the study {told}",
                      "the configuration that it was run with", "Its pages would say what is not "
                      "so: leave out --results, or give the --plan and --config of the study.")
  print(f"report: the pages are of {printable(reference)}, but the study {told}", file=sys.stderr)
  return dataclasses.replace(study, notes=[
      *study.notes, f"The pages are of another configuration: the study {told}."])


def archive(study, pages: Sequence, directory: str) -> list[str]:
  """Keeps of a study what the pages need; returns the files."""
  from jft_reps.studies import report_rows, study_archive

  detailed = {result.id for page in pages if page.gained
              for _, result in report_rows.members(page.restricted(page.gained), study.results)}
  return study_archive.write(directory, study, ("definitions.json",), detailed)


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
                      "a sequence of pages", "See jft_reps/studies/pages.py.")
  return pages


def _inside(study: str) -> str:
  """The default folder, which must not lead elsewhere."""
  path = pathlib.Path(study) / "report"
  if path.is_symlink():
    raise StorageError("report-write", printable(path), "a link", "a folder", "Give --output.")
  return str(path)


if __name__ == "__main__":
  sys.exit(command_line.run(main))
