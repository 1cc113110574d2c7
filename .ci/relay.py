"""TCP on loopback to a Unix socket, because schemathesis speaks TCP only: relay.py SOCKET; prints its port."""
import asyncio, sys
async def main(port, path):
    async def pipe(r, w):
        try:
            while data := await r.read(65536):
                w.write(data); await w.drain()
        except OSError:
            pass
        finally:
            w.close()
    async def serve(r, w):
        try:
            ur, uw = await asyncio.open_unix_connection(path)
        except OSError:
            w.close(); return
        await asyncio.gather(pipe(r, uw), pipe(ur, w))
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main(0, sys.argv[1]))
