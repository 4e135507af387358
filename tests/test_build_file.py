"""The root BUILD declares one library per package: every file and every import agrees with it.

What may import what is said in `.importlinter`, which sees circles and floors. This file holds the
declared graph, packages from pip included, to the one that the imports make.
"""

from __future__ import annotations

import ast
import pathlib
import subprocess
import sys

import pytest

# Import name of each stand-in whose target has another name.
_PIP = {"absl": "absl_py", "apache_beam": "apache_beam", "cv2": "opencv", "google": "protobuf",
        "PIL": "pillow", "sklearn": "scikit_learn", "yaml": "pyyaml"}


class Target:
  def __init__(self, kind, name, srcs=(), deps=()):
    self.kind, self.name, self.srcs = kind, name, list(srcs)
    self.deps = {dependency.removeprefix(":") for dependency in deps}


def read_build(root: pathlib.Path) -> dict[str, Target]:
  """Runs the BUILD file as Python with stub rules."""
  targets: dict[str, Target] = {}

  def rule(kind):
    def add(name, srcs=(), deps=(), data=()):
      assert name not in targets, f"{name} is declared twice"
      targets[name] = Target(kind, name, srcs, deps)
    return add

  def glob(patterns):
    return sorted({str(p.relative_to(root)) for pattern in patterns for p in root.glob(pattern)})

  exec((root / "BUILD").read_text(), {
      "__builtins__": {}, "glob": glob, "licenses": lambda kinds: None,
      "exports_files": lambda files: None, "package": lambda **kwargs: None,
      **{kind: rule(kind) for kind in ("py_library", "py_binary", "py_test")}})
  return targets


def modules_of(root: pathlib.Path, source: str) -> set[str]:
  """What a file imports, inside functions too, as dotted names."""
  found = set()
  for node in ast.walk(ast.parse((root / source).read_text())):
    if isinstance(node, ast.Import):
      found |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0 and node.module, f"{source}: relative import"
      found |= {f"{node.module}.{alias.name}" for alias in node.names}
  return found


def target_of(root: pathlib.Path, module: str) -> str | None:
  """The library that a module belongs to: its package, or pip's; None: the standard library."""
  parts = module.split(".")
  if parts[0] == "tests":
    return "tests"
  if parts[0] not in ("jft_reps", "experiments"):
    return None if parts[0] in sys.stdlib_module_names else _PIP.get(parts[0], parts[0])
  while not (root.joinpath(*parts) / "__init__.py").exists():
    parts.pop()  # names inside of a module, and the module inside of its package
  return "/".join(parts[1:] if parts[0] == "jft_reps" and parts[1:] else parts)


@pytest.fixture(scope="module")
def targets(root):
  return read_build(root)


def test_every_file_belongs_to_exactly_one_library(root, targets):
  owned = [s for t in targets.values() if t.kind in ("py_library", "py_test") for s in t.srcs]
  tree = [str(p.relative_to(root)) for folder in ("jft_reps", "experiments", "tests")
          for p in (root / folder).rglob("*.py")]
  assert sorted(owned) == sorted(tree)


def test_declared_dependencies_are_those_that_are_imported(root, targets):
  for target in targets.values():
    if target.kind == "py_binary" or not target.srcs:
      continue
    used = {target_of(root, m) for s in target.srcs for m in modules_of(root, s)}
    used -= {None, target.name}
    assert target.deps == used, (f":{target.name} in BUILD, missing {sorted(used - target.deps)}, "
                                 f"unused {sorted(target.deps - used)}")
    assert used <= set(targets), f"{target.name}: no target {sorted(used - set(targets))}"


def test_no_folder_is_too_big_to_hold_in_mind(root):
  packages = [p.parent for p in (root / "jft_reps").rglob("__init__.py")]
  for package in [*packages, root / "experiments"]:
    assert len(list(package.glob("*.py"))) <= 20, package


def test_importing_the_package_loads_no_tensorflow(root):
  code = ("import sys, jft_reps, jft_reps.errors, jft_reps.task\n"
          "assert not {'tensorflow', 'tf_keras', 'numpy'} & set(sys.modules), 'loaded'")
  subprocess.run([sys.executable, "-c", code], check=True, cwd=root, timeout=60)


def test_every_program_has_a_target(targets, root):
  from jft_reps.apps import command_line

  for program in command_line.PROGRAMS:
    assert targets[program].kind == "py_binary"
    assert targets[program].deps == {"apps"}
    assert (root / targets[program].srcs[0]).exists()
