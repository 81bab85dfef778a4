"""names: what each syntax takes, and the words for what it refuses."""

from __future__ import annotations

import pytest

from trireme.machinery import names

SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    r"for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)


def test_messages() -> None:
    assert names.is_dns1123_subdomain("A") == [SUBDOMAIN]
    assert names.is_dns1123_label("A_") == [LABEL]
    assert names.is_dns1123_label("a.b") == ["must not contain dots"]
    assert names.is_dns1123_label("a" * 64) == ["must be no more than 63 characters"]
    assert names.is_label_value("a" * 64) == ["must be no more than 63 bytes"]
    assert names.is_qualified_name("/a") == ["prefix part must be non-empty"]
    assert names.is_qualified_name("a/b/c")[0].startswith("a valid label key must consist of")
    assert names.is_qualified_name("X/b") == ["prefix part " + SUBDOMAIN]
    assert names.is_config_key("..") == ["must not be '..'"]
    assert names.is_config_key("..a") == ["must not start with '..'"]
    assert names.is_path_segment("a/%") == ["may not contain '/'", "may not contain '%'"]
    assert names.is_port_number(0) == ["must be between 1 and 65535, inclusive"]
    assert names.is_ip("1.2.3") == ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    assert names.is_ip("2001:DB8::1") == ['must be in canonical form ("2001:db8::1")']
    assert names.is_legacy_ip("010.0.0.1") == ["must not have leading 0s"]
    assert names.is_legacy_ip("::ffff:1.2.3.4") == ["must not be an IPv4-mapped IPv6 address"]
    assert names.is_legacy_cidr("10.0.0.1/8") == ["must not have bits set beyond the prefix length"]
    assert names.is_legacy_cidr("10.0.0.0/08") == [
        "must not have leading 0s in IP or prefix length"
    ]
    assert names.is_http_header_name("a b") == [
        "a valid HTTP header must consist of alphanumeric characters or '-' "
        "(e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')"
    ]


GOOD = {
    names.is_dns1123_label: ["a", "1", "a-b", "a" * 63],
    names.is_dns1123_subdomain: ["a", "a.b", "1.2", "a-b.c-d", "a" * 253],
    names.is_dns1035_label: ["a", "a1", "a-1"],
    names.is_wildcard_dns1123_subdomain: ["*.a", "*.a.b"],
    names.is_qualified_name: ["a", "A_b.c", "a.b/C", "1/2", "a" * 63],
    names.is_label_value: ["", "a", "A.b_c-d", "1"],
    names.is_c_identifier: ["a", "_", "A1"],
    names.is_relaxed_env_var_name: ["1", "a b", "!"],
    names.is_config_key: ["a", ".a", "-", "A.b", "..."[:1] + "x"],
    names.is_port_name: ["http", "a-1", "1a"],
    names.is_percent: ["0%", "100%"],
    names.is_ip: ["1.2.3.4", "::1", "2001:db8::1"],
    names.is_legacy_ip: ["1.2.3.4", "2001:DB8::1"],
    names.is_cidr: ["10.0.0.0/8", "2001:db8::/64", "0.0.0.0/0"],
    names.is_path_segment: ["a", "A:b", "...", "system:x"],
    names.is_domain_prefixed_path: ["acme.io/foo", "a/b/c"],
    names.is_fully_qualified_name: ["a.b.c"],
    names.is_fully_qualified_domain_name: ["a.b", "a.b."],
}
BAD = {
    names.is_dns1123_label: ["", "-a", "a-", "A", "a\n", "é"],
    names.is_dns1123_subdomain: ["", ".", "a.", ".a", "a..b", "a_b", "a" * 254, "a\n"],
    names.is_dns1035_label: ["", "1a", "a."],
    names.is_wildcard_dns1123_subdomain: ["*", "a", "*.*.a", "*a"],
    names.is_qualified_name: ["", "a/", "-a", "a b", "a" * 64, "A/b", "a\n"],
    names.is_label_value: ["-", "a/", "a" * 64, "é", "a\n"],
    names.is_c_identifier: ["", "1", "a-"],
    names.is_relaxed_env_var_name: ["", "a=b", "é", "\t"],
    names.is_config_key: ["", "a/b", "a" * 254],
    names.is_port_name: ["", "1", "-a", "a--b", "A", "a" * 16],
    names.is_percent: ["", "1", "-1%", "1.5%"],
    names.is_ip: ["", "a", "1.2.3.4/8", "fe80::1%eth0", "01.2.3.4"],
    names.is_cidr: ["10.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "a/8", "10.0.0.0/ 8", "10.0.0.1/8"],
    names.is_path_segment: [".", "..", "a/b"],
    names.is_domain_prefixed_path: ["a", "/a", "a/", "A/b", "a/b c"],
    names.is_fully_qualified_name: ["a.b"],
    names.is_fully_qualified_domain_name: ["a"],
}


@pytest.mark.parametrize("check", GOOD, ids=lambda check: check.__name__)
def test_good(check) -> None:
    assert {text: check(text) for text in GOOD[check]} == {text: [] for text in GOOD[check]}


@pytest.mark.parametrize("check", BAD, ids=lambda check: check.__name__)
def test_bad(check) -> None:
    assert [text for text in BAD[check] if not check(text)] == []


def test_generate_name_is_cut_to_leave_room() -> None:
    assert names.generate_name("web-", "bcdfg") == "web-bcdfg"
    assert len(names.generate_name("a" * 100, "bcdfg")) == 63
    assert names.mask_trailing_dash("web-") == "wea"
    assert names.is_dns1123_label(names.mask_trailing_dash("web-")) == []
