r"""Says how much more data would help, from a learning curve.

  python -m jft_reps.apps.forecast CURVE.csv [--at=SIZES] [--target=VALUE] [--next]
      [--cost_per_picture=COST] [--hours_per_run=HOURS] [--higher_is_better] [--best=VALUE]
      [--chance=VALUE] [--output=DIR]
  python -m jft_reps.apps.forecast --study=DIR[,DIR2] [--plan=FILE.py] […]

CURVE.csv has the columns pictures and value, one row per run, and maybe seed, task and arm: a
forecast for each task and arm. At 2, 5 and 10 times the largest size, and at --at, it prints the
value expected and an interval that holds 95 of 100 new measurements; what the next doubling is
worth; and a back-test, the largest size foretold from the smaller ones. Three sizes are the least.
--study takes the curves from the data-size pages of studies instead, done or half done.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from absl import flags

from jft_reps.apps import command_line
from jft_reps.errors import ConfigError, printable

FLAGS = flags.FlagValues()
FLAGS.set_gnu_getopt()  # flags may stand behind the file
flags.DEFINE_list("study", [], "Work directories and archives of studies, instead of CURVE.csv.",
                  flag_values=FLAGS)
flags.DEFINE_string("plan", "", "<file>.py[:part,…]: pages of the study (default: it names them).",
                    flag_values=FLAGS)
flags.DEFINE_list("at", [], "More sizes to forecast, in pictures.", flag_values=FLAGS)
flags.DEFINE_float("target", None, "A value: how many pictures it takes.", flag_values=FLAGS)
flags.DEFINE_boolean("next", False, "Say which size to train next.", flag_values=FLAGS)
flags.DEFINE_float("cost_per_picture", None, "What a new picture costs.", flag_values=FLAGS)
flags.DEFINE_float("hours_per_run", None, "Hours of a run with the largest size.",
                   flag_values=FLAGS)
flags.DEFINE_boolean("higher_is_better", False, "Values are scores, not errors.",
                     flag_values=FLAGS)
flags.DEFINE_float("best", None, "Value of a perfect result (default: 0; of scores 1 or 100).",
                   flag_values=FLAGS)
flags.DEFINE_float("chance", None, "Value of guessing (default: 1 for errors up to 1, 0 for "
                   "scores, else unknown).", flag_values=FLAGS)
flags.DEFINE_string("output", None, "Folder for forecast.json, .csv, .png, .svg and .html.",
                    flag_values=FLAGS)


def main(argv: Sequence[str]) -> int:
  flag_arguments, files = list(argv), [""]
  if not {"--help", "-h", "--helpshort", "-help"} & set(argv[1:]):
    FLAGS.unparse_flags()
    files = FLAGS(list(argv))[1:]
    for file in files[:1]:  # the rest is for `parse` to refuse
      flag_arguments.remove(file)
  command_line.parse(FLAGS, flag_arguments, __doc__ or "")
  if bool(files) == bool(FLAGS.study):
    raise ConfigError("flags", "CURVE.csv and --study", "both" if files else "neither",
                      "a file with the columns pictures,value, or a study", "See --help.")
  if FLAGS.study and (FLAGS.higher_is_better or FLAGS.best is not None or FLAGS.chance is not None):
    raise ConfigError("flags", "--study", "with --higher_is_better, --best or --chance", "neither",
                      "The pages of the study's plan say what their values are.")
  from jft_reps.workflows import forecasting
  from jft_reps.workflows.study import forecasting as of_studies

  asked: dict[str, Any] = {
      "at": _sizes(FLAGS.at), "target": FLAGS.target, "next": FLAGS.next, "output": FLAGS.output,
      "cost_per_picture": FLAGS.cost_per_picture, "hours_per_run": FLAGS.hours_per_run}
  found = (of_studies.forecast(FLAGS.study, FLAGS.plan, **asked) if FLAGS.study else
           forecasting.forecast(files[0], higher_is_better=FLAGS.higher_is_better, best=FLAGS.best,
                                chance=FLAGS.chance, **asked))
  print(forecasting.text(found))
  if FLAGS.output:
    print(f"{printable(FLAGS.output)}: forecast.json, forecast.csv, forecast.png, forecast.svg, "
          "forecast.html")
  return 0


def _sizes(texts: Sequence[str]) -> list[float]:
  try:
    return [float(text) for text in texts]
  except ValueError as error:
    raise ConfigError("flags", "--at", printable(error), "numbers with commas between") from None


if __name__ == "__main__":
  sys.exit(command_line.run(main))
