"""Runs every check of scim2-tester against a SCIM server, and prints what it found as JSON.

python scim_tester.py http://127.0.0.1:8080/scim/v2 TOKEN
"""

import collections
import json
import sys

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import check_server

url, token = sys.argv[1:3]
scim = SyncSCIMClient(Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30))
scim.discover()
results = check_server(scim)
print(
    json.dumps(
        {
            "results": len(results),
            "counts": collections.Counter(result.status.name for result in results),
            "not_green": [
                f"{result.status.name} {result.title}: {result.reason}"
                for result in results
                if result.status.name not in ("SUCCESS", "COMPLIANT")
            ],
        }
    )
)
