/* The head of every page: where one can go, who one is here, and the way out. */

import { ask, Refusal } from "/web/http.js";
import { button, made } from "/web/cards.js";
import { agreed } from "/web/question.js";

const PAGES = [["/", "Live", "follow"], ["/recordings", "Recordings", "see_recordings"], ["/access", "Access", "invite_viewers"]];

/* Draw it, and answer who asks: `me`, as the gateway tells it. */
export async function drawHeader() {
  const me = await ask("GET", "/api/v1/me");
  const nav = document.getElementById("nav");
  const links = PAGES.filter(([, , action]) => me.may.includes(action)).map(([address, word]) => {
    const link = made("a", { href: address, textContent: word });
    if (address === location.pathname) link.setAttribute("aria-current", "page");
    return link;
  });
  nav.replaceChildren(...links, ownCorner(me));
  return me;
}

/* Small until it is opened: on a phone the athletes need the room. */
function ownCorner(me) {
  const who = made("p", { className: "who", textContent: [...new Set([me.person, me.device])].join(", ") });
  const controls = me.id === null ? [] : [button("Sign out", signOut)];
  return made("details", { className: "own" }, [
    made("summary", {}, [made("span", { textContent: me.person })]), made("div", {}, [who, ...controls]),
  ]);
}

async function signOut({ target }) {
  if (!await agreed("Sign this device out? It needs a new code to come back.", "Sign out")) return;
  try {
    await ask("DELETE", "/api/v1/me");
    location.replace("/pair");
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    target.textContent = "Sign out (did not work, try again)";
  }
}
