/* The menu button of <keystead-organization-switcher> (WAI-ARIA Authoring Practices): what opens it, moves in it and
   closes it. What the items are, and what is done about a choice, is the element's. */

const PAUSE = 500; // milliseconds after which letters begin another word

/** Made without markup in texts: a page's policy may ask for trusted types. */
export function element(name, attributes = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...content);
  return made;
}

/** `data.kind` and `data.id` name it: by them a menu that is filled anew keeps its place. */
export function menuItem(role, text, data) {
  const item = element("div", { role, part: "item", tabindex: "-1" }, text);
  Object.assign(item.dataset, data);
  return item;
}

export class Menu {
  opener = element("button", { id: "opener", part: "button", type: "button", "aria-haspopup": "menu" }, element("span"));
  list = element("div", { id: "menu", part: "menu", role: "menu", hidden: "" });

  #whenOpened;
  #whenChosen;
  #isFilling = false;
  #typed = "";
  #typedAt = -PAUSE;

  /** `whenChosen` is told the `dataset` of the item. */
  constructor({ whenOpened, whenChosen }) {
    this.#whenOpened = whenOpened;
    this.#whenChosen = whenChosen;
    this.opener.setAttribute("aria-expanded", "false");
    this.opener.addEventListener("click", () => (this.list.hidden ? this.#open() : this.close()));
    this.opener.addEventListener("keydown", (event) => this.#openByKey(event));
    this.opener.addEventListener("mousedown", (event) => {
      if (!this.list.hidden) event.preventDefault(); // the focus stays, so that the click closes what is open
    });
    this.list.addEventListener("keydown", (event) => this.#move(event));
    this.list.addEventListener("click", (event) => this.#choose(event.target.closest("[role^=menuitem]")));
    this.list.addEventListener("focusout", (event) => this.#leave(event));
  }

  get #items() {
    return [...this.list.querySelectorAll("[role^=menuitem]")];
  }

  get #focused() {
    return this.list.getRootNode().activeElement;
  }

  call(label, name) {
    this.opener.querySelector("span").textContent = name;
    this.opener.setAttribute("aria-label", `${label}: ${name}`);
    this.list.setAttribute("aria-label", label);
  }

  /** The item that had the focus has it again; without it the menu closes. */
  fill(groups) {
    const focused = this.#focused?.dataset;
    this.#isFilling = true; // taking away what has the focus is not leaving
    this.list.replaceChildren(...groups);
    this.#isFilling = false;
    this.opener.setAttribute("aria-disabled", String(!this.#items.length));
    if (!focused?.kind) return;
    const again = this.#items.find(({ dataset }) => dataset.kind === focused.kind && dataset.id === focused.id);
    if (again) again.focus();
    else this.close();
  }

  #open(place = "checked") {
    const items = this.#items;
    if (!items.length) return;
    this.#whenOpened();
    this.list.hidden = false;
    this.opener.setAttribute("aria-expanded", "true");
    this.#place();
    const checked = items.find((item) => item.getAttribute("aria-checked") === "true");
    const first = place === "last" ? items.at(-1) : items[0];
    (place === "checked" ? (checked ?? first) : first).focus();
  }

  /** Inside of the window: moved aside, or above the button where there is more room. */
  #place() {
    this.list.classList.remove("above");
    this.list.style.translate = "0";
    const { clientWidth, clientHeight } = document.documentElement;
    const [menu, opener] = [this.list.getBoundingClientRect(), this.opener.getBoundingClientRect()];
    this.list.classList.toggle("above", menu.bottom > clientHeight && opener.top > clientHeight - opener.bottom);
    this.list.style.translate = `${Math.max(Math.min(0, clientWidth - 8 - menu.right), 8 - menu.left)}px`;
  }

  close({ focus = true } = {}) {
    if (this.list.hidden) return;
    this.list.hidden = true;
    this.#typed = "";
    this.opener.setAttribute("aria-expanded", "false");
    if (focus) this.opener.focus();
  }

  #leave(event) {
    const isInside = this.list.contains(event.relatedTarget) || event.relatedTarget === this.opener;
    if (!isInside && !this.#isFilling) this.close({ focus: false });
  }

  #openByKey(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    this.#open(event.key === "ArrowUp" ? "last" : "first");
  }

  #move(event) {
    const items = this.#items;
    const at = items.indexOf(this.#focused);
    const to = {
      ArrowDown: (at + 1) % items.length,
      ArrowUp: (at - 1 + items.length) % items.length,
      Home: 0,
      End: items.length - 1,
    }[event.key];
    const isLetter = event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey;
    if (to !== undefined) items[to].focus();
    else if (event.key === "Escape") this.close();
    else if (event.key === "Tab") return this.close(); // and on from the button, as the browser does
    else if (event.key === "Enter" || (event.key === " " && !this.#isTyping)) this.#choose(items[at]);
    else if (isLetter) this.#find(event.key, at);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  get #isTyping() {
    return this.#typed !== "" && performance.now() - this.#typedAt < PAUSE;
  }

  /** Letters typed quickly are the beginning of a name; the same one again goes on to the next. */
  #find(letter, at) {
    this.#typed = (this.#isTyping ? this.#typed : "") + letter.toLocaleLowerCase();
    this.#typedAt = performance.now();
    const isRepeated = [...this.#typed].every((one) => one === this.#typed[0]);
    const [wanted, from] = isRepeated ? [this.#typed[0], at + 1] : [this.#typed, at];
    const items = this.#items;
    const order = items.map((_, place) => items[(from + place) % items.length]);
    order.find((item) => item.textContent.toLocaleLowerCase().startsWith(wanted))?.focus();
  }

  #choose(item) {
    if (!item) return;
    this.close();
    this.#whenChosen(item.dataset);
  }
}
