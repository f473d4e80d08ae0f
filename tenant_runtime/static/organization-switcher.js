/* <keystead-organization-switcher>: which organization somebody acts in, and how they change it.

   <script type="module" src="https://acme.example.com/assets/organization-switcher.js"></script>
   <keystead-organization-switcher issuer="https://acme.example.com/"></keystead-organization-switcher>

   Without dependencies. Where the page gives no `organizations`, they are asked for at the issuer's `/api/auth`, with
   the person's session there: that takes a page of the same site, whose origin a client of the tenant names. What is
   done about a choice is the page's: `switchOrganization`, most simply that of `createTokens` below. */

const TEXTS = {
  label: "Organization",
  none: "No organization",
  create: "Create an organization…",
  invitations: "Invitations",
  invitation: "Invitation to {name}",
  name: "Name",
  address: "Short name",
  addressHint: "Small letters, digits and hyphens",
  accept: "Accept",
  decline: "Decline",
  cancel: "Cancel",
  created: "Create",
  failed: "That did not work.",
  invited: "You are invited to {name}.",
};

const STYLE = new CSSStyleSheet();
STYLE.replaceSync(`
:host { display: inline-block; position: relative; font: inherit; color-scheme: light dark;
  --_text: var(--keystead-text, light-dark(#1b1f24, #f2f4f7));
  --_surface: var(--keystead-surface, light-dark(#fff, #1d2127));
  --_line: var(--keystead-line, light-dark(#8a919c, #7d8590));
  --_accent: var(--keystead-accent, light-dark(#3538cd, #a4a6ff)); }
:host([hidden]) { display: none; }
button { font: inherit; color: var(--_text); background: var(--_surface); border: 1px solid var(--_line);
  border-radius: 8px; padding: .55rem .8rem; min-height: 44px; cursor: pointer; }
button:focus-visible, [role^=menuitem]:focus-visible, input:focus-visible { outline: 3px solid var(--_accent);
  outline-offset: 2px; }
#opener { display: flex; gap: .6rem; align-items: center; max-width: 20rem; }
#opener span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
#opener::after { content: ""; border: .3em solid transparent; border-top-color: currentColor; margin-top: .3em; }
#opener[aria-busy=true] { opacity: .6; cursor: progress; }
[role=menu] { position: absolute; z-index: 10; inset-inline-start: 0; margin-top: .3rem; min-width: 100%; width: max-content;
  max-width: min(24rem, 90vw); max-height: 60vh; overflow: auto; background: var(--_surface); color: var(--_text);
  border: 1px solid var(--_line); border-radius: 10px; padding: .3rem; box-shadow: 0 8px 24px rgb(0 0 0 / .18); }
[role^=menuitem] { display: flex; gap: .6rem; align-items: center; min-height: 44px; padding: 0 .7rem; border-radius: 7px;
  cursor: pointer; overflow-wrap: anywhere; }
[role^=menuitem]:hover, [role^=menuitem]:focus { background: color-mix(in srgb, var(--_accent) 14%, transparent); }
[aria-checked=true]::after { content: "✓"; margin-inline-start: auto; color: var(--_accent); }
[role=separator] { border-top: 1px solid var(--_line); margin: .3rem 0; }
.heading { padding: .4rem .7rem; font-size: .85em; opacity: .8; }
dialog { font: inherit; color: var(--_text); background: var(--_surface); border: 1px solid var(--_line);
  border-radius: 12px; padding: 1.2rem; width: min(22rem, 90vw); box-sizing: border-box; }
dialog::backdrop { background: rgb(0 0 0 / .4); }
label { display: block; margin-bottom: .8rem; }
input { font: inherit; display: block; width: 100%; box-sizing: border-box; min-height: 44px; padding: .4rem .6rem;
  margin-top: .2rem; color: inherit; background: transparent; border: 1px solid var(--_line); border-radius: 7px; }
.actions { display: flex; flex-wrap: wrap; gap: .5rem; }
.actions [value=yes] { background: var(--_accent); border-color: var(--_accent); color: var(--_surface); }
[role=alert]:empty { display: none; }
[role=alert] { margin: .5rem 0; }
@media (forced-colors: active) { [role^=menuitem]:focus { outline: 2px solid Highlight; } }
@media (prefers-reduced-motion: no-preference) { [role^=menuitem] { transition: background .1s; } }
`);

const SHAPE = `
<button id="opener" part="button" type="button" aria-haspopup="menu" aria-expanded="false"><span></span></button>
<div id="menu" part="menu" role="menu" hidden></div>
<p role="alert" part="problem"></p>
<dialog part="dialog"><form method="dialog"><div class="fields"></div><p role="alert"></p>
<div class="actions"></div></form></dialog>`;

class OrganizationSwitcher extends HTMLElement {
  static observedAttributes = ["active", "issuer", "label"];

  /** async (organization) => void. What it throws is shown, and the former organization stays. */
  switchOrganization = null;

  #given = null;
  #known = [];
  #invitations = [];
  #texts = TEXTS;
  #turn = 0;
  #reading = 0;
  #typed = "";
  #typedAt = 0;
  #root = this.attachShadow({ mode: "open" });

  constructor() {
    super();
    this.#root.innerHTML = SHAPE;
    this.#root.adoptedStyleSheets = [STYLE]; // no element: a page's policy may forbid those
    this.#opener.addEventListener("click", () => (this.#menu.hidden ? this.#open() : this.#close()));
    this.#opener.addEventListener("keydown", (event) => this.#openByKey(event));
    this.#menu.addEventListener("keydown", (event) => this.#move(event));
    this.#menu.addEventListener("click", (event) => this.#choose(event.target.closest("[role^=menuitem]")));
    this.#menu.addEventListener("focusout", (event) => this.#leave(event));
  }

  connectedCallback() {
    this.#draw();
    this.refresh();
  }

  disconnectedCallback() {
    this.#turn += 1;
    this.#reading += 1;
    this.#close({ focus: false });
  }

  attributeChangedCallback(name, before, after) {
    if (before === after || !this.isConnected) return;
    if (name === "issuer") this.refresh();
    this.#draw();
  }

  /** [{id, name}], or null: the issuer is asked. */
  get organizations() {
    return this.#given ?? this.#known;
  }

  set organizations(list) {
    this.#given = list;
    if (this.isConnected) {
      this.#draw();
      if (list === null) this.refresh();
    }
  }

  /** Words in another language: any of `OrganizationSwitcher.texts`. */
  set texts(words) {
    this.#texts = { ...TEXTS, ...words };
    if (this.isConnected) this.#draw();
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
      this.#given === null ? this.#ask("organization/list").catch(() => []) : this.#known,
      this.hasAttribute("without-invitations")
        ? []
        : this.#ask("organization/list-user-invitations").catch(() => []), // an address that is not proved sees none
    ]);
    if (turn !== this.#reading) return;
    this.#known = organizations ?? [];
    this.#invitations = (invitations ?? []).filter((one) => new Date(one.expiresAt) > new Date());
    this.#draw();
  }

  // ---- What is shown ------------------------------------------------------------------------------------------------

  get #opener() {
    return this.#root.getElementById("opener");
  }

  get #menu() {
    return this.#root.getElementById("menu");
  }

  get #dialog() {
    return this.#root.querySelector("dialog");
  }

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
    this.#opener.querySelector("span").textContent = name;
    this.#opener.setAttribute("aria-label", `${label}: ${name}`);
    this.#menu.setAttribute("aria-label", label);
    const focused = this.#items.indexOf(this.#root.activeElement);
    this.#menu.replaceChildren(
      ...this.organizations.map((one) => this.#item("menuitemradio", one.name, { kind: "switch", id: one.id })),
      ...(this.#invitations.length ? [this.#separator(), this.#heading(this.#say("invitations"))] : []),
      ...this.#invitations.map((one) =>
        this.#item("menuitem", this.#say("invitation", { name: one.organizationName }), { kind: "answer", id: one.id }),
      ),
      ...(this.hasAttribute("can-create")
        ? [this.#separator(), this.#item("menuitem", this.#say("create"), { kind: "create" })]
        : []),
    );
    if (focused >= 0) this.#items[Math.min(focused, this.#items.length - 1)]?.focus();
  }

  #item(role, text, { kind, id = "" }) {
    const item = document.createElement("div");
    item.textContent = text;
    item.tabIndex = -1;
    item.setAttribute("role", role);
    item.setAttribute("part", "item");
    item.dataset.kind = kind;
    item.dataset.id = id;
    if (role === "menuitemradio") item.setAttribute("aria-checked", String(id === this.active));
    return item;
  }

  #separator() {
    const line = document.createElement("div");
    line.setAttribute("role", "separator");
    return line;
  }

  #heading(text) {
    const heading = document.createElement("div");
    heading.className = "heading";
    heading.setAttribute("role", "presentation");
    heading.textContent = text;
    return heading;
  }

  // ---- The menu (WAI-ARIA Authoring Practices, menu button) ----------------------------------------------------------

  #open(place = "checked") {
    if (!this.#items.length || this.#opener.getAttribute("aria-busy") === "true") return;
    this.#complain("");
    this.#menu.hidden = false;
    this.#opener.setAttribute("aria-expanded", "true");
    const checked = this.#items.find((item) => item.getAttribute("aria-checked") === "true");
    const first = place === "last" ? this.#items.at(-1) : this.#items[0];
    (place === "checked" ? (checked ?? first) : first).focus();
  }

  #close({ focus = true } = {}) {
    if (this.#menu.hidden) return;
    this.#menu.hidden = true;
    this.#opener.setAttribute("aria-expanded", "false");
    if (focus) this.#opener.focus();
  }

  #leave(event) {
    if (!this.#menu.contains(event.relatedTarget) && event.relatedTarget !== this.#opener) this.#close({ focus: false });
  }

  #openByKey(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    this.#open(event.key === "ArrowUp" ? "last" : "first");
  }

  #move(event) {
    const items = this.#items;
    const at = items.indexOf(this.#root.activeElement);
    const to = { ArrowDown: (at + 1) % items.length, ArrowUp: (at - 1 + items.length) % items.length, Home: 0,
      End: items.length - 1 }[event.key];
    if (to !== undefined) items[to].focus();
    else if (event.key === "Escape") this.#close();
    else if (event.key === "Tab") return this.#close({ focus: false });
    else if (event.key === "Enter" || event.key === " ") this.#choose(items[at]);
    else if (event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) this.#find(event.key, at);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #find(letter, at) {
    this.#typed = performance.now() - this.#typedAt > 500 ? letter : this.#typed + letter;
    this.#typedAt = performance.now();
    const wanted = this.#typed.toLocaleLowerCase();
    const items = this.#items;
    const from = wanted.length === 1 ? at + 1 : at;
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
    if (!organization || id === this.active) return;
    const turn = (this.#turn += 1);
    this.#opener.setAttribute("aria-busy", "true");
    try {
      const result = await this.switchOrganization?.(organization);
      if (turn !== this.#turn) return;
      this.active = id;
      this.#tell("organizationchange", { organization, result });
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#complain(error?.message || this.#say("failed"));
      this.#tell("organizationerror", { organization, error });
    } finally {
      if (turn === this.#turn) this.#opener.removeAttribute("aria-busy");
    }
  }

  async #create() {
    const fields = `<label><span></span><input name="name" required maxlength="150" autocomplete="off"></label>
      <label><span></span><input name="slug" required maxlength="63" pattern="[a-z0-9][a-z0-9\\-]*" autocomplete="off"
      autocapitalize="none" spellcheck="false"></label>`;
    const [name, slug] = await this.#asked(fields, [this.#say("name"), this.#say("address")], {
      title: this.#say("create"),
      buttons: [["yes", this.#say("created")], ["cancel", this.#say("cancel")]],
      hint: this.#say("addressHint"),
      act: (values) =>
        this.#ask("organization/create", { name: values.name, slug: values.slug, keepCurrentActiveOrganization: true }),
    });
    if (!name) return;
    await this.refresh();
    const made = this.organizations.find((one) => one.slug === slug);
    this.#tell("organizationcreate", { organization: made ?? { name, slug } });
    if (made) await this.#switchTo(made.id);
  }

  async #answer(invitationId) {
    const invitation = this.#invitations.find((one) => one.id === invitationId);
    const [, , how] = await this.#asked("", [], {
      title: this.#say("invited", { name: invitation.organizationName }),
      buttons: [["yes", this.#say("accept")], ["no", this.#say("decline")], ["cancel", this.#say("cancel")]],
      act: (_, button) =>
        this.#ask(`organization/${button === "yes" ? "accept" : "reject"}-invitation`, { invitationId }),
    });
    if (!how) return;
    await this.refresh();
    if (how === "yes") await this.#switchTo(invitation.organizationId);
  }

  /** The values that were acted upon and the button; nothing when it was left. */
  #asked(fields, labels, { title, buttons, hint, act }) {
    const dialog = this.#dialog;
    const problem = dialog.querySelector("[role=alert]");
    dialog.setAttribute("aria-label", title);
    dialog.querySelector(".fields").innerHTML = `<p class="title"></p>${fields}`;
    dialog.querySelector(".title").textContent = title;
    dialog.querySelectorAll("label span").forEach((span, place) => (span.textContent = labels[place]));
    if (hint) dialog.querySelector("input[pattern]").title = hint;
    problem.textContent = "";
    dialog.querySelector(".actions").replaceChildren(
      ...buttons.map(([value, text]) => {
        const button = document.createElement("button");
        Object.assign(button, { value, textContent: text, formNoValidate: value === "cancel" });
        return button;
      }),
    );
    return new Promise((resolve) => {
      dialog.onclose = () => resolve([]);
      dialog.querySelector("form").onsubmit = async (event) => {
        const button = event.submitter?.value ?? "yes";
        if (button === "cancel") return;
        event.preventDefault();
        const values = Object.fromEntries(new FormData(event.target));
        try {
          await act(values, button);
          dialog.onclose = null;
          dialog.close();
          resolve([values.name, values.slug, button]);
        } catch (error) {
          problem.textContent = error.message || this.#say("failed");
        }
      };
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
    if (!response.ok) throw new Error(answer?.message ?? this.#say("failed"));
    return answer;
  }

  #complain(text) {
    this.#root.querySelector("[part=problem]").textContent = text;
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
  }
}

/** Access tokens of a public client, each kept with the organization it is for and handed out for no other.

   `refreshToken` where the page has one, else every token is asked for silently in a hidden frame (`prompt=none`), which
   takes `redirectUri` to be an address of this page's own origin. */
export function createTokens({ issuer, clientId, redirectUri, audience, scope = "openid", refreshToken = null }) {
  const kept = new Map();
  let queue = Promise.resolve();
  let active = null;
  let wanted = null;

  async function token(form) {
    const response = await fetch(new URL("oauth/token", issuer), {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ client_id: clientId, ...form }),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.error_description ?? answer.error);
    return answer;
  }

  /** One after the other: each use of a refresh token ends it. */
  function inTurn(work) {
    const done = queue.then(work);
    queue = done.catch(() => undefined);
    return done;
  }

  async function refreshed(organization) {
    const answer = await token({ grant_type: "refresh_token", refresh_token: refreshToken, organization });
    refreshToken = answer.refresh_token ?? refreshToken;
    return answer;
  }

  async function silent(organization) {
    const [state, verifier] = [random(), random() + random()];
    const code = await framed(authorization({ organization, state, challenge: await challenge(verifier) }), state);
    return token({ grant_type: "authorization_code", code, code_verifier: verifier, redirect_uri: redirectUri });
  }

  function authorization({ organization, state, challenge }) {
    const address = new URL("authorize", issuer);
    address.search = new URLSearchParams({
      response_type: "code", response_mode: "web_message", prompt: "none", client_id: clientId,
      redirect_uri: redirectUri, scope, state, organization, code_challenge: challenge, code_challenge_method: "S256",
      ...(audience ? { audience } : {}),
    });
    return address;
  }

  function framed(address, state) {
    return new Promise((resolve, reject) => {
      const frame = Object.assign(document.createElement("iframe"), { hidden: true, src: address });
      const end = (settle, value) => {
        removeEventListener("message", heard);
        clearTimeout(timer);
        frame.remove();
        settle(value);
      };
      const timer = setTimeout(end, 10_000, reject, new Error("The issuer did not answer."));
      function heard(event) {
        const said = event.data?.response;
        if (event.source !== frame.contentWindow || event.origin !== new URL(issuer).origin || !said) return;
        if (said.state !== state || (said.iss !== undefined && said.iss !== issuer)) return;
        if (said.error) end(reject, new Error(said.error_description ?? said.error));
        else end(resolve, said.code);
      }
      addEventListener("message", heard);
      document.body.append(frame);
    });
  }

  async function fresh(organization) {
    const known = kept.get(organization);
    if (known && known.until > Date.now() + 10_000) return known;
    const answer = await (refreshToken ? inTurn(() => refreshed(organization)) : silent(organization));
    if (claimsOf(answer.access_token)?.org_id !== organization) throw new Error("The token is for another organization.");
    const made = { accessToken: answer.access_token, until: Date.now() + answer.expires_in * 1000 };
    kept.set(organization, made);
    return made;
  }

  return {
    get active() {
      return active;
    },

    /** For `<keystead-organization-switcher>`: active once there is a token for it, unless another was chosen since. */
    async switchOrganization({ id }) {
      wanted = id;
      const found = await fresh(id);
      if (wanted === id) active = id;
      return found.accessToken;
    },

    /** Of the organization that is named, never of another. */
    async accessToken(organization = active) {
      if (!organization) throw new Error("No organization is active.");
      return (await fresh(organization)).accessToken;
    },

    /** After signing out. */
    forget() {
      kept.clear();
      refreshToken = active = wanted = null;
    },
  };
}

function claimsOf(token) {
  try {
    const text = atob(token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/"));
    return JSON.parse(new TextDecoder().decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0))));
  } catch {
    return null;
  }
}

function random() {
  return encoded(crypto.getRandomValues(new Uint8Array(24)));
}

async function challenge(verifier) {
  return encoded(new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(verifier))));
}

function encoded(bytes) {
  return btoa(String.fromCharCode(...bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

if (!customElements.get("keystead-organization-switcher")) {
  customElements.define("keystead-organization-switcher", OrganizationSwitcher);
}

export { OrganizationSwitcher };
