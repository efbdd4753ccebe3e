"""Metrics of a server, over HTTP: `from semantic import connect`, with an address.

    with connect("https://metrics.example.com", token=…) as ducat:
        ducat.query(measures=["flights.count"], dimensions=["flights.carrier"]).to_polars()

Rows come as Arrow, with the types that the model's numbers have, never as JSON. This package needs
httpx and pyarrow, and nothing of the engine.
"""

from semantic.client.asynchronous import AsyncAnswer, AsyncClient
from semantic.client.client import Answer, Client
from semantic.client.errors import (
    AccessRefusedError,
    AnswerTimeoutError,
    BrokenAnswerError,
    DucatClientError,
    RefusedError,
    ServerFailedError,
    UnreachableError,
)
from semantic.client.token import Token

__all__ = [
    "AccessRefusedError",
    "Answer",
    "AnswerTimeoutError",
    "AsyncAnswer",
    "AsyncClient",
    "BrokenAnswerError",
    "Client",
    "DucatClientError",
    "RefusedError",
    "ServerFailedError",
    "Token",
    "UnreachableError",
]
