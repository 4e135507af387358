"""A report in Markdown, and the blocks of a README that come from committed results."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Mapping, Sequence

from jft_reps.errors import DataError, printable
from jft_reps.studies.report import foretold
from jft_reps.studies.report import rows as report_rows
from jft_reps.studies.report import tables as report_tables
from jft_reps.studies.report import text as report_text
from jft_reps.studies.report.pages import Page
from jft_reps.studies.report.sections import Section
from jft_reps.studies.report.tables import Table

_SPECIAL = re.compile(r"[\\`*\[\]|~]|(?<!\w)_|_(?!\w)|^[#+-](?=[\s#])|(?<=^\d)[.)](?=\s)")
_START = re.compile(r"<!-- results:(\S+) -->")
_END = "<!-- end -->"


def escape(text: str) -> str:
  """Text that Markdown, and the HTML it may become, shows as it is."""
  line = " ".join(text.split())
  line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
  return _SPECIAL.sub(r"\\\g<0>", line)


def page(title: str, head: Sequence[str], sections: Sequence[Section], notes: Sequence[str]) -> str:
  """The whole file; the plot of a section is `<name>.png` beside it."""
  index = "\n".join(f"- [{escape(s.title)}](#{s.name}): {escape(s.counts)}" for s in sections)
  parts = [f"# {escape(title)}", *map(escape, head), index, *map(_section, sections)]
  if notes:
    parts.append(f"## Notes\n\n{_list(notes)}")
  return "\n\n".join(part for part in parts if part) + "\n"


def readme_block(page: Page, csv_path: str | os.PathLike) -> str:
  """The table and sentences of a page, from its committed results alone.

  Raises:
    DataError: the results are not of this page.
  """
  rows = report_rows.read_csv(page, csv_path)
  page = page.restricted({row.arm for row in rows})
  tables = [report_tables.table(page, rows), report_tables.elsewhere(page, rows)]
  parts = [f"**{escape(page.title)}** (`{pathlib.Path(csv_path).name}`)",
           *([f"> {escape(report_text.says(page))}"] if page.says else []),
           *(_table(table) for table in tables if table)]
  forecasts, _ = foretold.of_page(page, rows)
  sentences = [*foretold.sentences(forecasts), *report_text.of_page(page, rows)]
  if page.x == "pictures":
    sentences.insert(0, report_text.protocol(page))
  parts += [_list(sentences)] if sentences else []
  if page.deviations:
    parts.append(f"Other than in the paper: {escape(' '.join(page.deviations))}")
  return "\n\n".join(parts)


def replace_blocks(text: str, blocks: Mapping[str, str]) -> str:
  """Text with other content between `<!-- results:NAME -->` and `<!-- end -->`.

  Args:
    text: of a README.
    blocks: content by NAME; those without a marker are left out.

  Raises:
    DataError: a marker without an end, or of a name without a block.
  """
  parts, at = [], 0
  while start := _START.search(text, at):
    name, end = start[1], text.find(_END, start.end())
    where = f"marker results:{printable(name)}"
    following = _START.search(text, start.end())
    if end < 0 or (following and following.start() < end):
      raise DataError("readme-marker", where, "it has no end", f"{_END} after it")
    if name not in blocks:
      raise DataError("readme-marker", where, "no such page", f"one of {', '.join(blocks) or '–'}")
    parts += [text[at:start.end()], f"\n{blocks[name]}\n", _END]
    at = end + len(_END)
  return "".join([*parts, text[at:]])


def _section(section: Section) -> str:
  parts = [f'<a id="{section.name}"></a>\n\n## {escape(section.title)}', escape(section.counts)]
  if section.says:
    parts.append(f"> {escape(section.says)}")
  if not section.rows:
    parts.append("No run of this page has numbers yet.")
  if section.forecasts:
    parts += [f"### {foretold.TITLE}", _list(foretold.sentences(section.forecasts)),
              f"![{foretold.TITLE}]({section.name}_forecast.png)",
              _table(foretold.table(section.forecasts))]
  if section.plot:
    parts.append(f"![{escape(section.title)}]({section.name}.png)")
  parts += map(_table, section.tables)
  for title, items in (("What the numbers say", section.sentences),):
    parts += [f"### {title}", _list(items)] if items else []
  if section.gained:
    parts += ["### Who gained", *map(_table, section.gained)]
  for title, items in (("Metrics", section.definitions),
                       ("Deviations from the paper", section.deviations)):
    parts += [f"### {title}", _list(items)] if items else []
  if section.failed:
    parts += ["### Runs that failed", _table(section.failed)]
  return "\n\n".join(parts + (["### Left out", _list(section.notes)] if section.notes else []))


def _table(table: Table) -> str:
  line = lambda cells: "| " + " | ".join(map(escape, cells)) + " |"
  return "\n".join([line(table.header), "|" + "---|" * len(table.header), *map(line, table.rows)])


def _list(items: Sequence[str]) -> str:
  return "\n".join(f"- {escape(item)}" for item in items)
