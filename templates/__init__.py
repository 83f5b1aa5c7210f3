"""The Jinja2 templates of the emitted source, installed as the package `symda.templates`."""
