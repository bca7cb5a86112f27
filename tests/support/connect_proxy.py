"""An HTTP proxy as companies have them: CONNECT only, with or without credentials, plain or over TLS, and able to refuse, hang up and
fall silent. It alone knows where the hosts of a test are. Loopback only, the Python standard library is all it needs."""

import asyncio
import base64
import threading


class ConnectProxy:
    """`hosts` leads from a host's name to a port of this machine; `credentials` is `user:password`, None for whoever comes.
    `refuse` is (status, reason) while it takes nobody; `hang_up` ends each CONNECT without an answer. `asked` has (target, status)."""

    def __init__(self, hosts, credentials=None, tls=None):
        self.hosts = hosts
        self.credentials = credentials
        self.refuse = None
        self.hang_up = False
        self.asked = []
        self.tunnels = set()
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        listening = asyncio.run_coroutine_threadsafe(asyncio.start_server(self.serve, "127.0.0.1", 0, ssl=tls), self.loop)
        self.server = listening.result()
        self.port = self.server.sockets[0].getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    async def serve(self, reader, writer):
        try:
            await self.answer(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def answer(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        target = head.split(" ", 2)[1]
        if self.hang_up:
            self.asked.append((target, 0))
            return
        status, reason = self.judge(head)
        self.asked.append((target, status))
        writer.write(f"HTTP/1.1 {status} {reason}\r\n\r\n".encode())
        await writer.drain()
        if status == 200:
            await self.carry(reader, writer, self.hosts[target])

    def judge(self, head):
        if self.refuse:
            return self.refuse
        shown = next((line.split(" ", 2)[2] for line in head.split("\r\n") if line.lower().startswith("proxy-authorization: basic ")), "")
        if self.credentials is not None and base64.b64decode(shown).decode() != self.credentials:
            return 407, "Proxy Authentication Required"
        return (200, "Connection established") if head.split(" ", 2)[1] in self.hosts else (502, "No such host")

    async def carry(self, reader, writer, port):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        ways = [asyncio.ensure_future(self.pump(reader, far_writer)), asyncio.ensure_future(self.pump(far_reader, writer))]
        self.tunnels.update(ways)
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        far_writer.close()

    @staticmethod
    async def pump(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    def cut(self):
        """Ends every tunnel there is."""
        self.loop.call_soon_threadsafe(lambda: [way.cancel() for way in list(self.tunnels)])

    def stop(self):
        async def end():
            self.server.close()
            rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in rest:
                task.cancel()
            await asyncio.gather(*rest, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(20)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)
        self.loop.close()
