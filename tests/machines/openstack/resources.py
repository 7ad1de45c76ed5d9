"""What the stand-in cloud holds, and what can be done with it."""

import threading
import uuid


class Refused(Exception):
    """An answer that is not what was asked for, with its HTTP status."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class NoSample(Refused):
    """A request that this stand-in knows no answer to; the test fails by it."""

    def __init__(self, method, service, path):
        super().__init__(501, f"no sample of {method} {service} {'/'.join(path)}")


class Collection:
    """Resources of one kind: made, listed by equal fields, shown, deleted."""

    def __init__(self, name, one, key="id", made=200):
        self.name, self.one, self.key, self.made = name, one, key, made
        self.items = {}

    def add(self, item):
        item.setdefault("id", str(uuid.uuid4()))
        self.items[item[self.key]] = item
        return item

    def get(self, key):
        if key not in self.items:
            raise Refused(404, f"{self.one} {key} could not be found.")
        return self.items[key]

    def find(self, query):
        wanted = {name: value for name, value in query.items() if name not in ("limit", "marker", "fields", "sort_key", "sort_dir")}
        return [item for item in self.items.values() if all(str(item.get(n, v)).lower() == v.lower() for n, v in wanted.items())]


class Cloud:
    """The state of all services, and the rules that the tests rely on."""

    def __init__(self):
        self.lock = threading.RLock()
        self.flavors = Collection("flavors", "flavor")
        self.keypairs = Collection("keypairs", "keypair", key="name")
        self.servers = Collection("servers", "server", made=202)
        self.images = Collection("images", "image")
        self.networks = Collection("networks", "network")
        self.subnets = Collection("subnets", "subnet")
        self.ports = Collection("ports", "port", made=201)
        self.groups = Collection("security_groups", "security_group", made=201)
        self.rules = Collection("security_group_rules", "security_group_rule", made=201)
        self.floating = Collection("floatingips", "floatingip", made=201)
        self.furnish()

    def furnish(self):
        """What a cloud has before anybody makes anything."""
        self.flavors.add({"name": "m1.medium", "vcpus": 2, "ram": 4096, "disk": 40, "swap": "", "rxtx_factor": 1.0, "links": [],
                          "os-flavor-access:is_public": True, "OS-FLV-EXT-DATA:ephemeral": 0, "OS-FLV-DISABLED:disabled": False})
        self.images.add({"name": "debian-12", "status": "active", "visibility": "public", "owner": "p1", "min_disk": 2, "min_ram": 0,
                         "disk_format": "qcow2", "container_format": "bare", "tags": [], "protected": False, "size": 1})
        inside = self.networks.add(self.network("private", external=False))
        outside = self.networks.add(self.network("public", external=True))
        for network, cidr in ((inside, "10.0.0.0/24"), (outside, "203.0.113.0/24")):
            subnet = self.subnets.add({"name": network["name"], "network_id": network["id"], "cidr": cidr, "ip_version": 4, "tenant_id": "p1",
                                       "gateway_ip": cidr.replace("0/24", "1"), "enable_dhcp": True, "dns_nameservers": []})
            network["subnets"].append(subnet["id"])
        self.add_group({"name": "default", "description": "Default security group"})

    def network(self, name, external):
        return {"name": name, "status": "ACTIVE", "admin_state_up": True, "router:external": external, "shared": external, "subnets": [],
                "tenant_id": "p1", "project_id": "p1", "mtu": 1500, "port_security_enabled": True}

    def call(self, method, service, path, query, body):
        """Runs one request; returns status and content."""
        with self.lock:
            if service == "compute":
                return self.compute(method, path, query, body)
            if service == "network":
                return self.neutron(method, path, query, body)
            if service == "image" and path[:1] == ["images"] and method == "GET":
                return self.read(self.images, path[1:], query, wrapped=False)
            raise NoSample(method, service, path)

    def read(self, collection, path, query, wrapped=True):
        if path:
            item = collection.get(path[0])
            return 200, {collection.one: item} if wrapped else item
        return 200, {collection.name: collection.find(query)}

    # Nova

    def compute(self, method, path, query, body, service="compute"):
        what, rest = path[0], path[1:]
        if what == "flavors" and method == "GET":
            if rest[1:] == ["os-extra_specs"]:
                return 200, {"extra_specs": {}}
            return self.read(self.flavors, [part for part in rest if part != "detail"], {})
        if what == "os-keypairs":
            return self.keypair(method, rest, body)
        if what == "servers":
            return self.server(method, rest, query, body)
        raise NoSample(method, service, path)

    def keypair(self, method, path, body):
        if method == "POST":
            given = body["keypair"]
            if given["name"] in self.keypairs.items:
                raise Refused(409, f"Key pair '{given['name']}' already exists.")
            made = {"name": given["name"], "public_key": given["public_key"], "fingerprint": "00:11", "user_id": "u1", "type": "ssh"}
            self.keypairs.add(made)
            return 201, {"keypair": made}
        if method == "DELETE":
            del self.keypairs.items[self.keypairs.get(path[0])["name"]]
            return 202, None
        if path:
            return 200, {"keypair": self.keypairs.get(path[0])}
        return 200, {"keypairs": [{"keypair": pair} for pair in self.keypairs.items.values()]}

    def server(self, method, path, query, body, service="servers"):
        if method == "POST" and not path:
            return 202, {"server": self.add_server(body["server"])}
        if method == "DELETE" and len(path) == 1:
            self.remove_server(self.servers.get(path[0]))
            return 204, None
        if method == "GET" and path[1:] == ["os-interface"]:
            return 200, {"interfaceAttachments": []}
        if method == "GET" and path[1:] == ["os-volume_attachments"]:
            return 200, {"volumeAttachments": []}
        if method == "GET" and path[1:] == ["os-security-groups"]:
            return 200, {"security_groups": [self.group(g) for g in self.servers.get(path[0])["security_groups"]]}
        if method == "GET" and len(path) <= 1:
            path = [part for part in path if part != "detail"]
            query = {name: value for name, value in query.items() if name == "name"}
            for server in self.servers.items.values():
                self.advance(server)
            return self.read(self.servers, path, query)
        raise NoSample(method, service, path)

    def add_server(self, given):
        """A server is built for the time of one look at it, then active, as a real one that is waited for."""
        image, flavor = self.images.get(given["imageRef"]), self.flavors.get(given["flavorRef"])
        if given.get("key_name") not in self.keypairs.items:
            raise Refused(400, "Invalid key_name provided.")
        number = 10 + len(self.ports.items)
        networks = [self.networks.get(wanted["uuid"]) for wanted in given["networks"]]
        server = self.servers.add({
            "name": given["name"], "status": "BUILD", "tenant_id": "p1", "user_id": "u1", "metadata": given.get("metadata", {}),
            "image": {"id": image["id"], "links": []}, "flavor": {"id": flavor["id"], "links": []}, "key_name": given["key_name"],
            "security_groups": given.get("security_groups", [{"name": "default"}]), "addresses": {}, "links": [], "accessIPv4": "",
            "accessIPv6": "", "config_drive": "", "created": "2026-01-01T00:00:00Z", "updated": "2026-01-01T00:00:00Z", "hostId": "",
            "OS-EXT-STS:vm_state": "building", "OS-EXT-STS:task_state": "spawning", "OS-EXT-STS:power_state": 0, "OS-DCF:diskConfig": "AUTO",
            "OS-EXT-AZ:availability_zone": "nova", "os-extended-volumes:volumes_attached": []})
        for network in networks:
            address = f"10.0.0.{number}"
            server["addresses"][network["name"]] = [
                {"addr": address, "version": 4, "OS-EXT-IPS:type": "fixed", "OS-EXT-IPS-MAC:mac_addr": f"fa:16:3e:00:00:{number:02x}"}]
            self.ports.add({"device_id": server["id"], "network_id": network["id"], "status": "ACTIVE", "tenant_id": "p1", "name": "",
                            "device_owner": "compute:nova", "mac_address": f"fa:16:3e:00:00:{number:02x}", "admin_state_up": True,
                            "fixed_ips": [{"ip_address": address, "subnet_id": network["subnets"][0]}],
                            "security_groups": [self.group(g)["id"] for g in server["security_groups"]]})
        return {"id": server["id"], "links": [], "security_groups": server["security_groups"], "OS-DCF:diskConfig": "AUTO", "adminPass": ""}

    def advance(self, server):
        if server.pop("seen", False):
            server.update({"status": "ACTIVE", "OS-EXT-STS:vm_state": "active", "OS-EXT-STS:task_state": None, "OS-EXT-STS:power_state": 1})
        elif server["status"] == "BUILD":
            server["seen"] = True

    def remove_server(self, server):
        for port in [port for port in self.ports.items.values() if port["device_id"] == server["id"]]:
            for address in self.floating.items.values():
                if address["port_id"] == port["id"]:
                    address.update({"port_id": None, "fixed_ip_address": None, "status": "DOWN"})
            del self.ports.items[port["id"]]
        del self.servers.items[server["id"]]

    def group(self, wanted):
        for group in self.groups.items.values():
            if wanted["name"] in (group["name"], group["id"]):
                return group
        raise Refused(400, f"Security group {wanted['name']} not found.")

    # Neutron

    def neutron(self, method, path, query, body, service="network"):
        collections = {"networks": self.networks, "subnets": self.subnets, "ports": self.ports, "security-groups": self.groups,
                       "security-group-rules": self.rules, "floatingips": self.floating}
        if path[:1] == ["extensions"]:
            return 200, {"extensions": []}
        if path[0] not in collections:
            raise NoSample(method, service, path)
        collection = collections[path[0]]
        if method == "GET":
            return self.read(collection, path[1:], query)
        if method == "DELETE":
            return self.remove(collection, collection.get(path[1]))
        given = body[collection.one]
        makers = {"security-groups": self.add_group, "security-group-rules": self.add_rule, "floatingips": self.add_floating}
        if method == "POST" and path[0] in makers:
            return 201, {collection.one: makers[path[0]](given)}
        if method == "PUT" and path[0] == "floatingips":
            return 200, {collection.one: self.bind(collection.get(path[1]), given)}
        raise NoSample(method, service, path)

    def remove(self, collection, item):
        if collection is self.groups:
            if any(item["id"] in port["security_groups"] for port in self.ports.items.values()):
                raise Refused(409, f"Security Group {item['id']} in use.")
            for rule in item["security_group_rules"]:
                self.rules.items.pop(rule["id"], None)
        if collection is self.rules:
            rules = self.groups.get(item["security_group_id"])["security_group_rules"]
            rules.remove(item)
        del collection.items[item["id"]]
        return 204, None

    def add_group(self, given):
        """A new group lets everything out, as Neutron's do."""
        group = self.groups.add({"name": given["name"], "description": given.get("description", ""), "tenant_id": "p1", "project_id": "p1",
                                 "stateful": True, "security_group_rules": [], "tags": []})
        for version in ("IPv4", "IPv6"):
            self.add_rule({"security_group_id": group["id"], "direction": "egress", "ethertype": version})
        return group

    def add_rule(self, given):
        fields = ("direction", "ethertype", "protocol", "port_range_min", "port_range_max", "remote_ip_prefix", "remote_group_id", "description")
        rule = {name: given.get(name) for name in fields} | {"security_group_id": given["security_group_id"], "tenant_id": "p1", "project_id": "p1"}
        group = self.groups.get(given["security_group_id"])
        for other in group["security_group_rules"]:
            if all(other[name] == rule[name] for name in fields):
                raise Refused(409, f"Security group rule already exists. Rule id is {other['id']}.")
        group["security_group_rules"].append(self.rules.add(rule))
        return rule

    def add_floating(self, given):
        network = self.networks.get(given["floating_network_id"])
        if not network["router:external"]:
            raise Refused(400, f"Network {network['id']} is not a valid external network for floating IP.")
        address = self.floating.add({
            "floating_ip_address": f"203.0.113.{10 + len(self.floating.items)}", "floating_network_id": network["id"], "port_id": None,
            "fixed_ip_address": None, "router_id": None, "status": "DOWN", "tenant_id": "p1", "project_id": "p1",
            "description": given.get("description", ""), "tags": []})
        return self.bind(address, given)

    def bind(self, address, given):
        """To a port, or to none; a server shows its floating address beside the fixed one."""
        for server in self.servers.items.values():
            for addresses in server["addresses"].values():
                addresses[:] = [one for one in addresses if one["addr"] != address["floating_ip_address"]]
        port = self.ports.items.get(given.get("port_id"))
        address.update({"port_id": port and port["id"], "fixed_ip_address": port and port["fixed_ips"][0]["ip_address"],
                        "status": "ACTIVE" if port else "DOWN"})
        if port:
            server, network = self.servers.get(port["device_id"]), self.networks.get(port["network_id"])
            server["addresses"][network["name"]].append(
                {"addr": address["floating_ip_address"], "version": 4, "OS-EXT-IPS:type": "floating", "OS-EXT-IPS-MAC:mac_addr": port["mac_address"]})
        return address
