"""The report of a study: the pages that its plan's Python file has, shown with its numbers."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence

from jft_reps.errors import ConfigError, printable
from jft_reps.studies.report import files, guessing, rows
from jft_reps.studies.report import sections as report_sections
from jft_reps.studies.report.pages import Page
from jft_reps.studies.report.sections import Section
from jft_reps.studies.running import archive as archives
from jft_reps.studies.running import results as report_runs
from jft_reps.studies.running.results import Study
from jft_reps.workflows import configuration

OURS = configuration.EXPERIMENTS


@dataclasses.dataclass(frozen=True)
class Report:
  """What was written.

  Attributes:
    page: path of report.html.
    counts: of the study's runs.
    sections: one for each page that the study has runs of.
    files: other paths: CSVs of results and of runs, the archive.
    warning: that the pages are of another configuration than was run; "" if they are not.
    readme_changed: whether the README said something else before; None: there is none.
  """

  page: str
  counts: str
  sections: list[Section]
  files: list[str]
  warning: str = ""
  readme_changed: bool | None = None


def report(studies: Sequence[str], plan: str = "", overrides: Mapping[str, str] | None = None,
           output: str = "", results: str = "", archive: str = "", readme: str = "") -> Report:
  """Writes report.html and report.md of studies, finished or not, shown together.

  Args:
    studies: work directories and archives.
    plan: `<file>.py[:part,…]`, which is run; default: the one that the study names.
    overrides: of its configuration, beside those of the study.
    output: folder for the report; default: `report` in the first study.
    results: folder for a CSV per page, and one of all runs.
    archive: folder for the study without its weights.
    readme: file whose blocks are brought to what `results` say.

  Raises:
    ConfigError: no such plan; its pages are of another configuration, and results are asked for.
    DataError: what is there is no study, or of other pages.
    StorageError: something cannot be written.
  """
  study = archives.opened(studies)
  reference = plan or named_plan(study.plan, studies)
  values = {**study.overrides, **(overrides or {})}
  pages = load_pages(reference, values)
  report_sections.check(pages)
  study, warning = noting_changes(study, reference, values, publish=bool(results))
  output = output or os.path.join(studies[0], "report")
  sections = files.write(study, pages, output, f"Study: {printable(study.plan or plan)}")
  written = []
  if results:
    runs = os.path.join(results, f"{pathlib.Path(reference.partition(':')[0]).stem}_runs.csv")
    written += [*files.write_results(sections, pages, results), runs]
    files.write_run_list(study, runs)
  if archive:
    written += write_archive(study, pages, archive)
  changed = files.update_readme(readme, pages, results) if readme else None
  return Report(os.path.join(output, "report.html"), report_runs.counts(study.results), sections,
                written, warning, changed)


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


def load_pages(reference: str, overrides: Mapping[str, str] | None = None) -> Sequence[Page]:
  """The pages of a plan `<file>.py[:part,…]`: `pages(config)` of its configuration, else PAGES.

  Raises:
    ConfigError: no such file, it does not run, it refuses the overrides, or it has no pages.
  """
  file = reference.partition(":")[0]
  module = configuration.load_module(file)
  pages = getattr(module, "PAGES", None)
  if hasattr(module, "pages"):
    config, _ = configuration.read_plan_config(reference)
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


def noting_changes(study: Study, reference: str, overrides: Mapping[str, str],
                   publish: bool) -> tuple[Study, str]:
  """The study with a note if its pages are of another configuration than it was run with.

  Returns:
    The study, and a warning for whoever asked for the report, "" if there is none.

  Raises:
    ConfigError: they are, and what they say is to be published.
  """
  module = configuration.load_module(reference.partition(":")[0])
  if not study.config or not hasattr(module, "pages"):
    return study, ""
  config, _ = configuration.read_plan_config(reference)
  configuration.override(config, overrides)
  now = configuration.values(configuration.whole(config, module))
  changed = [f"{key}={study.config.get(key)} in place of {now.get(key)}"
             for key in {**study.config, **now} if study.config.get(key) != now.get(key)]
  if not changed:
    return study, ""
  more = f" and {len(changed) - 5} more" if len(changed) > 5 else ""
  told = f"was run with {printable(', '.join(changed[:5]), 600)}{more}"
  if publish:
    raise ConfigError("plan", printable(reference), f"the study {told}",
                      "the configuration that it was run with", "Its pages would say what is not "
                      "so: leave out --results, or give the --plan and --config of the study.")
  noted = dataclasses.replace(study, notes=[
      *study.notes, f"The pages are of another configuration: the study {told}."])
  return noted, f"the pages are of {printable(reference)}, but the study {told}"


def write_archive(study: Study, pages: Sequence[Page], directory: str) -> list[str]:
  """Keeps of a study what the pages need; returns the files."""
  detailed = {result.id for page in pages if page.gained
              for _, result in rows.members(page.restricted(page.gained), study.results)}
  return archives.write(directory, study, ("definitions.json", guessing.FILE), detailed)
