"""The command line: one module a command; errors are one line each, tracebacks only with --debug."""

from sim.cli.app import main

__all__ = ["main"]
