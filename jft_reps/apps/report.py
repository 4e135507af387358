r"""Turns study directories into tables, plots, fits and sentences.

  python -m jft_reps.apps.report --study=DIR[,DIR2] [--plan=experiments/paper.py]
      [--output=DIR/report] [--results=experiments/results] [--readme=README.md]

Writes report.html, one file to read or send, and report.md with its pictures, a section per table
and figure of the plan's PAGES; a study may be half done or still running. --results writes one CSV
per page as well, and --readme brings the blocks between `<!-- results:NAME -->` and `<!-- end -->`
to what the CSVs of --results say; without --study that is all that is done. --archive keeps the
runs, their numbers and run cards without their weights, in two files; --study takes archives too.

The plan is a Python file that is run. Where --plan is missing it is the one that the study names,
if that is below the current directory and not inside of the study.
"""

from __future__ import annotations

import os
import pathlib
import sys
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line, configuration
from jft_reps.errors import ConfigError, StorageError, printable

FLAGS = flags.FlagValues()
flags.DEFINE_list("study", [], "Work directories and archives of studies, shown together.",
                  flag_values=FLAGS)
flags.DEFINE_string("plan", "", "Python file with PAGES; what follows a colon is not read.",
                    flag_values=FLAGS)
flags.DEFINE_string("output", "", "Folder for the report (default: `report` in the first study).",
                    flag_values=FLAGS)
flags.DEFINE_string("results", "", "Folder for a CSV per page, and one of all runs.",
                    flag_values=FLAGS)
flags.DEFINE_string("archive", "", "Folder for the study without its weights.", flag_values=FLAGS)
flags.DEFINE_string("readme", "", "README with markers.", flag_values=FLAGS)


def main(argv: Sequence[str]) -> int:
  command_line.parse(FLAGS, argv, __doc__)
  if not FLAGS.study and not (FLAGS.readme and FLAGS.results and FLAGS.plan):
    raise ConfigError("flags", "--study", "missing", "a work directory, or --plan, --results and "
                      "--readme", "See --help.")
  if FLAGS.readme and not FLAGS.results:
    raise ConfigError("flags", "--results", "missing", "the folder with the README's results")
  from jft_reps.studies import report_files, report_runs, report_sections, study_archive

  study = study_archive.opened(FLAGS.study) if FLAGS.study else None
  file = FLAGS.plan.partition(":")[0] or named_plan(study.plan, FLAGS.study)
  pages = load_pages(file)
  report_sections.check(pages)
  if study:
    output = FLAGS.output or _inside(FLAGS.study[0])
    title = f"Study: {printable(study.plan or FLAGS.plan)}"
    sections = report_files.write(study, pages, output, title)
    print(f"{output}/report.html: {len(sections)} pages, {report_runs.counts(study.results)}")
    for section in sections:
      print(f"  {section.name:24} {section.counts}")
    if FLAGS.results:
      runs = pathlib.Path(FLAGS.results) / f"{pathlib.Path(file).stem}_runs.csv"
      report_files.write_run_list(study, runs)
      for path in [*report_files.write_results(sections, pages, FLAGS.results), runs]:
        print(path)
    if FLAGS.archive:
      for path in archive(study, pages, FLAGS.archive):
        print(path)
  if FLAGS.readme:
    changed = report_files.update_readme(FLAGS.readme, pages, FLAGS.results)
    print(f"{FLAGS.readme}: {'brought to the results' if changed else 'as the results say'}")
  return 0


def archive(study, pages: Sequence, directory: str) -> list[str]:
  """Keeps of a study what the pages need; returns the files."""
  from jft_reps.studies import report_rows, study_archive

  detailed = {result.id for page in pages if page.gained
              for _, result in report_rows.members(page.restricted(page.gained), study.results)}
  return study_archive.write(directory, study, ("definitions.json",), detailed)


def named_plan(reference: str, studies: Sequence[str]) -> str:
  """The file that a study says it was made from, if it may be run.

  A directory may come from anywhere, so what it names is only taken from below the current
  directory, where its reader works, and never from the directory itself.

  Raises:
    ConfigError: it may not.
  """
  name = reference.partition(":")[0]
  name = name if name.isprintable() else ""
  path = pathlib.Path(os.path.realpath(name))
  inside = any(path.is_relative_to(pathlib.Path(study).resolve()) for study in studies)
  if not name or inside or not path.is_relative_to(pathlib.Path.cwd().resolve()):
    raise ConfigError("plan", studies[0], f"its plan is {printable(name)!r}" if name else
                      "it names no plan", "a file below the current directory",
                      "Give --plan, the file with PAGES; it is run.")
  return name


def load_pages(file: str) -> Sequence:
  """PAGES of a plan's file.

  Raises:
    ConfigError: no such file, it does not run, or it has no pages.
  """
  pages = getattr(configuration.load_module(file), "PAGES", None)
  if not isinstance(pages, Sequence) or isinstance(pages, str) or not pages:
    raise ConfigError("plan", printable(file), "no PAGES", "a sequence of pages",
                      "See jft_reps/studies/pages.py.")
  return pages


def _inside(study: str) -> str:
  """The default folder, which must not lead elsewhere."""
  path = pathlib.Path(study) / "report"
  if path.is_symlink():
    raise StorageError("report-write", printable(path), "a link", "a folder", "Give --output.")
  return str(path)


if __name__ == "__main__":
  sys.exit(command_line.run(main))
