/* <keystead-organization-switcher>: which organization somebody acts in, and how they change it.

   <script type="module" src="https://acme.example.com/assets/organization-switcher.js"></script>
   <keystead-organization-switcher issuer="https://acme.example.com/"></keystead-organization-switcher>

   Without dependencies. Where the page gives no `organizations`, they are asked for at the issuer's `/api/auth`, with
   the person's session there: that takes a page of the same site, whose origin a client of the tenant names. What is
   done about a choice is the page's: `switchOrganization`, most simply that of `createTokens`. */

import { asked, field } from "./organization-switcher-dialog.js";
import { STYLE, TEXTS } from "./organization-switcher-look.js";
import { element, Menu, menuItem } from "./organization-switcher-menu.js";

export { createTokens } from "./organization-tokens.js";

const SETTABLE = ["switchOrganization", "organizations", "texts", "active"];

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
  #menu = new Menu({
    whenOpened: () => this.#complain(""),
    whenChosen: ({ kind, id }) => this.#choose(kind, id),
  });
  #problem = element("p", { role: "alert", part: "problem" });
  #root = this.attachShadow({ mode: "open" });

  constructor() {
    super();
    this.#root.append(this.#menu.opener, this.#menu.list, this.#problem);
    this.#root.adoptedStyleSheets = [STYLE]; // no element: a page's policy may forbid those
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
    this.#menu.opener.removeAttribute("aria-busy");
    this.#menu.close({ focus: false });
    this.#root.querySelector("dialog")?.close();
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

  #say(key, values = {}) {
    return this.#texts[key].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  }

  #draw() {
    const label = this.getAttribute("label") ?? this.#say("label");
    const current = this.organizations.find((one) => one.id === this.active);
    this.#menu.call(label, current?.name ?? this.#say("none"));
    const groups = [
      [label, this.organizations.map((one) => this.#choice(one))],
      [this.#say("invitations"), this.#invited()],
      ["", this.hasAttribute("can-create") ? [this.#maker()] : []],
    ];
    this.#menu.fill(
      groups
        .filter(([, items]) => items.length)
        .map(([name, items]) => element("div", { role: "group", ...(name && { "aria-label": name }) }, ...items)),
    );
  }

  #maker() {
    return menuItem("menuitem", this.#say("create"), { kind: "create", id: "" });
  }

  #choice({ id, name }) {
    const item = menuItem("menuitemradio", name, { kind: "switch", id });
    item.setAttribute("aria-checked", String(id === this.active));
    return item;
  }

  #invited() {
    if (!this.#invitations.length) return [];
    const heading = element("div", { class: "heading", "aria-hidden": "true" }, this.#say("invitations"));
    const items = this.#invitations.map((one) =>
      menuItem("menuitem", this.#say("invitation", { name: one.organizationName }), { kind: "answer", id: one.id }),
    );
    return [heading, ...items];
  }

  // ---- What is done --------------------------------------------------------------------------------------------------

  #choose(kind, id) {
    if (kind === "switch") this.#switchTo(id);
    else if (kind === "create") this.#create();
    else this.#answer(id);
  }

  /** The last choice counts: an earlier one that is answered later changes nothing here. */
  async #switchTo(id) {
    const organization = this.organizations.find((one) => one.id === id);
    const isBusy = this.#menu.opener.hasAttribute("aria-busy");
    if (!organization || !this.#isShown || (id === this.active && !isBusy)) return;
    const turn = (this.#turn += 1);
    this.#complain("");
    this.#menu.opener.setAttribute("aria-busy", "true");
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
      if (turn === this.#turn) this.#menu.opener.removeAttribute("aria-busy");
    }
  }

  async #create() {
    const hint = element("small", { id: "hint" }, this.#say("addressHint"));
    const address = { name: "slug", maxlength: "63", pattern: "[a-z0-9][a-z0-9\\-]*", "aria-describedby": "hint" };
    const made = await this.#asked({
      title: this.#say("creating"),
      fields: [
        field(this.#say("name"), { name: "name", maxlength: "150" }),
        field(this.#say("address"), { ...address, autocapitalize: "none", spellcheck: "false" }, hint),
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

  #asked(question) {
    return asked(this.#root, { failed: this.#say("failed"), ...question });
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
