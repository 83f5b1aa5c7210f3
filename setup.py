"""What pyproject.toml cannot say: all packages in symda/, and templates/ as symda.templates."""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["symda", "symda.*"]), "symda.templates"],
    package_dir={"symda.templates": "templates"},
)
