/* The recordings of a gateway: how each stands, and what a person decides about it. */

import { button, bytes, date, day, drawCard, el, fill, lasting, say, sentence, show, tell } from "/web/cards.js";
import { drawHeader } from "/web/header.js";
import { ask, fetched, Refusal } from "/web/http.js";
import { agreed } from "/web/question.js";
import { isSending, receiveFiles } from "/web/sending.js";

const ROOT = "/api/v1/recordings";
const NO_ANSWER = "The gateway does not answer, so this is not the present: look whether it runs, and the network.";
const BUSY_MS = 1000, QUIET_MS = 3000, DAY_MS = 86_400_000, FORBIDDEN = 403;
const WORDS = {
  unassigned: "Which tracker?", questioned: "In doubt", queued: "Waiting", sending: "Sending", closing: "Sending",
  ambiguous: "Answer lost", accepted: "In the cloud", done: "Done", purged: "Done, deleted here", failed: "Failed",
  quarantined: "Not taken", corrupt: "Damaged", missing: "File gone", discarded: "Deleted",
};
const COUNTED = {
  unassigned: "without a tracker", questioned: "in doubt", queued: "waiting", sending: "being sent",
  closing: "being sent", ambiguous: "with the answer lost", accepted: "worked on by the cloud", done: "done",
  purged: "done and deleted here", failed: "failed", quarantined: "not taken", corrupt: "damaged",
  missing: "with the file gone", discarded: "deleted",
};
const LOOKS = { sending: "busy", closing: "busy", accepted: "busy", done: "good", purged: "good" };
const ENDED = new Set(["done", "purged", "discarded"]);
const MAYBE_THERE = new Set(["ambiguous", "accepted"]);

let report = null, me = null, tag = "", timer = 0, round = 0;

async function refresh() {
  clearTimeout(timer);
  const mine = ++round;
  try {
    if (!me) introduce(me = await drawHeader());
    const answer = await fetched("GET", ROOT + (el("all").checked ? "?all=true" : ""), { tag });
    if (mine !== round) return;
    tell(el("offline"), "");
    if (answer) {
      ({ tag, told: report } = answer);
      draw();
    }
  } catch (error) {
    if (mine !== round) return;
    tell(el("offline"), error.status === FORBIDDEN ? error.message : NO_ANSWER);
  }
  const isBusy = isSending() || report?.recordings.some((it) => LOOKS[it.state] === "busy");
  timer = setTimeout(refresh, isBusy ? BUSY_MS : QUIET_MS);
}

/* Who decides is named beside it. Where nobody has to say who they are, they are asked. */
function introduce({ id, person }) {
  const isUnknown = id === null;
  show(el("unknown"), isUnknown);
  el("author").value = isUnknown ? localStorage.getItem("author") ?? "" : person;
}

function draw() {
  const yours = report.recordings.filter((it) => it.needs_person);
  const moving = report.recordings.filter((it) => !it.needs_person && it.progress);
  const rest = report.recordings.filter((it) => !it.needs_person && !it.progress);
  const open = [...moving, ...rest].filter((it) => !ENDED.has(it.state)).length;
  const done = report.counts.find((it) => it.state === "done")?.recordings ?? 0;
  const left = report.inbox.filter((it) => it.action), coming = report.inbox.filter((it) => !it.action);
  const more = report.left_out, need = yours.length + more.needs_person + left.length;
  const there = left.length ? ` (${left.length} in the inbox)` : "";
  say(el("summary"), `${need} need you${there} · ${open + more.under_way} on the way · ${done} done`);
  document.title = need ? `(${need}) Recordings` : "Recordings";
  tell(el("more-yours"), older([[more.needs_person, "that need you"]]));
  tell(el("more-others"), older(
    [[more.under_way, "on the way"], [more.done, "that are done"], [more.deleted, "that are deleted"]],
  ));
  fill(el("yours"), yours, (it) => it.sha256, drawRecording);
  fill(el("others"), [...moving, ...rest], (it) => it.sha256, drawRecording);
  fill(el("left"), left, (it) => it.name, drawLeft);
  fill(el("coming"), coming, (it) => it.name, drawLeft);
  for (const node of document.querySelectorAll(".folder")) say(node, `In the folder ${report.inbox_folder} of the gateway:`);
  tell(el("numbers"), report.counts.map(counted).join(" · "));
  const room = report.spool;
  tell(el("storage"), alarm(room));
  tell(el("closed"), alarm(report.inbox_trouble));
  const free = room.free_bytes === null ? "" : `; ${bytes(room.free_bytes)} are free on the disk`;
  const limit = room.limit_bytes === null ? "" : ` of ${bytes(room.limit_bytes)}`;
  say(el("room"), `${bytes(room.used_bytes)}${limit} are used for recordings${free}.`);
  offer(el("tracker"), "As their folder or name says", "");
}

const alarm = (wrong) => (wrong?.text ? `${wrong.text}: ${wrong.action}.` : "");

/* So many are in a state, and since when the oldest of them, where that matters. */
function counted({ state, recordings, bytes: size, oldest_ms }) {
  const since = ENDED.has(state) ? "" : ` (oldest ${lasting((report.utc_ms - oldest_ms) / 1000)})`;
  return `${recordings} ${COUNTED[state] ?? state}${since}, ${bytes(size)}`;
}

/* What the gateway has left out, so that the list does not become endless. */
function older(parts) {
  const told = parts.filter(([count]) => count).map(([count, how]) => `${count.toLocaleString()} older ones ${how}`);
  return told.length ? `And ${told.join(", ")}.` : "";
}

function drawRecording(card, it) {
  const tracker = it.serial_number && called({ number: null, name: it.athlete, serial_number: it.serial_number });
  const badge = `${it.needs_person ? "! " : ""}${WORDS[it.state] ?? it.state}${it.maybe_duplicate ? ", maybe twice" : ""}`;
  const facts = [
    tracker, bytes(it.size), `taken over ${day(it.taken_ms)}`, recorded(it),
    it.deletes_ms !== null && `kept until ${day(it.deletes_ms)}`, it.id,
  ];
  drawCard(card, it.needs_person ? "bad" : LOOKS[it.state] ?? "", it.name, badge, facts, told(it), it.action);
  const bar = card.querySelector("progress");
  show(bar, it.progress !== null);
  bar.setAttribute("aria-label", `How much of ${it.name} has been sent`);
  if (it.progress) bar.value = it.size ? it.progress.sent_bytes / it.size : 0;
  card.recording = it;
  drawControls(card, it);
}

/* Of a whole day the date alone: of its middle, which is on the same day in other zones. */
function recorded({ made_ms, made_until_ms }) {
  if (made_ms === null) return "";
  const isDay = made_until_ms - made_ms > DAY_MS / 2;
  return `recorded ${isDay ? date((made_ms + made_until_ms) / 2) : day(made_ms)}`;
}

function told(it) {
  return [stands(it), ...it.warnings.map(sentence)].join(" ");
}

function stands(it) {
  const later = it.next_s !== null && it.next_s >= 1 ? ` Next look in ${lasting(it.next_s)}.` : "";
  if (!it.progress) return sentence(it.text) + later;
  const { sent_bytes, bytes_per_s, left_s } = it.progress;
  const rate = bytes_per_s ? `, ${bytes(bytes_per_s)}/s` : "", left = left_s === null ? "" : `, ${lasting(left_s)} left`;
  return `${sentence(it.text)} ${bytes(sent_bytes)} of ${bytes(it.size)} sent${rate}${left}.`;
}

function drawLeft(card, it) {
  const facts = [it.size !== null && bytes(it.size), `since ${day(it.since_ms)}`];
  drawCard(card, it.action ? "bad" : "", it.name, it.action ? "! Left there" : "Not yet", facts, sentence(it.text), it.action);
}

function drawControls(card, it) {
  const controls = card.querySelector(".controls");
  if (!controls.children.length) makeControls(card, controls);
  const [choice, assign, retry, discard] = controls.children;
  for (const [node, deed, word] of [
    [choice, "assign", "Tracker of"], [assign, "assign", "Assign"], [retry, "retry", "Retry"], [discard, "discard", "Discard"],
  ]) {
    show(node, it.deeds.includes(deed));
    node.setAttribute("aria-label", `${word} ${it.name}`);
  }
  assign.classList.toggle("main", it.state === "unassigned" || it.state === "questioned");
  offer(choice, "Choose its tracker", it.serial_number ?? "");
  assign.disabled = !choice.value;
}

function makeControls(card, controls) {
  const act = async (deed, more) => {
    const error = card.querySelector(".error");
    try {
      await ask("POST", `${ROOT}/${card.recording.sha256}/${deed}`, { author: el("author").value, ...more });
      tell(error, "");
    } catch (failure) {
      if (!(failure instanceof Refusal)) throw failure;
      tell(error, failure.status ? failure.message : "The gateway did not answer: look at the list, then try again.");
    }
    await refresh();
    if (!card.isConnected) el("summary").focus();  // it has moved to another section, and with it what had the focus
  };
  const retry = async () => {
    const { name, state } = card.recording;
    const doubt = `The cloud may have ${name} already, and if it is sent again now, it may have it twice.`;
    if (!MAYBE_THERE.has(state) || await agreed(doubt, "Send it again")) act("retry");
  };
  const discard = async () => {
    const { name, is_only_copy } = card.recording;
    const copy = is_only_copy ? "The cloud has not said that it has it: this may be the only copy." : "The cloud has it.";
    if (await agreed(`Delete ${name} from the gateway? ${copy}`, "Delete it")) act("discard");
  };
  const choice = document.createElement("select");
  const assign = button("Assign", () => act("assign", { tracker: choice.value }));
  choice.addEventListener("change", () => { assign.disabled = !choice.value; });
  controls.append(choice, assign, button("Retry", retry), button("Discard", discard, "bad"));
}

/* The trackers to choose from; what a person has chosen stays chosen. */
function offer(select, nothing, preset) {
  const wanted = JSON.stringify([preset, report.trackers]);
  if (select.dataset.offered === wanted) return;
  const chosen = select.dataset.preset === preset ? select.value : preset;
  Object.assign(select.dataset, { offered: wanted, preset });
  select.replaceChildren(new Option(nothing, ""), ...report.trackers.map((it) => new Option(called(it), it.serial_number)));
  select.value = report.trackers.some((it) => it.serial_number === chosen) ? chosen : "";
}

function called({ number, name, serial_number }) {
  return [number ?? "", name ?? "", name ? `(${serial_number})` : serial_number].filter((part) => part !== "").join(" ");
}

receiveFiles(ROOT, () => report?.max_file_bytes ?? Infinity, refresh);
el("all").addEventListener("change", refresh);
el("author").addEventListener("change", ({ target }) => localStorage.setItem("author", target.value));
document.addEventListener("visibilitychange", () => { if (!document.hidden) refresh(); });
refresh();
