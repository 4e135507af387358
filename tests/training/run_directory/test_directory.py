"""What a run says of the code that made it."""

import subprocess

from jft_reps.training.run_directory import directory


def git(clone, *arguments):
  done = subprocess.run(
      ["git", "-C", clone, "-c", "user.name=a", "-c", "user.email=a@b.example", *arguments],
      capture_output=True, text=True, check=True)
  return done.stdout.strip()


def test_the_card_names_the_commit_of_a_clone_and_whether_it_was_changed(tmp_path, monkeypatch):
  clone = tmp_path / "clone"
  source = clone / "jft_reps" / "training" / "run_directory" / "directory.py"
  source.parent.mkdir(parents=True)
  source.write_text("a = 1\n")
  monkeypatch.setattr(directory, "__file__", str(source))
  assert directory.commit() == ""
  git(clone, "init", "-q")
  assert directory.commit() == ""  # nothing is committed
  git(clone, "add", ".")
  git(clone, "commit", "-q", "-m", "one")
  git(clone, "tag", "v1")
  head = git(clone, "rev-parse", "HEAD")[:12]
  assert directory.commit() == head
  directory.RunDirectory(tmp_path / "run").path.mkdir()
  directory.RunDirectory(tmp_path / "run").describe({"a": 1}, {"batch-norm": "train"})
  assert f"| commit | {head} |" in (tmp_path / "run" / "run_card.md").read_text()
  source.write_text("a = 2\n")
  assert directory.commit() == f"{head}-dirty"


def test_a_library_inside_of_another_project_names_none(tmp_path, monkeypatch):
  git(tmp_path, "init", "-q")
  package = tmp_path / "venv" / "site-packages" / "jft_reps"
  installed = package / "training" / "run_directory" / "directory.py"
  monkeypatch.setattr(directory, "__file__", str(installed))
  assert directory.commit() == ""
