"""Makes sample.mmdb: countries and autonomous systems of the demo's addresses, all of them invented.

    python3 -m venv venv && venv/bin/pip install mmdb_writer==0.2.7 && venv/bin/python sample.py
"""
from netaddr import IPSet
from mmdb_writer import MMDBWriter

COUNTRIES = {
    "BR": "Brazil", "CN": "China", "DE": "Germany", "FR": "France", "ID": "Indonesia", "IN": "India",
    "NL": "Netherlands", "RU": "Russia", "SG": "Singapore", "US": "United States", "VN": "Vietnam",
    "ZA": "South Africa",
}
# The attackers of 198.18.0.0/15, each in a /24; AS numbers of documentation (RFC 5398).
ATTACKERS = ["NL", "US", "RU", "CN", "NL", "DE", "VN", "BR", "US", "IN", "FR", "ID"]

writer = MMDBWriter(6, "sipward-demo", languages=["en"], ipv4_compatible=True, int_type="u32")


def put(network, code, number, name):
    writer.insert_network(IPSet([network]), {
        "country": {"iso_code": code, "names": {"en": COUNTRIES[code]}},
        "autonomous_system_number": number,
        "autonomous_system_organization": name,
    })


for n, code in enumerate(ATTACKERS):
    put(f"198.18.{n}.0/24", code, 64496 + n % 4, f"Example Hosting {1 + n % 4}")
put("2001:db8:bad:1::/64", "SG", 64500, "Example Cloud")
put("2001:db8:bad:2::/64", "ZA", 64500, "Example Cloud")
put("192.0.2.0/24", "DE", 64505, "Example Telecom")
put("198.51.100.0/24", "DE", 64505, "Example Telecom")
put("203.0.113.0/24", "DE", 64505, "Example Telecom")
writer.to_db_file("sample.mmdb")
