"""Reads a server's WebSocket with the library `websockets`, as told on standard input, and writes each message down.

Commands, one a line: `send TEXT`, `ping`, `close`. Messages are written as they come, one a line; the end is `closed CODE`.
"""

import asyncio
import ssl
import sys

import websockets


async def commands(socket):
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command, _, rest = line.rstrip("\n").partition(" ")
        if command == "send":
            await socket.send(rest)
        elif command == "ping":
            await (await socket.ping())
            print("pong", flush=True)
        elif command == "close":
            await socket.close()
            return


async def main(url, header, origin, ca):
    name, _, value = header.partition(": ")
    headers = {name: value} if name else {}
    context = ssl.create_default_context(cafile=ca) if ca else None
    try:
        socket = await websockets.connect(
            url, additional_headers=headers, origin=origin or None, ssl=context, max_size=None, proxy=None
        )
    except websockets.exceptions.InvalidStatus as refused:
        print(f"refused {refused.response.status_code}", flush=True)
        return
    print("open", flush=True)
    reader = asyncio.create_task(commands(socket))
    try:
        async for message in socket:
            print(message, flush=True)
    except websockets.exceptions.ConnectionClosed:
        pass
    print(f"closed {socket.close_code}", flush=True)
    reader.cancel()


url, header, origin, ca = sys.argv[1:5]
asyncio.run(main(url, header, origin, ca))
import os

os._exit(0)  # The thread that reads commands may still wait for one.
