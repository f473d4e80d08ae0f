/* <keystead-organization-switcher>: which organization somebody acts in, and how they change it.

   <script type="module" src="https://acme.example.com/assets/organization-switcher.js"></script>
   <keystead-organization-switcher issuer="https://acme.example.com/"></keystead-organization-switcher>

   Without dependencies. Where the page gives no `organizations`, they are asked for at the issuer's `/api/auth`, with
   the person's session there: that takes a page of the same site, whose origin a client of the tenant names. What is
   done about a choice is the page's: `switchOrganization`, most simply that of `createTokens`. */

import { STYLE, TEXTS } from "./organization-switcher-look.js";

export { createTokens } from "./organization-tokens.js";

const PAUSE = 500; // milliseconds after which letters begin another word
const SETTABLE = ["switchOrganization", "organizations", "texts", "active"];

/** Made without markup in texts: a page's policy may ask for trusted types. */
function element(name, attributes = {}, ...content) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...content);
  return made;
}

/** What a page set before this module had come: it would hide the properties of the class. */
function setEarly(host) {
  const early = Object.fromEntries(SETTABLE.filter((name) => Object.hasOwn(host, name)).map((name) => [name, host[name]]));
  for (const name of Object.keys(early)) delete host[name];
  return early;
}

class OrganizationSwitcher extends HTMLElement {
  static observedAttributes = ["active", "issuer", "label", "can-create", "without-invitations"];

  #early = setEarly(this);

  /** async (organization) => void. What it throws is shown, and the former organization stays. */
  switchOrganization = null;

  #given = null;
  #known = [];
  #invitations = [];
  #texts = TEXTS;
  #turn = 0;
  #reading = 0;
  #isShown = false;
  #isDrawing = false;
  #typed = "";
  #typedAt = -PAUSE;
  #opener = element("button", { id: "opener", part: "button", type: "button", "aria-haspopup": "menu" }, element("span"));
  #menu = element("div", { id: "menu", part: "menu", role: "menu", hidden: "" });
  #problem = element("p", { role: "alert", part: "problem" });
  #dialog = null;
  #root = this.attachShadow({ mode: "open" });

  constructor() {
    super();
    this.#root.append(this.#opener, this.#menu, this.#problem);
    this.#root.adoptedStyleSheets = [STYLE]; // no element: a page's policy may forbid those
    this.#opener.setAttribute("aria-expanded", "false");
    this.#opener.addEventListener("click", () => (this.#menu.hidden ? this.#open() : this.#close()));
    this.#opener.addEventListener("keydown", (event) => this.#openByKey(event));
    this.#opener.addEventListener("mousedown", (event) => {
      if (!this.#menu.hidden) event.preventDefault(); // the focus stays, so that the click closes what is open
    });
    this.#menu.addEventListener("keydown", (event) => this.#move(event));
    this.#menu.addEventListener("click", (event) => this.#choose(event.target.closest("[role^=menuitem]")));
    this.#menu.addEventListener("focusout", (event) => this.#leave(event));
    Object.assign(this, this.#early);
  }

  connectedCallback() {
    this.#isShown = true;
    this.#draw();
    this.refresh();
  }

  disconnectedCallback() {
    this.#isShown = false;
    this.#turn += 1;
    this.#reading += 1;
    this.#opener.removeAttribute("aria-busy");
    this.#close({ focus: false });
    this.#dialog?.close();
  }

  attributeChangedCallback(name, before, after) {
    if (before === after || !this.#isShown) return;
    if (name === "issuer" || name === "without-invitations") this.refresh();
    this.#draw();
  }

  /** [{id, name}], or null: the issuer is asked. */
  get organizations() {
    return this.#given ?? this.#known;
  }

  set organizations(list) {
    this.#given = list ?? null;
    if (!this.#isShown) return;
    this.#draw();
    if (this.#given === null) this.refresh();
  }

  /** Words in another language: any of `OrganizationSwitcher.texts`. */
  set texts(words) {
    this.#texts = { ...TEXTS, ...words };
    if (this.#isShown) this.#draw();
  }

  static get texts() {
    return { ...TEXTS };
  }

  get active() {
    return this.getAttribute("active");
  }

  set active(id) {
    if (id === null || id === undefined) this.removeAttribute("active");
    else this.setAttribute("active", id);
  }

  /** Ask the issuer again, for instance after somebody else changed something. */
  async refresh() {
    const turn = (this.#reading += 1);
    if (!this.getAttribute("issuer")) return;
    const [organizations, invitations] = await Promise.all([
      this.#given === null ? this.#read("organization/list", this.#known) : this.#known,
      this.hasAttribute("without-invitations")
        ? []
        : this.#read("organization/list-user-invitations", this.#invitations),
    ]);
    if (turn !== this.#reading) return;
    this.#known = organizations;
    this.#invitations = invitations.filter((one) => new Date(one.expiresAt) > new Date());
    this.#draw();
  }

  /** Nothing for who is signed out or has not proved their address; what was known while the issuer is away. */
  async #read(path, known) {
    try {
      return (await this.#ask(path)) ?? [];
    } catch (error) {
      if ([400, 401, 403].includes(error.status)) return [];
      this.#tell("organizationerror", { error });
      return known;
    }
  }

  // ---- What is shown ------------------------------------------------------------------------------------------------

  get #items() {
    return [...this.#menu.querySelectorAll("[role^=menuitem]")];
  }

  #say(key, values = {}) {
    return this.#texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  }

  #draw() {
    const label = this.getAttribute("label") ?? this.#say("label");
    const current = this.organizations.find((one) => one.id === this.active);
    const name = current?.name ?? this.#say("none");
    const focused = this.#root.activeElement?.dataset;
    this.#opener.querySelector("span").textContent = name;
    this.#opener.setAttribute("aria-label", `${label}: ${name}`);
    this.#menu.setAttribute("aria-label", label);
    this.#fill(label);
    this.#opener.setAttribute("aria-disabled", String(!this.#items.length));
    if (!focused?.kind) return;
    const again = this.#items.find((item) => item.dataset.kind === focused.kind && item.dataset.id === focused.id);
    if (again) again.focus();
    else this.#close();
  }

  #fill(label) {
    const invited = this.#invitations.map((one) =>
      this.#item("menuitem", this.#say("invitation", { name: one.organizationName }), { kind: "answer", id: one.id }),
    );
    const heading = element("div", { class: "heading", "aria-hidden": "true" }, this.#say("invitations"));
    const groups = [
      [label, this.organizations.map((one) => this.#item("menuitemradio", one.name, { kind: "switch", id: one.id }))],
      [this.#say("invitations"), invited.length ? [heading, ...invited] : []],
      ["", this.hasAttribute("can-create") ? [this.#item("menuitem", this.#say("create"), { kind: "create" })] : []],
    ];
    this.#redrawn(() =>
      this.#menu.replaceChildren(
        ...groups
          .filter(([, items]) => items.length)
          .map(([name, items]) => element("div", { role: "group", ...(name && { "aria-label": name }) }, ...items)),
      ),
    );
  }

  /** Taking away what has the focus is not leaving. */
  #redrawn(draw) {
    this.#isDrawing = true;
    draw();
    this.#isDrawing = false;
  }

  #item(role, text, { kind, id = "" }) {
    const item = element("div", { role, part: "item", tabindex: "-1" }, text);
    Object.assign(item.dataset, { kind, id });
    if (role === "menuitemradio") item.setAttribute("aria-checked", String(id === this.active));
    return item;
  }

  // ---- The menu (WAI-ARIA Authoring Practices, menu button) ----------------------------------------------------------

  #open(place = "checked") {
    const items = this.#items;
    if (!items.length) return;
    this.#complain("");
    this.#menu.hidden = false;
    this.#opener.setAttribute("aria-expanded", "true");
    this.#place();
    const checked = items.find((item) => item.getAttribute("aria-checked") === "true");
    const first = place === "last" ? items.at(-1) : items[0];
    (place === "checked" ? (checked ?? first) : first).focus();
  }

  /** Inside of the window: moved aside, or above the button where there is more room. */
  #place() {
    this.#menu.classList.remove("above");
    this.#menu.style.translate = "0";
    const { clientWidth, clientHeight } = document.documentElement;
    const [menu, opener] = [this.#menu.getBoundingClientRect(), this.#opener.getBoundingClientRect()];
    this.#menu.classList.toggle("above", menu.bottom > clientHeight && opener.top > clientHeight - opener.bottom);
    this.#menu.style.translate = `${Math.max(Math.min(0, clientWidth - 8 - menu.right), 8 - menu.left)}px`;
  }

  #close({ focus = true } = {}) {
    if (this.#menu.hidden) return;
    this.#menu.hidden = true;
    this.#typed = "";
    this.#opener.setAttribute("aria-expanded", "false");
    if (focus) this.#opener.focus();
  }

  #leave(event) {
    const isInside = this.#menu.contains(event.relatedTarget) || event.relatedTarget === this.#opener;
    if (!isInside && !this.#isDrawing) this.#close({ focus: false });
  }

  #openByKey(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    this.#open(event.key === "ArrowUp" ? "last" : "first");
  }

  #move(event) {
    const items = this.#items;
    const at = items.indexOf(this.#root.activeElement);
    const to = {
      ArrowDown: (at + 1) % items.length,
      ArrowUp: (at - 1 + items.length) % items.length,
      Home: 0,
      End: items.length - 1,
    }[event.key];
    const isLetter = event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey;
    if (to !== undefined) items[to].focus();
    else if (event.key === "Escape") this.#close();
    else if (event.key === "Tab") return this.#close(); // and on from the button, as the browser does
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
    this.#close();
    if (item.dataset.kind === "switch") this.#switchTo(item.dataset.id);
    else if (item.dataset.kind === "create") this.#create();
    else this.#answer(item.dataset.id);
  }

  // ---- What is done --------------------------------------------------------------------------------------------------

  /** The last choice counts: an earlier one that is answered later changes nothing here. */
  async #switchTo(id) {
    const organization = this.organizations.find((one) => one.id === id);
    const isBusy = this.#opener.hasAttribute("aria-busy");
    if (!organization || !this.#isShown || (id === this.active && !isBusy)) return;
    const turn = (this.#turn += 1);
    this.#complain("");
    this.#opener.setAttribute("aria-busy", "true");
    try {
      await this.switchOrganization?.(organization);
      if (turn !== this.#turn) return;
      const isOther = id !== this.active;
      this.active = id;
      if (isOther) this.#tell("organizationchange", { organization });
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#complain(error?.message || this.#say("failed"));
      this.#tell("organizationerror", { organization, error });
    } finally {
      if (turn === this.#turn) this.#opener.removeAttribute("aria-busy");
    }
  }

  async #create() {
    const hint = element("small", { id: "hint" }, this.#say("addressHint"));
    const address = { name: "slug", maxlength: "63", pattern: "[a-z0-9][a-z0-9\\-]*", "aria-describedby": "hint" };
    const made = await this.#asked({
      title: this.#say("creating"),
      fields: [
        this.#field(this.#say("name"), { name: "name", maxlength: "150" }),
        this.#field(this.#say("address"), { ...address, autocapitalize: "none", spellcheck: "false" }, hint),
      ],
      buttons: { yes: this.#say("created"), cancel: this.#say("cancel") },
      act: (_, { name, slug }) =>
        this.#ask("organization/create", { name, slug, keepCurrentActiveOrganization: true }),
    });
    if (!made) return;
    await this.refresh();
    this.#tell("organizationcreate", { organization: made.answer });
    await this.#switchTo(made.answer.id);
  }

  async #answer(invitationId) {
    const invitation = this.#invitations.find((one) => one.id === invitationId);
    const answered = await this.#asked({
      title: this.#say("invited", { name: invitation.organizationName }),
      buttons: { yes: this.#say("accept"), no: this.#say("decline"), cancel: this.#say("cancel") },
      act: (button) =>
        this.#ask(`organization/${button === "yes" ? "accept" : "reject"}-invitation`, { invitationId }),
    });
    if (!answered) return;
    await this.refresh();
    if (answered.button === "no") return;
    const { organizationId: id, organizationName: name } = invitation;
    this.#tell("organizationjoin", { organization: { id, name } });
    await this.#switchTo(id);
  }

  #field(text, attributes, ...beside) {
    const input = element("input", { required: "", autocomplete: "off", ...attributes });
    return element("div", {}, element("label", {}, text, input, ...beside));
  }

  /** What was answered to what was done about it, and the button; null when it was left. */
  #asked({ title, fields = [], buttons, act }) {
    const problem = element("p", { role: "alert" });
    const choices = Object.entries(buttons).map(([value, text]) => element("button", { value }, text));
    const form = element("form", {}, ...fields, problem, element("div", { class: "actions" }, ...choices));
    const heading = element("h2", { id: "title" }, title);
    const dialog = element("dialog", { part: "dialog", "aria-labelledby": "title" }, heading, form);
    choices.at(-1).formNoValidate = true;
    this.#dialog = dialog;
    this.#root.append(dialog);
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
        try {
          resolve({ button, answer: await act(button, Object.fromEntries(new FormData(form))) });
          dialog.close();
        } catch (error) {
          problem.textContent = error.message || this.#say("failed");
          if (!dialog.open) resolve(null);
        }
        isActing = false;
      });
      dialog.showModal();
    });
  }

  /** `/api/auth` of the issuer, with the person's session there. */
  async #ask(path, body) {
    const options = body === undefined
      ? {}
      : { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    const address = new URL(`api/auth/${path}`, this.getAttribute("issuer"));
    const response = await fetch(address, { credentials: "include", ...options });
    const answer = await response.json().catch(() => null);
    if (response.ok) return answer;
    throw Object.assign(new Error(answer?.message ?? this.#say("failed")), { status: response.status });
  }

  #complain(text) {
    this.#problem.textContent = text;
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}

if (!customElements.get("keystead-organization-switcher")) {
  customElements.define("keystead-organization-switcher", OrganizationSwitcher);
}

export { OrganizationSwitcher };
