/* A question that is to be answered before something happens that cannot be undone. */

import { button, made } from "/web/cards.js";

let dialog = null;

/* Whether a person agrees. Not by the event that tells of the closing: it comes late, and an answer must not be taken
 * for another question's. */
export function agreed(question, yes) {
  dialog?.remove();
  return new Promise((resolve) => {
    const answer = (isYes) => () => {
      dialog.close();
      resolve(isYes);
    };
    const no = Object.assign(button("No, leave it", answer(false)), { id: "no", autofocus: true });
    const agree = Object.assign(button(yes, answer(true), "bad"), { id: "yes" });
    dialog = made("dialog", { id: "ask", oncancel: answer(false) }, [
      made("p", { id: "question", textContent: question }), made("div", { className: "controls" }, [no, agree]),
    ]);
    dialog.setAttribute("aria-labelledby", "question");
    document.body.append(dialog);
    dialog.showModal();
  });
}
