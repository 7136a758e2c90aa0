/* A gateway's live stream: it connects, subscribes, goes on after every cut where it was, and hands over typed rows.
 *
 *   import { LiveStream } from "/web/client.js";
 *   const stream = new LiveStream({
 *     rows({ channel, times, values }) { console.log(channel.name, times.at(-1), values.speed?.at(-1)); },
 *     disconnected({ text, retryMs }) { console.log(text, retryMs); },
 *   }, { columns: ["speed", "heart_rate"] });
 *   stream.close();
 *
 * Nothing else is needed, in a page of the gateway or, with `url` and `token`, in Node 22. What the messages say is in
 * docs/live-protocol.md.
 */

const FIRST_RETRY_MS = 500, LONGEST_RETRY_MS = 10_000, LONGEST_ASKED_MS = 60_000;
const MOST_HAD = 1 << 18;  // rows that are kept in mind while others are left out: seven hours
const SILENCE_MS = 10_000, LOOK_MS = 1000, ACK_MS = 500, SLEPT_MS = 1000;
const SUBPROTOCOL = "insiders.gw.v1+json", SUB = 1;
const UNAUTHORIZED = 401, AUTH = 4401, ROLE = 4403;

/* A clock that never goes back, and goes on while a laptop sleeps: what was said before is old when it wakes. */
export class SteadyClock {
  #monoMs = performance.now();
  #wallMs = Date.now();
  #totalMs = 0;

  now() {
    const monoMs = performance.now(), wallMs = Date.now();
    const passedMs = monoMs - this.#monoMs, byWallMs = wallMs - this.#wallMs;
    [this.#monoMs, this.#wallMs] = [monoMs, wallMs];
    return this.#totalMs += byWallMs - passedMs > SLEPT_MS ? byWallMs : passedMs;
  }

  /* Do something later; the answer keeps it from being done. */
  after(ms, act) {
    const timer = setTimeout(act, ms);
    return () => clearTimeout(timer);
  }
}

/* How long to wait before the next try: all clients of a gateway that was away must not come back at one moment. */
export function pauseMs(failures, askedMs = 0, random = Math.random) {
  const longestMs = Math.min(FIRST_RETRY_MS * 2 ** failures, LONGEST_RETRY_MS);
  return Math.max(random() * longestMs, Math.min(askedMs, LONGEST_ASKED_MS));
}

/* Where the reader stands in one channel: the number to go on from, and which rows behind it have come all the same,
 * a bit each. It stays while rows are being left out. */
class Place {
  had = 0n;
  isHeld = false;

  constructor(cursor) {
    this.cursor = cursor;
  }

  move(cursor) {
    this.had >>= BigInt(Math.max(0, cursor - this.cursor));
    this.cursor = Math.max(this.cursor, cursor);
  }

  take(n0, rows) {
    const last = n0 + rows - 1;
    this.move(this.isHeld ? last - MOST_HAD : last);
    for (let n = Math.max(n0, this.cursor + 1); n <= last; n++) this.had |= 1n << BigInt(n - this.cursor - 1);
  }

  /* Which of some rows have come before, as an array of booleans. */
  known(n0, rows) {
    const bits = BigInt.asUintN(rows, this.had >> BigInt(Math.max(0, n0 - this.cursor - 1)));
    const before = Math.max(0, this.cursor - n0 + 1);
    return Array.from({ length: rows }, (_, i) => i < before || (bits >> BigInt(i - before) & 1n) === 1n);
  }
}

/* Where the reader stands: what a resume needs. */
export class Position {
  epoch = null;
  #places = new Map();

  /* The `from` of a subscription: go on where there is something to go on from, else the last seconds. */
  from(lastS) {
    const cursors = [...this.#places].map(([ch, { cursor }]) => [ch, cursor]);
    return cursors.length ? { epoch: this.epoch, cursors, last_s: lastS } : { last_s: lastS };
  }

  /* The parts of a run, from first to end, that have not come in an earlier connection. */
  *news({ ch, n0, times }) {
    const known = this.#places.get(ch)?.known(n0, times.length) ?? [];
    for (let first = 0, end; first < times.length; first = end) {
      for (end = first; end < times.length && !known[end] === !known[first];) end++;
      if (!known[first]) yield [first, end];
    }
  }

  take(message) {
    switch (message.op) {
      case "hello":
        if (message.epoch !== this.epoch) this.#places.clear();
        this.epoch = message.epoch;
        for (const place of this.#places.values()) place.isHeld = false;
        break;
      case "channels":
        for (const { ch, withdrawn } of message.channels) {
          const place = this.#places.get(ch);
          if (place?.cursor < withdrawn) this.#hold(place, withdrawn, false);
        }
        break;
      case "sub_ok":
        for (const { ch, cursor, recovered } of message.channels) {
          if (recovered === "fresh" || !this.#places.has(ch)) this.#places.set(ch, new Place(cursor));
          else this.#places.get(ch).move(cursor);
        }
        break;
      case "gap":
        if ("after" in message && this.#places.has(message.ch))
          this.#hold(this.#places.get(message.ch), message.after, message.state === "open");
        break;
      case "snap": case "d":
        for (const { ch, n0, rows } of message.blocks) this.#places.get(ch)?.take(n0, rows);
    }
  }

  #hold(place, cursor, isHeld) {
    place.move(cursor);
    place.isHeld = isHeld;
  }
}

/* Some rows of a run. */
function part(run, first, end) {
  const values = Object.fromEntries(Object.entries(run.values).map(([name, it]) => [name, it && it.slice(first, end)]));
  return { ...run, n0: run.n0 + first, times: run.times.slice(first, end), values };
}

/* The runs of rows of a `snap` or `d`: times in epoch ms, values by column; NaN and null are what was not measured. */
export function* runsOf(message, columns) {
  let first = 0;
  for (const { ch, n0, rows, t0, dt, t, late, misdated } of message.blocks) {
    const [begin, end] = [first, first += rows];
    const cells = (column) => column && Float64Array.from(column.slice(begin, end), (value) => value ?? NaN);
    yield {
      ch, n0, isLate: late === true, isMisdated: misdated === true, isPast: message.op === "snap",
      times: t ? Float64Array.from(t) : Float64Array.from({ length: rows }, (_, i) => t0 + i * dt),
      values: Object.fromEntries(columns.map((name, i) => [name, cells(message.columns[i])])),
    };
  }
}

/* One subscription, kept alive.
 *
 * Handlers, each if it is there:
 *   connected(hello, isNewEpoch)       forget gaps and states; with a new epoch also what is known of channels
 *   channels(channels)                 new or changed ones, as in the message of that name
 *   rows({ channel, ch, n0, times, values, isLate, isMisdated, isPast })   as `runsOf`, with the channel's description
 *   gap(message), state(message), time(message), expiring(message)         as they come
 *   refused(message)                   what was asked for cannot be had: `code` and `text` say why
 *   disconnected({ text, retryMs })    and tried again then
 *   unauthorized({ text })             whoever asks is not let in, or not any more: the stream is closed
 */
export class LiveStream {
  #handlers; #options; #clock; #socket = null; #isClosed = false; #endPause = () => {};
  #position = new Position(); #channels = new Map(); #columns = [];
  #heardMs = 0; #seq = 0; #ackedSeq = 0; #ackedMs = 0; #cancelAck = null;

  /* Options: `url` (ws:// or wss://), `token` where no cookie speaks for us, `devices`, `columns`, `mode`, `maxHz`,
   * `batchMs` and `onSlow` as in `sub`; `lastS`, how much of the past to begin with; `openSocket(url, protocol)` where
   * there is no WebSocket; `clock`. */
  constructor(handlers, { url = `${location.origin.replace(/^http/, "ws")}/api/v1/stream`, clock = new SteadyClock(),
    openSocket = (address, protocol) => new WebSocket(address, protocol), lastS = 5, ...options } = {}) {
    this.#handlers = handlers;
    this.#options = { ...options, url, openSocket, lastS };
    this.#clock = clock;
    this.#run();
  }

  close() {
    this.#isClosed = true;
    this.#endPause();
    this.#socket?.close();
  }

  /* Somebody looks, or the network is back: do not wait for the next try. */
  hurry() {
    this.#endPause();
  }

  async #run() {
    for (let failures = 0; !this.#isClosed; failures++) {
      const end = await this.#connection();
      const isKnown = end.wasHeard || end.isUnauthorized || this.#isClosed;
      const { text, askedMs, isUnauthorized } = isKnown ? end : await this.#reason(end);
      if (this.#isClosed) return;
      if (isUnauthorized) {
        this.#isClosed = true;
        this.#tell("unauthorized", { text });
        return;
      }
      if (end.wasHeard) failures = 0;
      const retryMs = pauseMs(failures, askedMs);
      this.#tell("disconnected", { text, retryMs });
      await this.#pause(retryMs, askedMs > 0);
    }
  }

  /* One connection from its beginning to its end: how it ended. */
  #connection() {
    return new Promise((resolve) => {
      const end = { wasHeard: false, text: "The connection was cut.", askedMs: 0, isUnauthorized: false };
      const socket = this.#socket = this.#options.openSocket(this.#options.url, SUBPROTOCOL);
      let stopLooking = () => {};
      const finish = (text = end.text) => {
        stopLooking();
        this.#cancelAck?.();
        this.#cancelAck = null;
        [socket.onmessage, socket.onclose] = [null, null];
        socket.close();
        resolve(Object.assign(end, { text }));
      };
      const look = () => {
        if (this.#clock.now() - this.#heardMs >= SILENCE_MS) finish(`No word from the gateway for ${SILENCE_MS / 1000} s.`);
        else stopLooking = this.#clock.after(LOOK_MS, look);
      };
      this.#heardMs = this.#clock.now();
      [this.#seq, this.#ackedSeq, this.#ackedMs] = [0, 0, -Infinity];
      look();
      socket.onclose = ({ code }) => {
        if (code === ROLE || (code === AUTH && !end.askedMs)) end.isUnauthorized = true;
        finish();
      };
      socket.onmessage = ({ data }) => {
        end.wasHeard = true;
        this.#heardMs = this.#clock.now();
        this.#take(JSON.parse(data), end);
        this.#acknowledge();
        if (end.isUnauthorized) finish();
      };
    });
  }

  /* Browsers do not tell why a websocket was refused; the same question over HTTP is answered. */
  async #reason(end) {
    const address = new URL("/api/v1/me", this.#options.url.replace(/^ws/, "http"));
    const headers = this.#options.token ? { Authorization: `Bearer ${this.#options.token}` } : {};
    try {
      const answer = await fetch(address, { headers, cache: "no-store", signal: AbortSignal.timeout(SILENCE_MS) });
      if (answer.ok) return { ...end, text: "The gateway has no room for another connection." };
      const askedMs = 1000 * (Number(answer.headers.get("Retry-After")) || 0);
      return { ...end, text: (await answer.json()).text, askedMs, isUnauthorized: answer.status === UNAUTHORIZED };
    } catch {
      return { ...end, text: "The gateway does not answer." };
    }
  }

  #take(message, end) {
    switch (message.op) {
      case "hello":
        if (message.auth !== "required") this.#begin(message);
        else if (this.#options.token) this.#send({ op: "auth", token: this.#options.token });
        else Object.assign(end, { isUnauthorized: true, text: "The gateway wants to know who asks." });
        return;
      case "auth_expiring": this.#tell("expiring", message); break;
      case "channels":
        for (const channel of message.channels) this.#channels.set(channel.ch, channel);
        this.#tell("channels", message.channels);
        break;
      case "sub_ok": this.#columns = message.columns; break;
      case "snap": case "d":
        for (const run of runsOf(message, this.#columns)) {
          const channel = this.#channels.get(run.ch);
          for (const [first, end] of this.#position.news(run)) this.#tell("rows", { channel, ...part(run, first, end) });
        }
        this.#seq = message.seq;
        break;
      case "gap": case "state": case "time": this.#tell(message.op, message); break;
      case "error": this.#tell("refused", message); break;
      case "bye": Object.assign(end, { text: message.text, askedMs: message.retry_after_ms ?? 0 });
    }
    this.#position.take(message);
  }

  #begin(hello) {
    const isNewEpoch = hello.epoch !== this.#position.epoch;
    if (isNewEpoch) this.#channels.clear();
    this.#position.take(hello);
    const { devices, columns, mode, maxHz, batchMs, onSlow, lastS } = this.#options;
    const from = this.#position.from(lastS);
    this.#send({ op: "sub", sub: SUB, devices, columns, mode, max_hz: maxHz, batch_ms: batchMs, on_slow: onSlow, from });
    this.#tell("connected", hello, isNewEpoch);
  }

  /* What has been handled is told soon, but not each time: now, or in a moment. */
  #acknowledge() {
    if (this.#seq === this.#ackedSeq || this.#cancelAck) return;
    const waitMs = this.#ackedMs + ACK_MS - this.#clock.now();
    const tell = () => {
      [this.#cancelAck, this.#ackedSeq, this.#ackedMs] = [null, this.#seq, this.#clock.now()];
      this.#send({ op: "ack", subs: [[SUB, this.#seq]] });
    };
    if (waitMs > 0) this.#cancelAck = this.#clock.after(waitMs, tell);
    else tell();
  }

  #send = (message) => this.#socket.send(JSON.stringify(message));
  #tell = (name, ...details) => this.#handlers[name]?.(...details);

  #pause(ms, isAsked) {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(ms, resolve);
      this.#endPause = () => {
        if (isAsked && !this.#isClosed) return;  // the gateway has said how long
        cancel();
        resolve();
      };
    });
  }
}
