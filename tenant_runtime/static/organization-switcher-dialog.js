/* What <keystead-organization-switcher> asks in a dialog. */

import { element } from "./organization-switcher-menu.js";

export function field(text, attributes, ...beside) {
  const input = element("input", { required: "", autocomplete: "off", ...attributes });
  return element("div", {}, element("label", {}, text, input, ...beside));
}

/** What `act` answered, and the button (`buttons`: of values to texts, the last one leaves); null when it was left. */
export function asked(root, { title, fields = [], buttons, failed, act }) {
  const problem = element("p", { role: "alert" });
  const choices = Object.entries(buttons).map(([value, text]) => element("button", { value }, text));
  const form = element("form", {}, ...fields, problem, element("div", { class: "actions" }, ...choices));
  const heading = element("h2", { id: "title" }, title);
  const dialog = element("dialog", { part: "dialog", "aria-labelledby": "title" }, heading, form);
  choices.at(-1).formNoValidate = true;
  root.append(dialog);
  return new Promise((resolve) => {
    let isActing = false;
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (!isActing) resolve(null);
    });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const button = event.submitter?.value ?? "yes";
      if (button === "cancel") return dialog.close();
      if (isActing) return;
      isActing = true;
      form.setAttribute("aria-busy", "true");
      try {
        resolve({ button, answer: await act(button, Object.fromEntries(new FormData(form))) });
        dialog.close();
      } catch (error) {
        problem.textContent = error.message || failed;
        if (!dialog.open) resolve(null);
      }
      isActing = false;
      form.removeAttribute("aria-busy");
    });
    dialog.showModal();
  });
}
