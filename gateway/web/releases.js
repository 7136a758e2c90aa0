/* Which athletes may be seen: without a release nothing of one is shown or kept. */

import { button, date, drawCard, el, fill, say, show, tell } from "/web/cards.js";
import { ask, Refusal } from "/web/http.js";
import { agreed } from "/web/question.js";

const ROOT = "/api/v1/releases";
const NOT_ASKED = "The configuration asks for no release: everybody is shown. Those given here count once it asks.";
let report = null, isGiver = false;

/* Show them to whoever may see them. */
export async function drawReleases(me) {
  isGiver = me.may.includes("give_releases");
  el("everybody").onclick = () => give(missing());
  draw(await ask("GET", ROOT));
}

const missing = () => report.athletes.filter((it) => !it.is_released).map(({ athlete }) => athlete);

function draw(told) {
  report = told;
  const count = report.athletes.length, lacking = missing().length;
  const released = `${count - lacking} of ${count} are released. Of the others nothing is shown or kept.`;
  say(el("released"), report.is_required ? released : NOT_ASKED);
  say(el("releases").querySelector(".count"), report.is_required ? `${count - lacking} of ${count}` : `all ${count}`);
  say(el("everybody"), lacking === count ? "Release all of them" : `Release the other ${lacking}`);
  show(el("giving"), isGiver && lacking > 0);
  tell(el("trouble"), report.trouble ?? "");
  fill(el("releases"), report.athletes, (it) => it.athlete, drawAthlete);
  show(el("releases"), true);
}

function drawAthlete(card, it) {
  const isShown = it.is_released || !report.is_required;
  const release = it.is_released ? [it.basis, `released by ${it.by}, ${date(it.given_ms)}`] : [];
  const badge = report.is_required ? (it.is_released ? "Released" : "Not released") : "Shown";
  const waiting = it.is_waiting ? "It begins when the cloud has answered." : "";
  drawCard(card, isShown ? "good" : "", it.athlete, badge, [it.trackers.join(", "), ...release], waiting, "");
  card.athlete = it.athlete;
  const controls = card.querySelector(".controls");
  if (!controls.children.length) {
    controls.append(
      button("Release", () => give([card.athlete])), button("Withdraw", () => withdraw(card.athlete), "bad"),
    );
  }
  const [giving, withdrawing] = controls.children;
  show(giving, isGiver && !it.is_released);
  show(withdrawing, report.is_required && it.is_released);
  for (const node of controls.children) node.setAttribute("aria-label", `${node.textContent}: ${it.athlete}`);
}

async function give(athletes) {
  const basis = el("basis").value.trim();
  if (basis) return change("PUT", ROOT, { athletes, basis });
  tell(el("refused"), "Say first on what basis: signed consent, for example.");
  el("basis").focus();
}

async function withdraw(athlete) {
  const meaning = "It stops being shown at once, and what the gateway remembers of these data is wiped.";
  const yes = await agreed(`Withdraw the release of ${athlete}? ${meaning}`, "Withdraw it");
  if (yes) await change("POST", `${ROOT}/withdraw`, { athletes: [athlete] });
}

async function change(method, path, body) {
  try {
    draw(await ask(method, path, body));
    tell(el("refused"), "");
    if (!document.activeElement?.checkVisibility()) el("released").focus();  // the button has left
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    tell(el("refused"), error.message);
  }
}
