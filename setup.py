"""Packaging of jft_reps.

The wheel has the rows of `experiments/` too, so that --config=own:small is found without a clone;
its benchmarks and results stay in the clone.
"""

import pathlib
import re

from setuptools import find_packages, setup

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "jft_reps" / "__init__.py").read_text())[1]

TENSORFLOW = "tensorflow~=2.20.0"

setup(
    name="jft_reps",
    version=VERSION,
    description="Pre-training on large, noisy picture collections with parameter servers, and "
    "what it does for other vision tasks (Sun et al., ICCV 2017)",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=find_packages(
        include=["jft_reps", "jft_reps.*", "experiments", "experiments.study"]),
    package_data={"jft_reps": ["py.typed"], "jft_reps.data.records": ["keypoint_schemas/*.json"]},
    install_requires=[
        TENSORFLOW,
        "tf_keras~=2.20.0",
        "tf-models-official~=2.20.0",
        "tensorflow-datasets",
        "importlib_resources",  # tensorflow-datasets 4.9 needs it and does not say so
        "numpy",
        "absl-py",
        "pycocotools>=2.0.11",
        "ml_collections",
        "tensorboard~=2.20.0",
        "setuptools<82",  # TensorBoard 2.20 imports pkg_resources
        "pillow",
        "opencv-python-headless",
        "h5py",
        "safetensors>=0.6.2",
        "ml_dtypes",  # TensorFlow has it too
        "scipy>=1.15",
        "google-crc32c",
        "matplotlib",
        "pyyaml",
    ],
    extras_require={
        "gpu": ["tensorflow[and-cuda]~=2.20.0"],
        "fast-coco": ["faster-coco-eval>=1.7"],
        "beam": ["apache-beam>=2.70"],
        "dedup": ["usearch>=2.17"],
        "test": ["pytest>=8", "pytest-xdist>=3.5", "hypothesis>=6", "scikit-learn",
                 "faster-coco-eval>=1.7", "apache-beam>=2.70", "usearch>=2.17",
                 "ruff>=0.6", "mypy>=1.11", "import-linter>=2.6"],
    },
    entry_points={"console_scripts": ["jft-reps = jft_reps.apps.command_line:main"]},
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
)
