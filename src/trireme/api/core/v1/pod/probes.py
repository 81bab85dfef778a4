"""Types of probes: see the API reference, core/v1."""

from __future__ import annotations

from typing import Annotated

from trireme.machinery.types import (
    Atomic,
    Default,
    Enum,
    Int32,
    Int64,
    IntOrString,
    Required,
    Struct,
    always,
)

URIScheme = Annotated[str, Enum(("HTTP", "HTTPS"))]
Signal = Annotated[
    str,
    Enum(
        (
            "SIGABRT",
            "SIGALRM",
            "SIGBUS",
            "SIGCHLD",
            "SIGCLD",
            "SIGCONT",
            "SIGFPE",
            "SIGHUP",
            "SIGILL",
            "SIGINT",
            "SIGIO",
            "SIGIOT",
            "SIGKILL",
            "SIGPIPE",
            "SIGPOLL",
            "SIGPROF",
            "SIGPWR",
            "SIGQUIT",
            "SIGSEGV",
            "SIGSTKFLT",
            "SIGSTOP",
            "SIGSYS",
            "SIGTERM",
            "SIGTRAP",
            "SIGTSTP",
            "SIGTTIN",
            "SIGTTOU",
            "SIGURG",
            "SIGUSR1",
            "SIGUSR2",
            "SIGVTALRM",
            "SIGWINCH",
            "SIGXCPU",
            "SIGXFSZ",
            "SIGRTMIN",
            "SIGRTMIN+1",
            "SIGRTMIN+2",
            "SIGRTMIN+3",
            "SIGRTMIN+4",
            "SIGRTMIN+5",
            "SIGRTMIN+6",
            "SIGRTMIN+7",
            "SIGRTMIN+8",
            "SIGRTMIN+9",
            "SIGRTMIN+10",
            "SIGRTMIN+11",
            "SIGRTMIN+12",
            "SIGRTMIN+13",
            "SIGRTMIN+14",
            "SIGRTMIN+15",
            "SIGRTMAX-14",
            "SIGRTMAX-13",
            "SIGRTMAX-12",
            "SIGRTMAX-11",
            "SIGRTMAX-10",
            "SIGRTMAX-9",
            "SIGRTMAX-8",
            "SIGRTMAX-7",
            "SIGRTMAX-6",
            "SIGRTMAX-5",
            "SIGRTMAX-4",
            "SIGRTMAX-3",
            "SIGRTMAX-2",
            "SIGRTMAX-1",
            "SIGRTMAX",
        )
    ),
]


class ExecAction(Struct):
    command: Annotated[list[str], Atomic()] = []


class HTTPHeader(Struct):
    name: Annotated[str, Required()] = always(str)
    value: Annotated[str, Required()] = always(str)


class HTTPGetAction(Struct):
    path: Annotated[str, Default("/")] = ""
    port: Annotated[IntOrString, Required()] = always(int)
    host: str = ""
    scheme: Annotated[URIScheme, Default("HTTP")] = ""
    httpHeaders: Annotated[list[HTTPHeader], Atomic()] = []


class SleepAction(Struct):
    seconds: Annotated[Int64, Required()] = always(int)


class TCPSocketAction(Struct):
    port: Annotated[IntOrString, Required()] = always(int)
    host: str = ""


class LifecycleHandler(Struct):
    exec: ExecAction | None = None
    httpGet: HTTPGetAction | None = None
    tcpSocket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(Struct):
    postStart: LifecycleHandler | None = None
    preStop: LifecycleHandler | None = None
    stopSignal: Signal | None = None


class GRPCAction(Struct):
    port: Annotated[Int32, Required()] = always(int)
    service: Annotated[str | None, Default("")] = None


class Probe(Struct):
    exec: ExecAction | None = None
    httpGet: HTTPGetAction | None = None
    tcpSocket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initialDelaySeconds: Int32 = 0
    timeoutSeconds: Annotated[Int32, Default(1)] = 0
    periodSeconds: Annotated[Int32, Default(10)] = 0
    successThreshold: Annotated[Int32, Default(1)] = 0
    failureThreshold: Annotated[Int32, Default(3)] = 0
    terminationGracePeriodSeconds: Int64 | None = None
