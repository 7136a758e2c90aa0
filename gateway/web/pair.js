/* A device becomes one that is let in, by the code that a technician has made. */

import { el, show, tell } from "/web/cards.js";
import { codeIn, deviceName } from "/web/devices.js";
import { ask, Refusal } from "/web/http.js";

const NO_CODE = "That is no code: paste the whole link that the technician's page shows.";
let carried = "";

/* The code of the address, which is then neither there nor in the history any more: whoever looks over a shoulder or
 * goes back later finds none. */
function takeCode() {
  const brought = location.hash;
  tell(el("wrong"), "");
  if (!brought) return;
  history.replaceState(null, "", location.pathname);
  carried = codeIn(brought) || carried;
  drawForm();
  if (!carried) refuse(NO_CODE);
}

async function enter(event) {
  event.preventDefault();
  const code = carried || codeIn(el("code").value), device = el("device").value.trim();
  if (!code) return refuse(NO_CODE);
  if (!device) return refuse("Give this device a name first.");
  el("enter").disabled = true;
  tell(el("wrong"), "");
  try {
    await ask("POST", "/api/v1/pair", { code, device, as: "cookie" });
    location.replace("/");
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.code === "unknown_code") forget();
    refuse(error.message);
  } finally {
    el("enter").disabled = false;
  }
}

/* Each code counts once: another one has to be pasted. */
function forget() {
  carried = "";
  el("code").value = "";
  drawForm();
}

function refuse(text) {
  tell(el("wrong"), text);
  el(carried ? "device" : "code").focus();
}

function drawForm() {
  show(el("pasted"), !carried);
  show(el("how"), !carried);
}

async function greet() {
  const hello = await ask("GET", "/api/v1/hello");
  tell(el("site"), hello.site);
  try {
    const me = await ask("GET", "/api/v1/me");
    tell(el("now"), `This device is let in already, as ${me.device} of ${me.person}. A new code makes it another's.`);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.wasLetIn) tell(el("out"), error.message);  // else it is what is usual here: a device that is new
  }
}

el("device").value = deviceName(navigator.userAgent);
drawForm();
takeCode();
el("form").addEventListener("submit", enter);
addEventListener("hashchange", takeCode);
greet().catch(() => {});  // the code can be tried all the same
