/* The athletes now, in a table that is read from three metres in the sun. */

import { COLUMNS, Team } from "/web/athletes.js";
import { el, made, say, show, tell } from "/web/cards.js";
import { LiveStream, SteadyClock } from "/web/client.js";
import { drawHeader } from "/web/header.js";
import { goToPairing, Refusal } from "/web/http.js";

const DRAW_MS = 500, ASK_AGAIN_MS = 3000, PROBLEMS_SHOWN = 2, BATTERY_LOW = 20, KMH = 3.6;
const BODY_COLUMNS = new Set(["heart_rate", "power"]);
const WORDS = {
  live: "", stale: "stale", lost: "lost", behind: "behind", clock_wrong: "clock wrong", waiting: "no data yet",
  unclaimed: "not ours", unreleased: "not released",
};
const SLOW = "This device or its network is too slow: it gets fewer values until it keeps up.";
const EXPIRING = "This device is let in for a minute more: ask a technician for a new code.";
const FORMS = {
  heart_rate: (value) => value.toFixed(0), speed: (value) => (value * KMH).toFixed(1),
  power: (value) => value.toFixed(0), battery: (value) => value.toFixed(0),
};

const clock = new SteadyClock(), team = new Team(), drawn = new Map(), everMeasured = new Set(["speed", "battery"]);
const table = document.querySelector("table");
let drawing = 0, isAllTold = false;

/* What has changed is drawn with the next picture of the screen, however much it is. */
const changed = () => { drawing ||= requestAnimationFrame(draw); };

function draw() {
  drawing = 0;
  const nowMs = clock.now(), lines = team.lines(nowMs);
  drawSummary(lines);
  drawProblems([...team.problems.values()]);
  show(table, lines.length > 0);
  const wanted = new Set(lines.map(({ ch }) => ch));
  for (const [ch, row] of drawn) {
    if (wanted.has(ch)) continue;
    row.remove();
    drawn.delete(ch);
  }
  lines.forEach((line, place) => {
    const row = drawn.get(line.ch) ?? el("line").content.firstElementChild.cloneNode(true);
    drawn.set(line.ch, row);
    drawLine(row, line);
    const body = table.tBodies[0];
    if (body.rows[place] !== row) body.insertBefore(row, body.rows[place] ?? null);
  });
  for (const column of COLUMNS) table.classList.toggle(`without_${column}`, !everMeasured.has(column));
}

function drawLine(row, line) {
  if (row.className !== line.state) row.className = line.state;
  const cell = (name) => row.querySelector(`.${name}`);
  say(cell("number"), `${line.number ?? ""}`);
  say(cell("name"), line.name);
  for (const column of COLUMNS) {
    if (line[column] !== null) everMeasured.add(column);
    say(cell(column), line[column] === null ? "—" : FORMS[column](line[column]));
  }
  cell("battery").classList.toggle("low", line.battery !== null && line.battery <= BATTERY_LOW);
  say(cell("age"), line.ageMs === null ? "" : age(line.ageMs / 1000));
  say(cell("state"), WORDS[line.state] ?? line.state);
}

function age(seconds) {
  if (seconds < 60) return `${seconds.toFixed(0)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`;
}

function drawSummary(lines) {
  const counts = Object.keys(WORDS).map((state) => [state, lines.filter((line) => line.state === state).length]);
  const told = counts.filter(([, count]) => count).map(([state, count]) => `${count} ${WORDS[state] || state}`);
  if (lines.length || isAllTold) say(el("summary"), told.join(" · ") || "There is no athlete here whom you may see.");
}

function drawProblems(sentences) {
  show(el("problems"), sentences.length > 0);
  const more = sentences.length - PROBLEMS_SHOWN, details = el("problems").querySelector("details");
  list(el("first"), sentences.slice(0, PROBLEMS_SHOWN));
  list(el("rest"), sentences.slice(PROBLEMS_SHOWN));
  show(details, more > 0);
  say(details.querySelector("summary"), `${more} more`);
}

function list(node, sentences) {
  const told = [...node.children].map((it) => it.textContent);
  if (told.join("\n") !== sentences.join("\n")) {
    node.replaceChildren(...sentences.map((textContent) => made("li", { textContent })));
  }
}

const handlers = {
  connected(hello, isNewEpoch) {
    tell(el("offline"), "");
    tell(el("expiring"), "");
    tell(el("slow"), "");
    say(el("site"), hello.site);
    document.title = `${hello.site}, live`;
    team.connected(hello, isNewEpoch, clock.now());
    changed();
  },
  channels(channels) {
    team.channels(channels);
    changed();
  },
  rows(run) {
    team.rows(run, clock.now());
    changed();
  },
  state(message) {
    if (message.key === "connection") tell(el("slow"), message.value === "normal" ? "" : SLOW);
    team.state(message);
    changed();
  },
  time(message) {
    isAllTold = true;  // whatever there is comes before it
    team.time(message, clock.now());
  },
  expiring: () => tell(el("expiring"), EXPIRING),
  refused: ({ text }) => tell(el("offline"), text),
  disconnected: ({ text }) => tell(el("offline"), `${text} Trying again …`),
  unauthorized: goToPairing,
};

/* Who asks is asked first: of some, the gateway has fewer columns. */
async function begin() {
  try {
    const me = await drawHeader();
    const columns = COLUMNS.filter((column) => !me.gnss_only || !BODY_COLUMNS.has(column));
    const stream = new LiveStream(handlers, { columns, mode: "latest", clock });
    setInterval(() => { if (!document.hidden) draw(); }, DRAW_MS);
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) return;
      draw();
      stream.hurry();
    });
    addEventListener("online", () => stream.hurry());
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    tell(el("offline"), error.message);
    setTimeout(begin, ASK_AGAIN_MS);
  }
}

begin();
