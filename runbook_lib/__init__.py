"""Incident-response runbooks that run: ask every system, judge the answers, propose, prove."""

__version__ = "0.1.0"
