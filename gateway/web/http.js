/* Questions to the gateway over HTTP, and what a page does when it does not answer as hoped. */

const PATIENCE_MS = 15_000, UNAUTHORIZED = 401, NOT_MODIFIED = 304, NO_CONTENT = 204;
const PAIR = "/pair";

/* The gateway has refused, or did not answer (`status` 0): `message` is a sentence for a person, `wasLetIn` whether they
 * have a credential that once counted. */
export class Refusal extends Error {
  constructor(status, told, wasLetIn = false) {
    super(told.text);
    this.status = status;
    this.code = told.code;
    this.wasLetIn = wasLetIn;
  }
}

/* Whoever is not let in can do nothing here but change that. */
export function goToPairing() {
  if (location.pathname !== PAIR) location.replace(PAIR);
}

/* A good answer: what it tells, its tag, and when the gateway gave it by its own clock (epoch ms, whole seconds);
 * `null` where nothing has changed since `tag`. */
export async function fetched(method, path, { body, tag = "" } = {}) {
  const headers = { ...(body && { "Content-Type": "application/json" }), ...(tag && { "If-None-Match": tag }) };
  let answer, told;
  try {
    const sent = body && JSON.stringify(body);
    answer = await fetch(path, { method, body: sent, headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (answer.status === NOT_MODIFIED) return null;
    told = answer.status === NO_CONTENT ? {} : await answer.json();
  } catch {
    throw new Refusal(0, { code: "no_answer", text: "The gateway does not answer: look whether it runs, then try again." });
  }
  if (answer.status === UNAUTHORIZED) goToPairing();
  const isWorthless = /invalid_token/.test(answer.headers.get("WWW-Authenticate"));
  if (!answer.ok) throw new Refusal(answer.status, told, isWorthless);
  return { told, tag: answer.headers.get("ETag") ?? "", answeredMs: Date.parse(answer.headers.get("Date")) };
}

export const ask = async (method, path, body) => (await fetched(method, path, { body })).told;
