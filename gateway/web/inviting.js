/* A code that lets somebody's device in: asked for, shown, and gone when its time is over. */

import { el, made, say, show, tell } from "/web/cards.js";
import { ask, fetched, Refusal } from "/web/http.js";

const TICK_MS = 1000;
const FOR_ALL = "Open it with their camera, or send them this link:";
const FOR_NOBODY_ELSE = "Only this machine can open it: the gateway listens nowhere else. For others, set host in [live] of "
  + "its configuration.";
const IS_HERE = /^(localhost|127\..*|\[::1\])$/;
const form = document.querySelector("#inviting form");
let timer = 0;

/* Show the form to whoever may use it; `invited` is called when there is a code. */
export async function drawInviting(me, invited) {
  const { squads } = await ask("GET", "/api/v1/access/squads");
  el("squads").replaceChildren(...squads.map(choiceOf));
  show(el("everyone"), squads.length > 0);
  const roles = [...el("role").options];
  if (!me.may.includes("manage_access")) for (const role of roles) if (role.value !== "viewer") role.remove();
  el("role").addEventListener("change", drawLimits);
  el("copy").addEventListener("click", copy);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    invite(invited);
  });
  drawLimits();
  show(el("inviting"), true);
}

function choiceOf(squad) {
  return made("label", { className: "check" }, [made("input", { type: "checkbox", value: squad }), squad]);
}

/* Only viewers can be limited. */
function drawLimits() {
  show(el("limits"), el("role").value === "viewer");
}

function wanted() {
  const isViewer = el("role").value === "viewer";
  const squads = [...el("squads").querySelectorAll(":checked")].map((choice) => choice.value);
  return {
    person: el("person").value, role: el("role").value, days: el("days").valueAsNumber || null,
    squads: isViewer && squads.length ? squads : null, gnss_only: isViewer && el("gnss").checked,
  };
}

async function invite(invited) {
  const error = form.querySelector(".error"), asked = wanted();
  tell(error, "");
  try {
    const { told, answeredMs } = await fetched("POST", "/api/v1/access/codes", { body: asked });
    drawCode(asked, told, told.expires_ms - answeredMs);
    invited();
  } catch (failure) {
    if (!(failure instanceof Refusal)) throw failure;
    tell(error, failure.message);
  }
}

function drawCode({ person, role }, { url, qr }, lastsMs) {
  const untilMs = performance.now() + lastsMs;
  const isForAll = !IS_HERE.test(new URL(url).hostname);
  el("qr").src = qr;
  show(el("qr"), isForAll);
  say(el("how"), isForAll ? FOR_ALL : FOR_NOBODY_ELSE);
  el("link").value = url;
  say(el("copy"), "Copy the link");
  say(el("whose"), `For one device of ${person}, as ${role}.`);
  show(el("code"), true);
  clearInterval(timer);
  const tick = () => {
    const leftS = Math.floor((untilMs - performance.now()) / 1000);
    say(el("left"), `Good once, for ${Math.floor(leftS / 60)}:${String(leftS % 60).padStart(2, "0")} more.`);
    if (leftS < 0) forget();
  };
  timer = setInterval(tick, TICK_MS);
  tick();
  el("code").focus();
}

function forget() {
  clearInterval(timer);
  el("qr").removeAttribute("src");
  el("link").value = "";
  show(el("code"), false);
}

/* Where the browser lets no page write to the clipboard, it is marked to be copied by hand. */
async function copy({ target }) {
  el("link").select();
  try {
    await navigator.clipboard.writeText(el("link").value);
    say(target, "Copied");
  } catch {
    say(target, "Marked: copy it with your keyboard");
  }
}
