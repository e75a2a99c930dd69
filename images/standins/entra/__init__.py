"""Microsoft Entra for stand-ins: `Entra` issues tokens, and `Keys` checks them as a service of Azure does.

Whoever knows the client secret gets a token; whoever brings an assertion of a certificate; whoever brings a federated
token of the issuer that is trusted, such as a cluster's service accounts have; and what the machine itself asks by its
metadata endpoint. Tokens are signed (RS256), and what checks them fetches the public keys, as from the true one.

Not the real thing: every client id is known, nobody has registered a certificate, so its signature proves nothing, and
roles are nobody's.
"""

from entra.checking import Keys
from entra.issuing import Entra
from entra.tokens import Unacceptable

__all__ = ["Entra", "Keys", "Unacceptable"]
