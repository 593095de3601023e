"""Holds the Go isolator's source; a package so that an installed lab carries it too."""
