"""Names that derive from the seed, so that no reader of the sandbox can know them beforehand."""

import random
from dataclasses import dataclass

TABLES = ("bookings", "orders", "purchases", "reservations", "shipments")
COLUMNS = ("account_id", "client_id", "customer_id", "member_id")
LISTS = ("jobs:confirmations", "jobs:receipts", "queue:emails", "queue:notifications", "tasks:fulfilment")
SYNCS = ("catalog-publish", "invoice-export", "ledger-sync", "loyalty-sync", "stock-feed", "warehouse-sync")
JOBS = (
    "account-merge",
    "data-retention",
    "fraud-review",
    "nightly-billing",
    "price-import",
    "stock-count",
    "tax-update",
)
REPORTS = ("audit-export", "finance-report", "margin-report", "payout-batch", "segment-builder", "sla-report")
MIGRATIONS = ("alembic", "dbmate", "flyway", "liquibase", "sqitch")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the shop of one sandbox calls its things.

    `table` holds the orders, `column` says whose they are (the hot query's filter), `jobs` is the list that the worker
    takes from, `sync` is the background service and its application name.
    """

    table: str
    column: str
    jobs: str
    sync: str

    @property
    def index(self) -> str:
        """The index that the hot query lives on."""
        return f"{self.table}_{self.column}_idx"


def names(seed: int) -> Names:
    """The same seed gives the same names."""
    chance = random.Random(seed)  # noqa: S311 - reproducible on purpose, no secret
    return Names(
        table=chance.choice(TABLES),
        column=chance.choice(COLUMNS),
        jobs=chance.choice(LISTS),
        sync=chance.choice(SYNCS),
    )
