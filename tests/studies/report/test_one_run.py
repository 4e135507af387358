"""The report of a run says its numbers, never a stand-in for a missing one."""

from __future__ import annotations

from PIL import Image

from jft_reps.studies.report import one_run


def test_a_table_has_four_digits_and_na_for_what_is_missing():
  table = one_run.markdown_table(("a", "b"), [("x", 0.123456), ("y", None)])
  assert table.splitlines() == ["| a | b |", "|---|---|", "| x | 0.1235 |", "| y | n/a |"]


def test_the_page_holds_table_plot_and_notes(tmp_path):
  one_run.plot_curve(tmp_path / "c.png", {0: 0.1, 10: 0.4}, 0.1, 1.0, "mAP@100", "title")
  path = one_run.write(tmp_path, "Title", ("a",), [(0.5,)], "c.png", ["first", "second"])
  text = path.read_text()
  assert text.startswith("# Title\n") and "| 0.5000 |" in text
  assert "![curve](c.png)" in text and "- first\n- second\n" in text


def test_the_plot_shows_the_curve(tmp_path):
  one_run.plot_curve(tmp_path / "c.png", {0: 0.1, 10: 0.4}, 0.1, 1.0, "mAP@100", "title")
  with Image.open(tmp_path / "c.png") as image:
    blue = sum(n for n, (r, g, b, *_) in image.convert("RGBA").getcolors(1 << 20)
               if b > 130 and r < 80 and g < 130)
  assert blue > 200
