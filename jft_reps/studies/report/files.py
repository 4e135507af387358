"""The files of a report: HTML, Markdown with its pictures, CSV of results, a README's blocks."""

from __future__ import annotations

import collections
import csv
import dataclasses
import io
import os
import pathlib
import re
from collections.abc import Sequence

from jft_reps import whole_files
from jft_reps.errors import DataError, StorageError, printable
from jft_reps.studies import schedule
from jft_reps.studies.fits import paired
from jft_reps.studies.report import html, markdown, rows
from jft_reps.studies.report import sections as report_sections
from jft_reps.studies.report.pages import Page
from jft_reps.studies.report.sections import Section
from jft_reps.studies.running import archive
from jft_reps.studies.running import results as report_runs
from jft_reps.studies.running.results import Study

DEVIATIONS = "deviations"  # block of a README
_COMMIT = re.compile(r"^\| commit \| ([0-9a-f]{7,40}(?:-dirty)?) \|", re.MULTILINE)
_HOW = ("Numbers are means over seeds with 95 % intervals by Student's t; one seed gives no "
        "interval. Fractions are shown in percent, and intervals end where they do. An order is "
        f"only stated of {paired.SEEDS} seeds or more, where the interval of the paired difference "
        "leaves zero out; of a hundred such comparisons of equals about five do.",
        "Numbers from elsewhere say how well they are known: the paper's; the paper's, as found in "
        "a public source; or remembered, not verified, which is nobody's word.")


def write(study: Study, pages: Sequence[Page], output: str | os.PathLike,
          title: str = "Study") -> list[Section]:
  """Writes report.html, report.md and its PNGs.

  Args:
    study: what was made.
    pages: to show.
    output: folder, which is made.
    title: of the report.

  Returns:
    The sections that were written.

  Raises:
    ConfigError: a page cannot be shown.
    DataError: no page has a run.
    StorageError: the folder cannot be written.
  """
  sections, absent = report_sections.sections(pages, study)
  if not sections:
    raise DataError("pages", "study", f"none of its {len(study.results)} runs has the tags of a "
                    "page", "a study of this plan", "Give the --plan that it was made from.")
  distinct = len({result.id for result in study.results})
  of = f" Its plan has {study.planned} in all." if study.planned > distinct else ""
  head = [f"The study: {report_runs.counts(study.results)}.{of}", *_changed(study),
          *_took(study), *_made_by(study), *_HOW]
  notes = report_sections.few(study.notes)
  if absent:
    notes.append(f"Not part of this study: {'; '.join(absent)}.")
  whole_files.write_all(output, {
      **{f"{section.name}{kind}.png": plot for section in sections
         for kind, plot in (("", section.plot), ("_forecast", section.forecast_plot)) if plot},
      **{name: module.page(title, head, sections, notes)
         for name, module in (("report.md", markdown), ("report.html", html))}})
  return sections


def _changed(study: Study) -> list[str]:
  """What a study has otherwise than its plan."""
  told = "; ".join(f"{printable(k, 80)} = {printable(v, 200)}" for k, v in study.overrides.items())
  return [f"Changed in the configuration of its plan: {told}."] if told else []


def _took(study: Study) -> list[str]:
  """How long the runs took, one after the other."""
  seconds = {result.id: result.seconds for result in study.results
             if result.status == report_runs.DONE and result.seconds is not None}
  return [f"Its runs took {schedule.duration(sum(seconds.values()))} one after the other, without "
          "attempts that were cut off."] if seconds else []


def _made_by(study: Study) -> list[str]:
  """Which commits of the library made the runs, by their run cards."""
  found = [_COMMIT.search(archive.card(result)) for result in study.results
           if result.status == report_runs.DONE]
  commits = collections.Counter(match[1] for match in found if match)
  told = ", ".join(f"{commit} ({count})" for commit, count in commits.most_common(20))
  others = f"; {len(found) - commits.total()} do not say" if commits.total() < len(found) else ""
  return [f"Runs by commit of the library: {told}{others}."] if commits else []


def write_results(sections: Sequence[Section], pages: Sequence[Page],
                  results: str | os.PathLike) -> list[str]:
  """Writes `<name>.csv` for each page that has rows; returns their paths.

  Raises:
    DataError: the folder has one of a page of which the study has no rows: two studies would stand
      in one folder, and in one README.
    StorageError: the folder cannot be written.
  """
  by_name, made = {page.name: page for page in pages}, {s.name for s in sections if s.rows}
  others = [name for name in by_name if name not in made
            and (pathlib.Path(results) / f"{name}.csv").exists()]
  if others:
    raise DataError("results", printable(results), f"{', '.join(others)}, of which this study has "
                    "no numbers", "results of one study",
                    "Give another folder, or remove what is there.")
  return whole_files.write_all(results, {
      f"{section.name}.csv": rows.csv_text(by_name[section.name], section.rows)
      for section in sections if section.rows})


def write_run_list(study: Study, path: str | os.PathLike) -> None:
  """Writes every run of a study and the seconds that the attempt took which ended it, as CSV.

  Raises:
    StorageError: it cannot be written.
  """
  text = io.StringIO()
  writer = csv.writer(text, lineterminator="\n")
  writer.writerow(("id", "name", "kind", "configuration", "status", "seconds"))
  for result in study.results:
    seconds = "" if result.seconds is None else f"{result.seconds:.0f}"
    writer.writerow(map(rows.plain, (
        result.id, result.run.name, result.run.kind, result.run.config, result.status, seconds)))
  target = pathlib.Path(path)
  whole_files.write_all(target.parent, {target.name: text.getvalue()})


def update_readme(readme: str | os.PathLike, pages: Sequence[Page],
                  results: str | os.PathLike) -> bool:
  """Brings the blocks of a README to what the results say; returns whether it has changed.

  A page without results has a block that says so.

  Raises:
    DataError: a marker of no page; results that are not those of their page.
    StorageError: the README cannot be read or written.
  """
  path = pathlib.Path(readme)
  try:
    text = path.read_bytes().decode()
  except OSError as error:
    raise StorageError("readme", printable(path), printable(error), "a README") from error
  except UnicodeDecodeError as error:
    raise DataError("readme", printable(path), printable(error), "UTF-8") from error
  new = markdown.replace_blocks(text, readme_blocks(pages, results))
  if new != text:
    whole_files.write(path, new)
  return new != text


def readme_blocks(pages: Sequence[Page], results: str | os.PathLike) -> dict[str, str]:
  """The block of each page by name, from `<name>.csv` of a folder.

  `deviations` is one more: what half of the pages or more have in common, which is said there once.
  """
  counts = collections.Counter(said for page in pages for said in page.deviations)
  shared = [said for said, count in counts.items() if count > 1 and 2 * count >= len(pages)]
  blocks = {DEVIATIONS: markdown.escape(" ".join(shared))}
  for page in pages:
    file = pathlib.Path(results) / f"{page.name}.csv"
    own = dataclasses.replace(page, deviations=[d for d in page.deviations if d not in shared])
    blocks[page.name] = (markdown.readme_block(own, file) if file.is_file()
                         else "No results yet.")
  return blocks
