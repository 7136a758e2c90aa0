/* The peer: what one writes with Node and `ws`. Sends the same frame to every client at a pace.
 *
 *     node fanout_peer.cjs PAYLOAD_FILE STAMP_AT PERIOD_MS
 *
 * Prints its port. The eight bytes at STAMP_AT become the monotonic time in nanoseconds at which a turn begins.
 */
"use strict";
const { readFileSync } = require("node:fs");
const { WebSocket, WebSocketServer } = require("ws");

const [file, stampAt, periodMs] = process.argv.slice(2);
const payload = readFileSync(file);
const server = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });

server.on("listening", () => console.log(server.address().port));
setInterval(() => {
  const frame = Buffer.from(payload); // its own, for what waits in a socket must not change
  frame.writeBigUInt64BE(process.hrtime.bigint(), Number(stampAt));
  for (const client of server.clients) if (client.readyState === WebSocket.OPEN) client.send(frame, { binary: true });
}, Number(periodMs));
