"""A run on the disk as it goes: a journal to go on from, a dataset in Zarr to read."""

from symda.anneal.storage.folder import (
    COMMAND,
    RunStore,
    StoredRun,
    begun_by,
    dataset_of,
    is_store,
    record_of,
    stored_run,
)
from symda.anneal.storage.identity import identity
from symda.anneal.storage.ledger import StoreWarning

__all__ = [
    "COMMAND",
    "RunStore",
    "StoreWarning",
    "StoredRun",
    "begun_by",
    "dataset_of",
    "identity",
    "is_store",
    "record_of",
    "stored_run",
]
