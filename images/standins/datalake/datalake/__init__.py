"""A stand-in for Azure Data Lake Storage Gen2: the calls of its SDK, translated to a blob service that is Azurite.

What Azurite knows itself (filesystems, properties, downloads) is passed on byte for byte, with its signatures. What it
does not know (create, append, flush, rename, list and delete of paths) is made of blob calls here, after the
signature was checked; so are tokens of an Entra, and the keys and links that it delegates to their owners. Not the real
thing: a rename is a copy and a removal, whole for those who read, but a kill in between leaves the source too; there
are no access control lists, no roles and no leases.

Calls that can be told to go wrong, by the admin endpoint of `faults`: create, append, flush, rename, list, delete,
delegate, and blob for whatever is passed on.
"""
