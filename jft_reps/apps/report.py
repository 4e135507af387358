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

import pathlib
import sys
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line
from jft_reps.errors import ConfigError, StorageError, printable

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
  argv, overrides = command_line.split_overrides(argv)
  command_line.parse(FLAGS, argv, __doc__)
  if not FLAGS.study:
    raise ConfigError("flags", "--study", "missing", "work directories or archives of studies",
                      "See --help.")
  if FLAGS.readme and not FLAGS.results:
    raise ConfigError("flags", "--results", "missing", "the folder with the README's results")
  from jft_reps.studies.report import files
  from jft_reps.studies.report import sections as report_sections
  from jft_reps.studies.running import archive as study_archive
  from jft_reps.studies.running import results
  from jft_reps.workflows.study import reporting

  study = study_archive.opened(FLAGS.study)
  reference = FLAGS.plan or reporting.named_plan(study.plan, FLAGS.study)
  overrides = {**study.overrides, **overrides}
  pages = reporting.load_pages(reference, overrides)
  report_sections.check(pages)
  study = reporting.noting_changes(study, reference, overrides, publish=bool(FLAGS.results))
  output = FLAGS.output or _inside(FLAGS.study[0])
  title = f"Study: {printable(study.plan or FLAGS.plan)}"
  sections = files.write(study, pages, output, title)
  print(f"{output}/report.html: {len(sections)} pages, {results.counts(study.results)}")
  for section in sections:
    print(f"  {section.name:24} {section.counts}")
  if FLAGS.results:
    plan = pathlib.Path(reference.partition(":")[0]).stem
    runs = pathlib.Path(FLAGS.results) / f"{plan}_runs.csv"
    for path in [*files.write_results(sections, pages, FLAGS.results), runs]:
      print(path)
    files.write_run_list(study, runs)
  if FLAGS.archive:
    for path in reporting.write_archive(study, pages, FLAGS.archive):
      print(path)
  if FLAGS.readme:
    changed = files.update_readme(FLAGS.readme, pages, FLAGS.results)
    print(f"{FLAGS.readme}: {'brought to the results' if changed else 'as the results say'}")
  return 0


def _inside(study: str) -> str:
  """The default folder, which must not lead elsewhere."""
  path = pathlib.Path(study) / "report"
  if path.is_symlink():
    raise StorageError("report-write", printable(path), "a link", "a folder", "Give --output.")
  return str(path)


if __name__ == "__main__":
  sys.exit(command_line.run(main))
