/* Access tokens of a public client, each kept with the organization it is for and handed out for no other.

   import { createTokens } from "https://acme.example.com/assets/organization-tokens.js"

   Without dependencies. */

const EARLY = 10_000; // milliseconds before its end at which a token is asked for anew
const PATIENCE = 10_000; // and for which a hidden frame is waited for

/** `refreshToken` where the page has one, else every token is asked for silently in a hidden frame (`prompt=none`), which
   takes `redirectUri` to be an address of this page's own origin. */
export function createTokens({ issuer, clientId, redirectUri, audience, scope = "openid", refreshToken = null }) {
  const tenant = new URL(issuer);
  const kept = new Map();
  const underWay = new Map();
  let refreshing = Promise.resolve();
  let person = null;
  let active = null;
  let wanted = null;
  let signIn = 0;

  async function token(form) {
    const response = await fetch(new URL("oauth/token", tenant), {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({ client_id: clientId, ...form }),
    });
    const answer = await response.json().catch(() => null);
    if (response.ok && answer) return answer;
    throw new Error(answer?.error_description ?? answer?.error ?? "The issuer did not answer.");
  }

  /** One after the other: each use of a refresh token ends it. */
  function refreshed(organization, turn) {
    const answer = refreshing.then(async () => {
      check(turn);
      const given = await token({ grant_type: "refresh_token", refresh_token: refreshToken, organization });
      check(turn);
      refreshToken = given.refresh_token ?? refreshToken;
      return given;
    });
    refreshing = answer.catch(() => undefined);
    return answer;
  }

  async function silent(organization) {
    const [state, verifier] = [random(), random() + random()];
    const code = await framed(authorization({ organization, state, challenge: await challenge(verifier) }), state);
    return token({ grant_type: "authorization_code", code, code_verifier: verifier, redirect_uri: redirectUri });
  }

  function authorization({ organization, state, challenge }) {
    const address = new URL("authorize", tenant);
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
      const timer = setTimeout(end, PATIENCE, reject, new Error("The issuer did not answer."));
      function heard(event) {
        const said = event.data?.response;
        if (event.source !== frame.contentWindow || event.origin !== tenant.origin || said?.state !== state) return;
        if (said.error) end(reject, new Error(said.error_description ?? said.error));
        else if (said.iss !== tenant.href) end(reject, new Error("Another issuer answered."));
        else end(resolve, said.code);
      }
      addEventListener("message", heard);
      document.body.append(frame);
    });
  }

  /** A token that runs for a while yet. Who asks while it is asked for waits for the same one. */
  function fresh(organization) {
    const known = kept.get(organization);
    if (known && known.until > Date.now() + EARLY) return known.accessToken;
    if (!underWay.has(organization)) {
      const made = make(organization, signIn).finally(() => {
        if (underWay.get(organization) === made) underWay.delete(organization);
      });
      underWay.set(organization, made);
    }
    return underWay.get(organization);
  }

  async function make(organization, turn) {
    const answer = await (refreshToken ? refreshed(organization, turn) : silent(organization));
    check(turn);
    const claims = claimsOf(answer.access_token);
    if (!claims) throw new Error("The access token cannot be read: name the audience of an API.");
    if (claims.org_id !== organization) throw new Error("The token is for another organization.");
    person ??= claims.sub;
    if (claims.sub !== person) throw new Error("Somebody else is signed in by now.");
    kept.set(organization, { accessToken: answer.access_token, until: Date.now() + answer.expires_in * 1000 });
    return answer.access_token;
  }

  /** What was asked for before somebody signed out is for nobody. */
  function check(turn) {
    if (turn !== signIn) throw new Error("Signed out.");
  }

  return {
    get active() {
      return active;
    },

    /** For `<keystead-organization-switcher>`: active once there is a token for it, unless another was chosen since. */
    async switchOrganization({ id }) {
      wanted = id;
      await fresh(id);
      if (wanted === id) active = id;
    },

    /** Of the organization that is named, never of another. */
    async accessToken(organization = active) {
      if (!organization) throw new Error("No organization is active.");
      return fresh(organization);
    },

    /** After signing out. */
    forget() {
      signIn += 1;
      kept.clear();
      underWay.clear();
      refreshToken = person = active = wanted = null;
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
