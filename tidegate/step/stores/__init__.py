"""The stores: one small protocol, three places to keep objects, the URL chooses.

`store_for(url)` gives the store of a URL; `Stores()` is a store for every URL. Clients are imported and made when
the first object of their scheme is asked for.
"""

from __future__ import annotations

from tidegate.step.stores.protocol import Body, Data, Stat, Store
from tidegate.step.stores.router import Stores, store_for

__all__ = ["Body", "Data", "Stat", "Store", "Stores", "store_for"]
