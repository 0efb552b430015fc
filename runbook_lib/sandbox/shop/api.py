"""The shop's front: lists and takes orders, logs customers in."""

import functools
import hmac
import http.client
import json
import sys
from pathlib import Path

import psycopg
import redis
from prometheus_client import REGISTRY, Gauge
from psycopg import sql
from psycopg_pool import ConnectionPool

from runbook_lib.sandbox import valkey
from runbook_lib.sandbox.schema import password_hash
from runbook_lib.sandbox.settings import HOST, Settings
from runbook_lib.sandbox.shop.log import json_log
from runbook_lib.sandbox.shop.web import Fields, server

LIST = (
    "SELECT id, reference, status, amount, created_at FROM {table} "
    "WHERE {column} = %s ORDER BY created_at DESC LIMIT 20"
)
GET = "SELECT id, reference, status, amount, created_at FROM {table} WHERE id = %s"
TAKE = "UPDATE products SET stock = stock - 1 WHERE id = %s RETURNING price"
INSERT = (
    "INSERT INTO {table} (reference, address, note, status, {column}, product_id, amount) "
    "VALUES (%s, %s, '', 'new', %s, %s, %s) RETURNING id"
)
LOGIN = "SELECT id, password_salt, password_hash FROM customers WHERE email = %s"
SEEN = "UPDATE customers SET last_login = now() WHERE id = %s"
UNAVAILABLE = (psycopg.Error, redis.RedisError, http.client.HTTPException, OSError)


class Api:
    """Orders go through a pool; a login opens a session of its own, as the old code did that nobody has touched."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.conninfo = settings.conninfo("api", "api")
        # Failed attempts are given up quickly: the next request tries again, so that the pool is back at once.
        self.pool = ConnectionPool(
            self.conninfo,
            kwargs={"autocommit": True},
            min_size=4,
            max_size=12,
            timeout=2,
            max_idle=30,
            reconnect_timeout=1,
            open=True,
        )
        self.redis = valkey.client(settings)
        names = {"table": sql.Identifier(settings.names.table), "column": sql.Identifier(settings.names.column)}
        self.list, self.get, self.insert = (sql.SQL(text).format(**names) for text in (LIST, GET, INSERT))

    def list_orders(self, parameters: dict[str, str]) -> tuple[int, Fields]:
        with self.pool.connection() as connection:
            rows = connection.execute(self.list, (int(parameters["customer"]),)).fetchall()
        return 200, {"orders": rows}

    def get_order(self, parameters: dict[str, str]) -> tuple[int, Fields]:
        with self.pool.connection() as connection:
            row = connection.execute(self.get, (int(parameters["id"]),)).fetchone()
        return (200, {"order": row}) if row else (404, {"error": "no such order"})

    def create_order(self, parameters: dict[str, str]) -> tuple[int, Fields]:
        customer, product = int(parameters["customer"]), int(parameters["product"])
        reference = self._charge(10)
        with self.pool.connection() as connection, connection.transaction():
            price = connection.execute(TAKE, (product,)).fetchone()
            values = (reference, "1 Long Street", customer, product, price[0] if price else 0)
            row = connection.execute(self.insert, values).fetchone()
        order = row[0] if row else 0
        self.redis.rpush(self.settings.names.jobs, json.dumps({"id": order}))
        return 201, {"id": order}

    def login(self, parameters: dict[str, str]) -> tuple[int, Fields]:
        with psycopg.connect(self.conninfo, autocommit=True) as connection:
            row = connection.execute(LOGIN, (parameters["email"],)).fetchone()
            if row is None or not hmac.compare_digest(password_hash(parameters["password"], row[1]), row[2]):
                return 401, {"error": "unknown customer or wrong password"}
            connection.execute(SEEN, (row[0],))
        return 200, {"customer": row[0]}

    def health(self, _: dict[str, str]) -> tuple[int, Fields]:
        """Whether the shop can serve: its database and its queue answer."""
        with self.pool.connection(timeout=1) as connection:
            connection.execute("SELECT 1")
        self.redis.ping()
        return 200, {"status": "ok"}

    def ready(self, _: dict[str, str]) -> tuple[int, Fields]:
        """Whether this process has started."""
        return 200, {"status": "ready"}

    def watch_pool(self) -> None:
        """Gauges that ask the pool when they are read."""
        for name, key in (("size", "pool_size"), ("available", "pool_available"), ("waiting", "requests_waiting")):
            gauge = Gauge(f"db_pool_{name}", f"{name} of the database pool", registry=REGISTRY)
            gauge.set_function(functools.partial(self._pool_statistic, key))

    def _pool_statistic(self, key: str) -> float:
        return self.pool.get_stats().get(key, 0)

    def _charge(self, amount: int) -> str:
        connection = http.client.HTTPConnection(HOST, self.settings.ports["payments"], timeout=2)
        try:
            connection.request("POST", "/charge", json.dumps({"amount": amount}))
            return str(json.loads(connection.getresponse().read())["authorization"])
        finally:
            connection.close()


def main(state: Path) -> None:
    settings = Settings.read(state)
    json_log(state, "api")
    api = Api(settings)
    api.watch_pool()
    routes = {
        "GET /orders": api.list_orders,
        "GET /order": api.get_order,
        "POST /orders": api.create_order,
        "POST /login": api.login,
        "GET /health": api.health,
        "GET /ready": api.ready,
    }
    server(settings.ports["api"], routes, UNAVAILABLE).serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
