"""A small internet of network namespaces: two private networks behind routers, and a public one.

    l1 l2 ── left ── sky ── right ── r1 r2
                      │
                 meet, open

Hosts are namespaces, cables are veth pairs, `sky` and the inside of each router are bridges.
What a router does to addresses is its *kind*, a few nftables rules. IPv6 is routed, not
translated, through a firewall that lets answers in only. Everything is removed on exit.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

PORTS = range(42_000, 42_032)
SHIFT = 1_000
SIDES = {"left": 1, "right": 2}
PUBLIC = {"left": 2, "right": 3, "meet": 10, "open": 20}
KINDS = ("keeping", "shifting", "symmetric", "resetting")
_TOOLS = ("ip", "nft", "sysctl", "ethtool")
_CLONE_NEWNET = 0x40000000
_numbers = itertools.count()


def why_not() -> str | None:
    """Return why this machine can't have the lab; None if it can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return f"not installed: {', '.join(missing)}"
    name = f"fmi{os.getpid()}-try"
    try:
        _run("ip", "netns", "add", name)
        _run("ip", "netns", "del", name)
    except subprocess.CalledProcessError as error:
        return f"network namespaces can't be made here: {error.stderr}"
    return None


def enter(namespace: str) -> None:
    """Move the calling thread into a namespace."""
    library = ctypes.CDLL(None, use_errno=True)
    with (Path("/run/netns") / namespace).open() as file:
        if library.setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"can't enter {namespace}")


class Lab:
    """The namespaces of one test.

    Args:
        left, right: what kind of router each side has.
        hosts: how many hosts are behind each.
    """

    def __init__(self, left: str = "keeping", right: str = "keeping", hosts: int = 1) -> None:
        self._kinds = {"left": left, "right": right}
        self._hosts = hosts
        self._tag = f"fmi{os.getpid()}-{next(_numbers)}-"
        self._lines: list[subprocess.Popen[bytes]] = []
        self._namespaces: list[str] = []

    def name(self, host: str) -> str:
        """Return the namespace of a host."""
        return self._tag + host

    def behind(self, side: str) -> list[str]:
        """Return the hosts behind a router."""
        return [f"{side[0]}{number}" for number in range(1, self._hosts + 1)]

    def run(self, host: str, *command: str, feed: str | None = None) -> None:
        """Run a command in a host."""
        _run("ip", "netns", "exec", self.name(host), *command, feed=feed)

    # -- trouble ----------------------------------------------------------------

    def lose(self, percent: int) -> None:
        """Have both routers drop some of what they forward."""
        for side in SIDES:
            rule = f"numgen random mod 100 < {percent} drop"
            self.run(side, "nft", "insert", "rule", "inet", "gate", "forward", rule)

    def part(self) -> None:
        """Cut the two sides off from each other; both still reach everything else."""
        for side, other in (("left", "right"), ("right", "left")):
            for rule in (
                f"ip saddr {public(other)} drop", f"ip daddr {public(other)} drop",
            ):  # fmt: skip
                self.run(side, "nft", "insert", "rule", "inet", "gate", "forward", rule)

    def silence(self, host: str) -> None:
        """Pull a host's cable: nothing arrives there, nothing comes back, nobody is told."""
        self.run(self._switch(host), "ip", "link", "set", _port(host), "down")

    def delay(self, milliseconds: float, hosts: Iterable[str] = tuple(SIDES)) -> None:
        """Lengthen the cables of hosts, each way, by processes that hold frames."""
        for host in hosts:
            self._lines.append(self._lengthen(host, milliseconds))

    def _lengthen(self, host: str, milliseconds: float) -> subprocess.Popen[bytes]:
        switch, near, far = self._switch(host), f"n-{host}", f"f-{host}"
        self._do(
            switch,
            [
                f"link add {near} type veth peer name {far}",
                f"link set {_port(host)} nomaster", f"link set {far} master bridge",
                f"link set {near} up", f"link set {far} up",
            ],
        )  # fmt: skip
        script = Path(__file__).with_name("delay_line.py")
        command = ["ip", "netns", "exec", self.name(switch), sys.executable, str(script)]
        command += [_port(host), near, str(milliseconds)]
        line = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert line.stdout is not None
        assert line.stdout.readline() == b"ready\n"
        return line

    # -- building ---------------------------------------------------------------

    def _switch(self, host: str) -> str:
        return {"l": "left", "r": "right"}[host[0]] if host[1:].isdigit() else "sky"

    def _build(self) -> None:
        everyone = ["sky", *PUBLIC, *self.behind("left"), *self.behind("right")]
        for host in everyone:
            _run("ip", "netns", "add", self.name(host))
            self._namespaces.append(self.name(host))
            self._do(host, ["link set lo up"])
            ports = f"net.ipv4.ip_local_port_range={PORTS.start} {PORTS.stop - 1}"
            self.run(host, "sysctl", "-qw", ports, "net.ipv6.conf.default.dad_transmits=0")
        for bridge in ("sky", *SIDES):
            self._do(bridge, ["link add bridge type bridge mcast_snooping 0", "link set bridge up"])
        for host, number in PUBLIC.items():
            self._plug(host, f"198.51.100.{number}/24", f"2001:db8::{number}/64")
        for side, net in SIDES.items():
            self._route(side, net)
            for number, host in enumerate(self.behind(side), 11):
                self._plug(host, f"10.{net}.0.{number}/24", f"2001:db8:{net}::{number}/64")
                gateway = [f"route add default via 10.{net}.0.1"]
                self._do(host, [*gateway, f"route add default via 2001:db8:{net}::1"])

    def _plug(self, host: str, *addresses: str) -> None:
        """Give a host a cable to its bridge, and addresses."""
        switch = self._switch(host)
        self._do(
            switch,
            [
                f"link add {_port(host)} type veth peer name cable netns {self.name(host)}",
                f"link set {_port(host)} master bridge", f"link set {_port(host)} up",
            ],
        )  # fmt: skip
        self._do(host, [f"addr add {_address(text)} dev cable" for text in addresses])
        self._do(host, ["link set cable up"])
        self.run(host, "ethtool", "-K", "cable", "tx", "off", "tso", "off", "gso", "off")

    def _route(self, side: str, net: int) -> None:
        self._do(side, [f"addr add 10.{net}.0.1/24 dev bridge"])
        self._do(side, [f"addr add 2001:db8:{net}::1/64 dev bridge nodad"])
        self.run(side, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        rules = _rules(side, self._kinds[side], range(11, 11 + self._hosts))
        self.run(side, "nft", "-f", "-", feed=rules)
        for host in PUBLIC:
            if host != side:
                gateway = f"2001:db8::{PUBLIC[side]}"
                self._later.append((host, f"route add 2001:db8:{net}::/64 via {gateway}"))

    def _do(self, host: str, lines: list[str]) -> None:
        _run("ip", "-n", self.name(host), "-batch", "-", feed="\n".join(lines))

    def __enter__(self) -> Self:
        self._later: list[tuple[str, str]] = []
        try:
            self._build()
            for host, line in self._later:
                self._do(host, [line])
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def _remove(self) -> None:
        for line in self._lines:
            line.kill()
            line.wait()
            if line.stdout is not None:
                line.stdout.close()
        for namespace in self._namespaces:
            with suppress(subprocess.CalledProcessError):
                _run("ip", "netns", "del", namespace)


def public(host: str) -> str:
    """Return the public address of a router or a host on the public network."""
    return f"198.51.100.{PUBLIC[host]}"


def _port(host: str) -> str:
    return f"to-{host}"


def _address(text: str) -> str:
    return f"{text} nodad" if ":" in text else text


def _rules(side: str, kind: str, hosts: Iterable[int]) -> str:
    """Return the rules of a router."""
    assert kind in KINDS, kind
    stranger = "meta l4proto tcp reject with tcp reset" if kind == "resetting" else "drop"
    gate = f"""
        meta l4proto ipv6-icmp accept
        iifname cable ct state established,related accept
        iifname cable {stranger}
    """
    return f"""
        table ip translate {{
            chain out {{
                type nat hook postrouting priority 100
                {_translation(side, kind, hosts)}
            }}
        }}
        table inet gate {{
            chain forward {{ type filter hook forward priority 0
                {gate} }}
            chain input {{ type filter hook input priority 0
                {gate} }}
        }}
    """


def _translation(side: str, kind: str, hosts: Iterable[int]) -> str:
    if kind == "symmetric":
        return "oifname cable masquerade fully-random"
    if kind != "shifting":
        return "oifname cable masquerade"
    inside = f"10.{SIDES[side]}.0"
    ports = ", ".join(
        f"{inside}.{host} . {port} : {port + SHIFT * (index + 1)}"
        for index, host in enumerate(hosts)
        for port in PORTS
    )
    return (
        f"oifname cable ip protocol tcp snat to {public(side)} : "
        f"ip saddr . tcp sport map {{ {ports} }}"
    )


def _run(*command: str, feed: str | None = None) -> None:
    done = subprocess.run(
        command, input=feed, text=True, capture_output=True, timeout=30, check=False
    )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr)
