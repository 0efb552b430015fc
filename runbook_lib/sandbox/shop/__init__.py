"""The shop: real processes that talk to real servers, each run as `python -m runbook_lib.sandbox.shop.NAME STATE`."""
