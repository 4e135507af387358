"""A report as one HTML file: pictures inside, nothing from outside, every text escaped."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from jft_reps.studies.forecast.answers import Forecast
from jft_reps.studies.report import foretold
from jft_reps.studies.report.sections import Section
from jft_reps.studies.report.tables import Table

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 62rem; margin: 2rem auto;
       padding: 0 1.2rem; }
h1 { font-size: 1.7rem; } h2 { font-size: 1.3rem; margin: 0 0 .4rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
section { border-top: 2px solid #d5d9e0; margin-top: 2.4rem; padding-top: 1.2rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; margin: .7rem 0; font-size: .92rem; }
th, td { padding: .25rem .7rem; text-align: left; border-bottom: 1px solid #e4e7ec;
         vertical-align: top; overflow-wrap: break-word; max-width: 30rem; }
th { background: #f3f5f8; } th, .number { white-space: nowrap; }
td + td { font-variant-numeric: tabular-nums; }
img { max-width: 100%; height: auto; display: block; margin: .6rem 0; }
.counts { color: #555; } .says { border-left: 3px solid #b9c3d3; padding-left: .8rem; }
.bad { color: #a11; } .small { font-size: .9rem; color: #444; }
@media print { section { break-before: page; border: 0; } }
"""
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(title: str, head: Sequence[str], sections: Sequence[Section],
         notes: Sequence[str]) -> str:
  """The whole file.

  Args:
    title: of the report.
    head: paragraphs above the index.
    sections: one per page.
    notes: at the end.
  """
  index = "".join(f'<li><a href="#{escape(s.name)}">{escape(s.title)}</a> '
                  f'<span class="counts">{escape(s.counts)}</span></li>\n' for s in sections)
  body = "".join(map(_section, sections))
  paragraphs = "".join(f"<p>{escape(p)}</p>\n" for p in head)
  return document(title, f"{paragraphs}<ul>\n{index}</ul>\n{body}"
                  + (f"<section>{_list('Notes', notes)}</section>\n" if notes else ""))


def document(title: str, body: str) -> str:
  """A file of its own: nothing from outside is loaded, and no script runs.

  Args:
    title: plain text.
    body: HTML.
  """
  return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
          f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
          f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
          f"<title>{escape(title)}</title>\n<style>{_STYLE}</style></head><body>\n"
          f"<h1>{escape(title)}</h1>\n{body}</body></html>\n")


def _section(section: Section) -> str:
  parts = [f'<section id="{escape(section.name)}">\n<h2>{escape(section.title)}</h2>\n'
           f'<p class="counts">{escape(section.counts)}</p>\n']
  if section.says:
    parts.append(f'<p class="says">{escape(section.says)}</p>\n')
  if not section.rows:
    parts.append("<p>No run of this page has numbers yet.</p>\n")
  parts.append(_forecast(section.forecasts, section.forecast_plot))
  if section.plot:
    parts.append(_image(section.title, section.plot))
  parts += map(table, section.tables)
  parts.append(_list("What the numbers say", section.sentences))
  if section.gained:
    parts += ["<h3>Who gained</h3>\n", *map(table, section.gained)]
  parts.append(_list("Metrics", section.definitions))
  parts.append(_list("Deviations from the paper", section.deviations))
  if section.failed:
    parts += ['<h3 class="bad">Runs that failed</h3>\n', table(section.failed)]
  parts.append(_list("Left out", section.notes))
  return "".join(parts) + "</section>\n"


def forecast_page(title: str, forecasts: Sequence[Forecast], plot: bytes) -> str:
  """A file of forecasts alone."""
  notes = "".join(_list(f"{one.name or one.word}: what was assumed", one.notes)
                  for one in forecasts)
  return document(title, f"<section>{_forecast(forecasts, plot)}{notes}</section>\n")


def _forecast(forecasts: Sequence[Forecast], plot: bytes | None) -> str:
  """What more data would bring: the sentences first."""
  if not forecasts or plot is None:
    return ""
  return (_list(foretold.TITLE, foretold.sentences(forecasts)) + _image(foretold.TITLE, plot)
          + table(foretold.table(forecasts)))


def _image(title: str, png: bytes) -> str:
  data = base64.b64encode(png).decode()
  return f'<img alt="{escape(title)}" src="data:image/png;base64,{data}">\n'


def table(shown: Table) -> str:
  """A table, its cells escaped."""
  header = "".join(f"<th>{escape(c)}</th>" for c in shown.header)
  rows = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>\n" for row in shown.rows)
  return f'<div class="table"><table>\n<tr>{header}</tr>\n{rows}</table></div>\n'


def _cell(text: str) -> str:
  number = len(text) < 30 and text[:1] in "+−0123456789"
  return f'<td{" class=number" if number else ""}>{escape(text)}</td>'


def _list(title: str, items: Sequence[str]) -> str:
  if not items:
    return ""
  lines = "".join(f"<li>{escape(item)}</li>\n" for item in items)
  return f"<h3>{escape(title)}</h3>\n<ul>\n{lines}</ul>\n"
