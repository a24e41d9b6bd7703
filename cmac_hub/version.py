"""The package's version, apart from the public face so that every module may import it."""

__version__ = "0.2.0"
