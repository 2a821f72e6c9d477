"""Connections between machines, which may be cut off without a word."""

import asyncio
import socket

CUT_OFF_S = 10
"""After so long without a sign of the other machine's kernel, a connection has ended."""


def end_if_cut_off(writer: asyncio.StreamWriter) -> None:
    """Have the kernel watch a connection, while nothing is sent, too, and send small messages at once."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, CUT_OFF_S // 3)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, CUT_OFF_S // 3)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, CUT_OFF_S * 1000)
