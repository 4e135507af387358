"""The files of a report: whole, self-contained, escaped, and README equal to its results."""

from __future__ import annotations

import base64
import csv
import dataclasses
import html.parser
import io
import os
import re

import pytest
from PIL import Image

from jft_reps.errors import ConfigError, DataError, StorageError
from jft_reps.studies.plan import Run
from jft_reps.studies.report import files, markdown, plots
from jft_reps.studies.report import rows as report_rows
from jft_reps.studies.report.pages import Page, PaperNumber
from jft_reps.studies.running import results
from jft_reps.studies.running.results import RunResult, Study
from tests.studies.running.test_results import write_study

EVIL = "<script>alert(1)</script> | `x` **b** [l](javascript:1) $\\frac$"
PAGES = [
    Page("table", "Table <1>", {"t: AP": "AP"}, {"_a": {"start": "a"}, EVIL: {"start": "b"}},
         pairs=[("_a", EVIL)], gained=("_a", EVIL), deviations=["None & <all>"], says="More.",
         paper=[PaperNumber("_a", "AP", 0.367, "Table 1", "memory")]),
    Page("size", "Sizes", {"t: AP": "AP"}, {"a": {"start": "a"}}, x="pictures", protocol="steps"),
    Page("curve", "Steps", {"t: AP": "AP"}, {"a": {"start": "a"}}, x="step"),
    Page("absent", "Absent", {"t: AP": "AP"}, {"a": {"start": "z"}})]


def _study(tmp_path):
  runs = [({"start": s, "seed": n, "pictures": p}, {
      "t: AP": 0.2 + p / 1e5 + n / 100, "t: AP at step 5": 0.1, "t: AP at step 9": None},
      {"classes.json": {"t: AP": {EVIL: 0.5 + n / 9}}, "definitions.json": {"t": EVIL}})
          for s in "ab" for n in range(3) for p in (300,)]
  runs += [({"start": "a", "seed": n, "pictures": 900}, {"t: AP": 0.3}) for n in range(3, 5)]
  runs += [({"start": "b", "seed": 7}, EVIL), ({"start": "b", "seed": 8}, None)]
  return results.of_directory(write_study(tmp_path / "study", runs))


class _Tags(html.parser.HTMLParser):
  def __init__(self):
    super().__init__()
    self.tags, self.text, self.open = [], [], []

  def handle_starttag(self, tag, attrs):
    self.tags.append((tag, dict(attrs)))
    if tag not in ("meta", "img"):
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    self.text.append(data)


def test_the_html_is_one_safe_file(tmp_path):
  study = _study(tmp_path)
  sections = files.write(study, PAGES, tmp_path / "out", EVIL)
  assert [s.name for s in sections] == ["table", "size", "curve"]
  parser = _Tags()
  parser.feed((tmp_path / "out" / "report.html").read_text())
  assert parser.open == []
  tags = {tag for tag, _ in parser.tags}
  assert not tags & {"script", "link", "iframe", "object", "b"}
  for tag, attributes in parser.tags:
    assert not any(name.startswith("on") for name in attributes)
    assert attributes.get("href", "#").startswith("#")
    if tag == "img":
      kind, data = attributes["src"].split(",")
      assert kind == "data:image/png;base64"
      assert Image.open(io.BytesIO(base64.b64decode(data))).size[0] > 500
  text = "".join(parser.text)
  assert text.count("<script>alert(1)</script>") > 5 and "Not part of this study: Absent." in text
  assert "10 runs done" in text and "failed: <script>" in text and "n/a" in text
  assert "36.7 remembered, not verified (Table 1)" in text


def test_the_markdown_says_the_same(tmp_path):
  files.write(_study(tmp_path), PAGES, tmp_path / "out")
  text = (tmp_path / "out" / "report.md").read_text()
  assert "<script>" not in text and not re.search(r"(?<!\\)\]\(javascript", text)
  assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
      "curve.png", "report.html", "report.md", "size.png", "table.png"]
  for name in re.findall(r"!\[.*\]\((.*)\)", text):
    assert Image.open(tmp_path / "out" / name).format == "PNG"
  for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
    bars = [len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()]
    assert len(set(bars)) == 1 and bars[0] > 2


@pytest.mark.parametrize("text, shown", [
    ("10.2 (9.3)", "10.2 (9.3)"), ("+5.8 AP", "+5.8 AP"), ("- x", r"\- x"), ("# x", r"\# x"),
    ("1. x", r"1\. x"), ("a_b _c_", r"a_b \_c\_"), ("a|b\n\nc", r"a\|b c"), ("<!-- end -->",
                                                                         "&lt;!-- end --&gt;")])
def test_markdown_shows_text_as_it_is(text, shown):
  assert markdown.escape(text) == shown


def test_readme_and_results_are_equal(tmp_path):
  study = _study(tmp_path)
  sections = files.write(study, PAGES, tmp_path / "out")
  written = files.write_results(sections, PAGES, tmp_path / "results")
  assert [os.path.basename(p) for p in written] == ["table.csv", "size.csv", "curve.csv"]
  readme = tmp_path / "README.md"
  readme.write_text("# A\n<!-- results:size -->\nold\n<!-- end -->\n\nB <!-- results:absent -->"
                    "<!-- end --> C\n")
  assert files.update_readme(readme, PAGES, tmp_path / "results")
  text = readme.read_text()
  block = markdown.readme_block(PAGES[1], tmp_path / "results" / "size.csv")
  assert text == (f"# A\n<!-- results:size -->\n{block}\n<!-- end -->\n\n"
                  "B <!-- results:absent -->\nNo results yet.\n<!-- end --> C\n")
  assert "| a | 300 | 3 | 21.3 (18.8 to 23.8) |" in block and "Protocol: Every size" in block
  assert not files.update_readme(readme, PAGES, tmp_path / "results")
  # The block says what the report says.
  report = (tmp_path / "out" / "report.md").read_text()
  assert all(line in report for line in block.splitlines() if line[:1] in "|-")


def test_results_of_two_studies_do_not_mix(tmp_path):
  sections = files.write(_study(tmp_path), PAGES, tmp_path / "out")
  files.write_results(sections, PAGES, tmp_path / "results")
  part = [s for s in sections if s.name != "curve"]
  before = (tmp_path / "results" / "size.csv").read_text()
  with pytest.raises(DataError, match="curve, of which this study has no numbers"):
    files.write_results(part, PAGES, tmp_path / "results")
  assert (tmp_path / "results" / "size.csv").read_text() == before
  files.write_results(part, PAGES, tmp_path / "others")


def test_what_pages_have_in_common_is_said_once(tmp_path):
  (tmp_path / "results").mkdir()
  for page in PAGES:
    (tmp_path / "results" / f"{page.name}.csv").write_text(report_rows.csv_text(page, []))
  told = (["Toys <1>.", "Own."], ["Toys <1>."], ["Other."], [])
  pages = [dataclasses.replace(page, deviations=said) for page, said in zip(PAGES, told)]
  blocks = files.readme_blocks(pages, tmp_path / "results")
  assert blocks[files.DEVIATIONS] == "Toys &lt;1&gt;."
  assert [name for name, block in blocks.items() if "Toys" in block] == ["deviations"]
  assert blocks["table"].endswith("Other than in the paper: Own.")
  assert blocks["curve"].endswith("Other than in the paper: Other.")


@pytest.mark.parametrize("text, found", [
    ("<!-- results:other -->\n<!-- end -->", "other: no such page"),
    ("<!-- results:a -->\n", "a: it has no end"),
    ("<!-- results:a -->\n<!-- results:b -->\n<!-- end -->", "a: it has no end")])
def test_markers_that_fit_nothing_are_errors(text, found):
  with pytest.raises(DataError, match=found):
    markdown.replace_blocks(text, {"a": "x", "b": "y"})
  assert markdown.replace_blocks("text", {"a": "x"}) == "text"


def test_a_link_in_the_folder_is_replaced_and_not_followed(tmp_path):
  other = tmp_path / "other"
  other.write_text("mine")
  (tmp_path / "out").mkdir()
  (tmp_path / "out" / "report.html").symlink_to(other)
  files.write(_study(tmp_path), PAGES, tmp_path / "out")
  assert other.read_text() == "mine" and not (tmp_path / "out" / "report.html").is_symlink()
  with pytest.raises(StorageError):
    files.write(_study(tmp_path / "b"), PAGES, other / "x")
  with pytest.raises(StorageError):
    files.update_readme(tmp_path / "nowhere.md", PAGES, tmp_path)


@pytest.mark.parametrize("change, found", [
    ({"name": "../x"}, "no file name"), ({"x": "depth"}, "x='depth'"), ({"arms": {}}, "no arms"),
    ({"pairs": [("a", "q")]}, "no arm 'q'"), ({"gained": ("q", "a")}, "no arm 'q'"),
    ({"paper": [PaperNumber("a", "AP", 1.0, "", "sure")]}, "sure")])
def test_pages_that_cannot_be_shown_are_errors(tmp_path, change, found):
  page = Page(**{"name": "p", "title": "P", "metrics": {"t: AP": "AP"}, "arms": {"a": {}}} | change)
  study = _study(tmp_path)
  with pytest.raises(ConfigError, match=found):
    files.write(study, [page], tmp_path / "out")
  with pytest.raises(ConfigError, match="second page"):
    files.write(study, [PAGES[0], PAGES[0]], tmp_path / "out")
  with pytest.raises(DataError, match="none of its 10 runs"):
    files.write(study, PAGES[3:], tmp_path / "out")


@pytest.mark.parametrize("page", PAGES[:3], ids=lambda page: page.name)
def test_plots_show_their_points(tmp_path, page):
  rows, _ = report_rows.rows(page, _study(tmp_path).results)
  with Image.open(io.BytesIO(plots.png(page, rows))) as image:
    colours = image.convert("RGB").getcolors(1 << 20)
  assert sum(n for n, colour in colours if colour == (0x00, 0x72, 0xB2)) > 60
  assert plots.png(page, report_rows.PageRows(page, [])) is None


def test_the_list_of_runs_says_what_each_took(tmp_path):
  runs = [RunResult("a1", Run("first", "x.py:laptop", kind="pretrain"), "done", seconds=12.4),
          RunResult("b2", Run("second, or not", "y.py"), "failed", "exit code 1"),
          RunResult("c3", Run('=HYPERLINK("http://x")', "y.py"), "left")]
  files.write_run_list(Study("", runs, []), tmp_path / "results" / "runs.csv")
  with open(tmp_path / "results" / "runs.csv", newline="") as file:
    assert list(csv.reader(file)) == [
        ["id", "name", "kind", "configuration", "status", "seconds"],
        ["a1", "first", "pretrain", "x.py:laptop", "done", "12"],
        ["b2", "second, or not", "run", "y.py", "failed", ""],
        ["c3", """'=HYPERLINK("http://x")""", "run", "y.py", "left", ""]]


def test_the_hours_are_those_of_the_runs_that_are_done_each_once(tmp_path):
  study = _study(tmp_path)
  timed = [dataclasses.replace(r, seconds=3600.0) for r in study.results]
  failed = dataclasses.replace(timed[0], id="f", status="failed")
  hours = len({r.id for r in timed if r.status == "done"})
  files.write(dataclasses.replace(study, results=[*timed, timed[0], failed]), PAGES,
                     tmp_path / "out")
  told = f"Its runs took {hours}.0 h one after the other, without attempts that were cut off."
  assert told in (tmp_path / "out" / "report.md").read_text()
  files.write(study, PAGES, tmp_path / "out")
  assert "one after the other" not in (tmp_path / "out" / "report.md").read_text()


def test_the_commits_that_made_the_runs_are_counted(tmp_path):
  study = _study(tmp_path)
  for result, commit in zip(study.results, ("0123456789ab", "0123456789ab", "abcdef012345-dirty")):
    (result.directory / "run_card.md").write_text(f"# Run card\n\n| commit | {commit} |\n| a | b |")
  files.write(study, PAGES, tmp_path / "out")
  text = (tmp_path / "out" / "report.md").read_text()
  done = sum(result.status == results.DONE for result in study.results)
  assert ("Runs by commit of the library: 0123456789ab (2), abcdef012345-dirty (1); "
          f"{done - 3} do not say.") in text
