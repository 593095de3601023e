"""Switches the lab on for every test below this folder."""

pytest_plugins = ["harness.plugin"]
