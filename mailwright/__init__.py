"""Mailwright turns what people do into e-mail written for each of them."""

__version__ = "0.1.0"
