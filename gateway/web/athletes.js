/* What is known of the athletes now, built from what the live stream brings; no clock and no page of its own. */

/* By the tracker's own time: an older one is no longer the athlete's. */
const HEART_RATE_GOES_OLD_MS = 5000;
/* How long the gateway may say nothing until what it said last is old, and until it counts no more. */
const STALE_MS = 3000, LOST_MS = 10_000;
/* States in which a value is the athlete's still, if not of this second. */
const SHOWN = new Set(["live", "stale"]);

export const COLUMNS = ["heart_rate", "speed", "power", "battery"];

class Athlete {
  presence = "waiting";
  isClockWrong = false;
  newestMs = null;
  measured = new Map();  // by column: time and value

  constructor(channel) {
    this.describe(channel);
  }

  describe(channel) {
    const isOther = channel.device_id === null || channel.withdrawn !== this.channel?.withdrawn || channel.released === false;
    if (isOther) this.forget();  // whatever is known is of somebody else, or nobody may know it
    this.channel = channel;
  }

  forget() {
    this.newestMs = null;
    this.measured.clear();
  }

  take(times, values) {
    times.forEach((t, row) => {
      if (this.newestMs === null || t > this.newestMs) this.newestMs = t;
      for (const column of COLUMNS) {
        const value = values[column]?.[row];
        if (value === undefined || Number.isNaN(value) || t < this.measured.get(column)?.t) continue;
        this.measured.set(column, { t, value });
      }
    });
  }

  value(column) {
    const known = this.measured.get(column);
    if (!known || (column === "heart_rate" && this.newestMs - known.t > HEART_RATE_GOES_OLD_MS)) return null;
    return known.value;
  }
}

export class Team {
  problems = new Map();
  #athletes = new Map();
  #offsetMs = null;  // the gateway's time less ours
  #heardMs = -Infinity;

  connected(hello, isNewEpoch, nowMs) {
    if (isNewEpoch) this.#athletes.clear();
    this.problems.clear();
    this.time(hello, nowMs);
  }

  /* Ages are told by the gateway's clock: a laptop's may be minutes off. */
  time({ utc_ms }, nowMs) {
    this.#offsetMs = utc_ms - nowMs;
    this.#heardMs = nowMs;
  }

  channels(channels) {
    for (const channel of channels) {
      const known = this.#athletes.get(channel.ch);
      if (known) known.describe(channel);
      else this.#athletes.set(channel.ch, new Athlete(channel));
    }
  }

  rows({ ch, times, values, isMisdated }, nowMs) {
    this.#heardMs = nowMs;
    if (!isMisdated) this.#athletes.get(ch)?.take(times, values);
  }

  state({ key, ch, value, text, action, clock_error_ms }) {
    const athlete = this.#athletes.get(ch);
    if (athlete) {
      Object.assign(athlete, { presence: value, isClockWrong: (clock_error_ms ?? null) !== null });
    } else if (key.startsWith("problem/")) {
      if (value === "gone") this.problems.delete(key);
      else this.problems.set(key, `${text}: ${action}.`);
    }
  }

  /* A line for each athlete, as it is to be shown: by number, then by name. */
  lines(nowMs) {
    const numberOf = ({ number }) => number ?? Infinity, nameOf = ({ name, serial_number }) => name ?? serial_number;
    return [...this.#athletes.values()]
      .sort((a, b) => numberOf(a.channel) - numberOf(b.channel) || nameOf(a.channel).localeCompare(nameOf(b.channel)))
      .map((athlete) => this.#line(athlete, nowMs));
  }

  #line(athlete, nowMs) {
    const { ch, number, name, serial_number } = athlete.channel, state = this.#state(athlete, nowMs);
    const values = COLUMNS.map((column) => [column, SHOWN.has(state) ? athlete.value(column) : null]);
    const isTimed = athlete.newestMs !== null && state !== "unreleased";
    const ageMs = isTimed ? Math.max(0, nowMs + this.#offsetMs - athlete.newestMs) : null;
    return { ch, number, name: name ?? serial_number, state, ageMs, ...Object.fromEntries(values) };
  }

  /* The one word that says most of an athlete: the gateway's last, for as long as that can hold. */
  #state({ presence, isClockWrong, channel }, nowMs) {
    const silentMs = nowMs - this.#heardMs;
    if (channel.released === false) return "unreleased";
    if (silentMs >= LOST_MS) return "lost";
    if (isClockWrong && presence !== "unclaimed") return "clock_wrong";
    return silentMs >= STALE_MS && presence === "live" ? "stale" : presence;
  }
}
