"""The package list, derived from the folders: ``analyzer``, ``rules`` and ``rewrites`` install as subpackages
of ``accelint``.
"""

from setuptools import find_packages, setup

FOLDERS = ("analyzer", "rules", "rewrites")
found = find_packages(include=[pattern for folder in FOLDERS for pattern in (folder, f"{folder}.*")])
setup(
    packages=["accelint", *(f"accelint.{name}" for name in found)],
    package_dir={"accelint": "accelint", **{f"accelint.{name}": name.replace(".", "/") for name in found}},
)
