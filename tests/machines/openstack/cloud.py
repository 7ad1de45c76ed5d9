#!/usr/bin/env python3
"""A stand-in for an OpenStack cloud: the parts of Keystone, Nova, Neutron and Glance that ansible/ speaks to, in memory.

Requests and answers have the shape of the samples in the published API references (docs.openstack.org/api-ref). What has no
sample here is answered with 501 and told on standard error, so that a test cannot pass by it.

Usage: cloud.py PORT_FILE ID SECRET     listens on a free loopback port, writes it to PORT_FILE; takes this application credential
"""

import http.server
import json
import sys
import urllib.parse

from resources import Cloud, NoSample, Refused

REGION = "RegionOne"


class Handler(http.server.BaseHTTPRequestHandler):
    """Takes a request apart, asks the service that its path names, and writes the answer."""

    protocol_version = "HTTP/1.1"
    cloud: Cloud
    credential: tuple[str, str]
    tokens: set[str] = set()

    def do_GET(self):
        self.answer("GET")

    def do_POST(self):
        self.answer("POST")

    def do_PUT(self):
        self.answer("PUT")

    def do_DELETE(self):
        self.answer("DELETE")

    def answer(self, method):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        try:
            status, content, headers = self.route(method, url.path.strip("/").split("/"), query, body)
        except Refused as refused:
            status, content, headers = refused.status, {"error": {"code": refused.status, "message": str(refused)}}, {}
            if isinstance(refused, NoSample):
                print(refused, file=sys.stderr, flush=True)
        self.write(status, content, headers)

    def write(self, status, content, headers):
        data = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def route(self, method, path, query, body):
        service, rest = path[0], path[1:]
        if service == "identity" and rest in ([], ["v3"]):
            return 200, self.identity_version(whole=not rest), {}
        if service == "identity" and rest == ["v3", "auth", "tokens"] and method == "POST":
            return self.authenticate(body)
        if self.headers.get("X-Auth-Token") not in self.tokens:
            raise Refused(401, "The request you have made requires authentication.")
        versions = {"compute": self.compute_version, "network": self.network_version, "image": self.image_version}
        if service in versions and len(rest) <= 1:
            return 200, versions[service](), {}
        status, content = self.cloud.call(method, service, rest[1:], query, body)
        return status, content, {}

    def base(self, service):
        return f"http://{self.headers['Host']}/{service}"

    def identity_version(self, whole):
        version = {
            "id": "v3.14",
            "status": "stable",
            "updated": "2020-04-07T00:00:00Z",
            "links": [{"rel": "self", "href": self.base("identity/v3/")}],
            "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
        }
        return {"versions": {"values": [version]}} if whole else {"version": version}

    def compute_version(self):
        return {
            "version": {
                "id": "v2.1",
                "status": "CURRENT",
                "version": "2.79",
                "min_version": "2.1",
                "updated": "2013-07-23T11:33:21Z",
                "links": [{"rel": "self", "href": self.base("compute/v2.1/")}],
            }
        }

    def network_version(self):
        return {"versions": [{"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": self.base("network/v2.0/")}]}]}

    def image_version(self):
        return {"versions": [{"id": "v2.9", "status": "CURRENT", "links": [{"rel": "self", "href": self.base("image/v2/")}]}]}

    def authenticate(self, body):
        """POST /v3/auth/tokens with an application credential: the token in a header, the catalogue in the body."""
        identity = body.get("auth", {}).get("identity", {})
        given = identity.get("application_credential", {})
        if identity.get("methods") != ["application_credential"] or (given.get("id"), given.get("secret")) != self.credential:
            raise Refused(401, "The request you have made requires authentication.")
        token = f"gAAAAAB{len(self.tokens):08d}"
        self.tokens.add(token)
        catalogue = {"identity": "identity/v3", "compute": "compute/v2.1", "network": "network", "image": "image"}
        content = {
            "token": {
                "methods": ["application_credential"],
                "expires_at": "2099-01-01T00:00:00.000000Z",
                "issued_at": "2026-01-01T00:00:00.000000Z",
                "user": {"id": "u1", "name": "tailrace", "domain": {"id": "default", "name": "Default"}},
                "project": {"id": "p1", "name": "tailrace", "domain": {"id": "default", "name": "Default"}},
                "roles": [{"id": "r1", "name": "member"}],
                "catalog": [
                    {
                        "id": kind,
                        "type": kind,
                        "name": kind,
                        "endpoints": [
                            {"id": kind, "interface": "public", "region": REGION, "region_id": REGION, "url": self.base(path)}
                        ],
                    }
                    for kind, path in catalogue.items()
                ],
            }
        }
        return 201, content, {"X-Subject-Token": token}

    def log_message(self, *_):
        """Requests are told only where there is no sample of them."""


def main():
    port_file, identifier, secret = sys.argv[1:]
    Handler.cloud, Handler.credential = Cloud(), (identifier, secret)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    with open(port_file, "w", encoding="ascii") as file:
        file.write(str(server.server_port))
    server.serve_forever()


if __name__ == "__main__":
    main()
