r"""Turns study directories into tables, plots, fits and sentences.

  jft-reps report --workdir=RUN
  python -m jft_reps.apps.report --study=DIR[,DIR2] [--plan=experiments/paper.py:miniature]
      [--output=DIR/report] [--results=experiments/results] [--readme=README.md]

The first writes report.html of one run: its numbers beside what guessing gives, curves, pictures.
The second writes report.html, one file to read or send, and report.md with its pictures, a section
per table and figure of the plan's pages; a study may be half done or at work. --results writes
one CSV per page as well, and --readme brings the blocks between `<!-- results:NAME -->` and
`<!-- end -->` to what these CSVs say. --archive keeps the runs, their numbers and run cards without
their weights, in two files; --study takes archives too.

The plan is a Python file that is run. Where --plan is missing it is the one that the study names,
if that is in experiments/ of the clone that the library lies in. Its configuration has the
overrides of the study, and then --config.KEY=VALUE.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from absl import flags

from jft_reps.apps import command_line
from jft_reps.errors import ConfigError

FLAGS = flags.FlagValues()
flags.DEFINE_string("workdir", "", "Directory of a single run.", flag_values=FLAGS)
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
  if bool(FLAGS.study) == bool(FLAGS.workdir):
    raise ConfigError("flags", "--study and --workdir", "both" if FLAGS.study else "neither",
                      "work directories or archives of studies, or a run", "See --help.")
  if FLAGS.workdir:
    from jft_reps.studies.report import run_page

    print(run_page.write(FLAGS.workdir, FLAGS.output))
    return 0
  if FLAGS.readme and not FLAGS.results:
    raise ConfigError("flags", "--results", "missing", "the folder with the README's results")
  from jft_reps.workflows.study import reporting

  written = reporting.report(FLAGS.study, FLAGS.plan, overrides, FLAGS.output, FLAGS.results,
                             FLAGS.archive, FLAGS.readme)
  if written.warning:
    print(f"report: {written.warning}", file=sys.stderr)
  print(f"{written.page}: {len(written.sections)} pages, {written.counts}")
  for section in written.sections:
    print(f"  {section.name:24} {section.counts}")
  for path in written.files:
    print(path)
  if written.readme_changed is not None:
    print(f"{FLAGS.readme}: "
          + ("brought to the results" if written.readme_changed else "as the results say"))
  return 0


if __name__ == "__main__":
  sys.exit(command_line.run(main))
