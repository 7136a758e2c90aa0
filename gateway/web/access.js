/* Who is let in and who may be seen: of that, what the role of the one who asks has. */

import { button, date, day, drawCard, el, fill, lasting, made, say, show, tell } from "/web/cards.js";
import { drawHeader } from "/web/header.js";
import { ask, fetched, Refusal } from "/web/http.js";
import { drawInviting } from "/web/inviting.js";
import { agreed } from "/web/question.js";
import { drawReleases } from "/web/releases.js";

const LOOK_MS = 5000, LINES = 50, WIDE = "(min-width: 44rem)";
const FORBIDDEN = "Whoever follows athletes only has nothing to do here.";
const DEEDS = {
  admission: "showed a token or a code", invited: "made a code for", let_in: "let in", paired: "came in with a code",
  signed_out: "signed out", threw_out: "threw out",
};
let me = null, oldest = null;

async function begin() {
  try {
    me ??= await drawHeader();
    if (!me.may.includes("invite_viewers")) return tell(el("offline"), FORBIDDEN);
    await drawInviting(me, look);
    for (const id of ["devices", "releases"]) el(id).open = matchMedia(WIDE).matches;
    show(el("audit"), me.may.includes("read_audit"));
    el("audit").addEventListener("toggle", () => { if (el("audit").open) drawAudit(null); });
    el("older").addEventListener("click", () => drawAudit(oldest));
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    tell(el("offline"), error.message);
    return setTimeout(begin, LOOK_MS);
  }
  document.addEventListener("visibilitychange", look);
  setInterval(look, LOOK_MS);
  await look();
}

async function look() {
  if (document.hidden) return;
  try {
    await drawReleases(me);
    if (me.may.includes("manage_access")) await drawDevices();
    tell(el("offline"), "");
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    tell(el("offline"), error.message);
  }
}

async function drawDevices() {
  const { told, answeredMs } = await fetched("GET", "/api/v1/access");
  if (told.problem) tell(el("trouble"), told.problem);
  say(el("devices").querySelector(".count"), `${told.grants.length}`);
  fill(el("devices"), told.grants, (it) => it.id, (card, it) => drawDevice(card, it, answeredMs));
}

function drawDevice(card, it, nowMs) {
  const isMine = it.id === me.id, isOver = it.expires_ms <= nowMs;
  const scope = [it.squads?.join(", "), it.gnss_only && "no heart rate"].filter(Boolean).join(", ");
  const facts = [
    it.device, scope, `let in by ${it.created_by}, ${date(it.created_ms)}`,
    `${isOver ? "over since" : "until"} ${date(it.expires_ms - 1)}`,
  ];
  const used = it.used_ms === null ? "Never here yet." : `Last here ${lasting((nowMs - it.used_ms) / 1000)} ago.`;
  drawCard(card, isOver ? "" : "good", it.person, it.role, facts, isMine ? "This device." : used, "");
  card.grant = it;
  const controls = card.querySelector(".controls");
  if (!controls.children.length) controls.append(button("Throw out", () => throwOut(card), "bad"));
  controls.firstChild.setAttribute("aria-label", `Throw out ${it.device} of ${it.person}`);
}

async function throwOut(card) {
  const { id, device, person } = card.grant;
  const question = `Throw out ${device} of ${person}? Its connections end at once, and it needs a new code to come back.`;
  if (!await agreed(question, "Throw it out")) return;
  try {
    await ask("DELETE", `/api/v1/access/${id}`);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return tell(card.querySelector(".error"), error.message);
  }
  await look();
  el("devices").querySelector("summary").focus();
}

async function drawAudit(before) {
  const error = el("audit").querySelector(".error");
  try {
    const { lines } = await ask("GET", `/api/v1/audit?limit=${LINES}${before === null ? "" : `&before=${before}`}`);
    const list = el("audit").querySelector("ul");
    if (before === null) list.replaceChildren();
    list.append(...lines.map((line) => made("li", { textContent: sentenceOf(line) })));
    oldest = lines.at(-1)?.id ?? oldest;
    show(el("older"), lines.length === LINES);
    tell(error, "");
  } catch (failure) {
    if (!(failure instanceof Refusal)) throw failure;
    tell(error, failure.message);
  }
}

function sentenceOf({ first_ms, last_ms, count, person, device, address, deed, subject, outcome }) {
  const who = [person || "Somebody", device && `(${device})`, address && `from ${address}`].filter(Boolean).join(" ");
  const what = [DEEDS[deed] ?? deed.replaceAll("_", " "), subject].filter(Boolean).join(" ");
  const how = outcome === "done" ? "" : `${outcome.replaceAll("_", " ")}: `;
  const often = count > 1 ? ` · ${count} times since ${day(first_ms)}` : "";
  return `${day(last_ms)} · ${who} · ${how}${what}${often}`;
}

begin();
