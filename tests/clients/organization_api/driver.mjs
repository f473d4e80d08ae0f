// Takes scenes of steps with `better-auth/client` from npm: they come in as JSON, what each step was answered goes out.
// The same steps go to a served tenant or, as the yardstick, to the reference server in this process.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { openReference } from "./reference.mjs";

const require = createRequire(new URL("../packages/package.json", import.meta.url));
const from = (name) => import(pathToFileURL(require.resolve(name)));
const { createAuthClient } = await from("better-auth/client");
const { organizationClient } = await from("better-auth/client/plugins");

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const heard = async () => JSON.parse((await lines.next()).value);
const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const ADDRESS_LIKE = /^(id|token|[a-zA-Z]+Id)$/;
const OF_THE_PLACE = new Set(["ipAddress", "userAgent"]);

const after = (seconds) => new Promise((go) => setTimeout(() => go({ status: 200, gave: null }), seconds * 1000));

function has(thing, wanted) {
  if (wanted === null || typeof wanted !== "object") return thing === wanted;
  return Object.entries(wanted).every(([name, item]) => has(thing?.[name], item));
}

// How a cookie is kept, without how long: that is a tenant's to say.
function attributes(line) {
  const [, ...rest] = line.toLowerCase().split(/; */);
  return rest.map((item) => item.replace(/^(max-age|expires)=.*/, "max-age")).filter((item, at, all) => all.indexOf(item) === at).sort().join(" ");
}

// A browser's cookies and origin: Node's `fetch` keeps neither.
class Browser {
  cookies = new Map();
  changed = {};

  constructor(place) {
    this.place = place;
    this.client = createAuthClient({
      baseURL: `${place.origin}/api/auth`,
      fetchOptions: { customFetchImpl: (url, options) => this.fetch(url, options) },
      plugins: [organizationClient({ teams: { enabled: true }, dynamicAccessControl: { enabled: true } })],
    });
  }

  async fetch(url, options = {}) {
    const headers = new Headers(options.headers);
    if (!headers.has("origin")) headers.set("origin", this.place.origin);
    if (headers.get("origin") === "none") headers.delete("origin");
    if (this.cookies.size && !headers.has("cookie")) headers.set("cookie", this.shown());
    const answer = await this.place.fetch(new Request(url, { ...options, headers }));
    for (const line of answer.headers.getSetCookie()) this.keep(line);
    return answer;
  }

  shown() {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  keep(line) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
    const isOver = /max-age=0/i.test(line) || !value;
    if (isOver) this.cookies.delete(name);
    else this.cookies.set(name, value);
    if (name.includes("better-auth.") && !isOver) this.changed[name.replace("__Secure-", "")] = attributes(line);
  }
}

// One scene: its people, what was kept, and the words that stand for ids.
class Scene {
  kept = new Map();
  words = new Map();
  browsers = new Map();

  constructor(place) {
    this.place = place;
  }

  browser(name) {
    if (!this.browsers.has(name)) this.browsers.set(name, new Browser(this.place));
    return this.browsers.get(name);
  }

  async arrive(person) {
    const { email, password } = person;
    const { data, error } = await this.browser(person.name).client.signIn.email({ email, password });
    if (error) throw new Error(`${person.name} cannot sign in: ${JSON.stringify(error)}`);
    this.keep(person.name, data.user);
  }

  keep(name, value, path = `$${name}`) {
    if (path === `$${name}`) this.kept.set(name, value);
    if (value === null || typeof value !== "object" || value instanceof Date) return;
    for (const [key, item] of Object.entries(value)) {
      const here = `${path}.${key}`;
      if (typeof item === "string" && ADDRESS_LIKE.test(key) && !this.words.has(item)) this.words.set(item, here);
      else this.keep(name, item, here);
    }
  }

  resolved(value) {
    if (typeof value === "string") return value.replace(/\$[a-z_]+(\.\w+)+/g, (path) => this.found(path));
    if (Array.isArray(value)) return value.map((item) => this.resolved(item));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.resolved(item)]));
  }

  found(path) {
    const [name, ...members] = path.slice(1).split(".");
    const value = members.reduce((item, member) => item?.[member], this.kept.get(name));
    if (value === undefined) throw new Error(`nothing was kept as ${path}`);
    return value;
  }

  // What differs between two servers that do the same: ids, dates, and the order of lists.
  told(value, key = "") {
    if (value instanceof Date) return "<date>";
    if (typeof value === "string") return this.toldText(value, key);
    if (Array.isArray(value)) {
      const items = value.map((item) => this.told(item));
      return items.map((item) => [JSON.stringify(item), item]).sort().map(([, item]) => item);
    }
    if (value === null || typeof value !== "object") return value;
    const names = Object.keys(value).sort();
    return Object.fromEntries(names.map((name) => [name, this.told(value[name], name)]));
  }

  toldText(value, key) {
    if (this.words.has(value)) return this.words.get(value);
    if (OF_THE_PLACE.has(key)) return "<text>";
    if (ADDRESS_LIKE.test(key)) return "<id>";
    return value.replace(this.place.origin, "<origin>");
  }

  async take(step) {
    if (step.do === "wait") return await after(step.with.seconds);
    if (step.do === "letter") return await this.opened(step);
    if (step.do === "watch") return this.watched(step);
    if (step.do === "shown") return await this.shown(step);
    if (step.together) {
      const answers = await Promise.all(step.together.map((each) => this.take(each)));
      return { together: answers.map(({ cookies, ...answer }) => answer) }; // whose cookie came when is left to chance
    }
    const browser = this.browser(step.by);
    browser.changed = {};
    const answer = step.do === "fetch" ? await this.fetched(step) : await this.called(step);
    if (step.keep && answer.status === 200) this.keep(step.keep, answer.value);
    const { status, value } = answer;
    const cookies = browser.changed;
    return status === 200 ? { status, cookies, gave: this.told(value) } : { status, cookies, refused: this.told(value) };
  }

  // The token in the newest letter to somebody.
  async opened(step) {
    this.keep(step.keep, { token: await this.place.tokenFor(step.with.to) });
    return { status: 200, gave: null };
  }

  store({ by, with: { store } }) {
    return this.browser(by).client[`use${store[0].toUpperCase()}${store.slice(1)}`];
  }

  watched(step) {
    this.store(step).subscribe(() => {});
    return { status: 200, gave: null };
  }

  // What a store holds once it holds that; or what it holds instead.
  async shown(step) {
    const store = this.store(step);
    for (let tried = 0; tried < 200; tried += 1) {
      const { data, isPending, isRefetching } = store.get();
      if (!isPending && !isRefetching && has(data, this.resolved(step.with.until))) return { status: 200, gave: this.told(data) };
      await after(0.02);
    }
    return { status: 0, refused: this.told(store.get()) };
  }

  async called(step) {
    const names = step.do.split(".");
    const method = names.reduce((holder, name) => holder[name], this.browser(step.by).client);
    let status = 0;
    const given = { ...this.resolved(step.with), fetchOptions: { onResponse: ({ response }) => { status = response.status; } } };
    if (Object.keys(step.query).length) given.query = this.resolved(step.query);
    const result = await method(given);
    if (!result.error) return { status, value: result.data };
    const { status: _, statusText: __, ...body } = result.error;
    return { status, value: body };
  }

  // Past the client: what it would never send.
  async fetched(step) {
    const { method, path, body, headers } = this.resolved(step.with);
    const sent = body === undefined ? { redirect: "manual" } : { body, headers: { "content-type": "application/json", ...headers } };
    const answer = await this.browser(step.by).fetch(`${this.place.origin}/api/auth${path}`, { method, headers, ...sent });
    const text = await answer.text();
    const isJson = answer.headers.get("content-type")?.startsWith("application/json");
    return { status: answer.status, value: isJson && text ? JSON.parse(text) : text };
  }
}

async function servedPlace(name) {
  say({ begins: name });
  const { origin, people } = await heard();
  const tokenFor = async (email) => {
    say({ opens: email });
    return (await heard()).token;
  };
  return { origin, people, fetch, tokenFor };
}

const { reference, scenes } = await heard();
for (const { name, options, people, steps, hasWindow } of scenes) {
  if (hasWindow) globalThis.window = new EventTarget();
  const place = reference ? await openReference(options, people) : await servedPlace(name);
  const scene = new Scene(place);
  for (const person of place.people) await scene.arrive(person);
  const answers = [];
  for (const step of steps) {
    try {
      answers.push(await scene.take(step));
    } catch (error) {
      answers.push({ status: 0, refused: String(error) });
    }
  }
  say({ ended: name, answers });
}
process.exit(0);
