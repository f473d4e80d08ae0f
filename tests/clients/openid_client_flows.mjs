// One flow of openid-client, named by the first argument. The first line of the input says with what; a line
// {"open": address} on the output asks for a person with a browser, and the next line of the input says where
// they came back to. The last line of the output is {"result": ...}.
import readline from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(new URL("./packages/package.json", import.meta.url));
const client = await import(pathToFileURL(require.resolve("openid-client")));

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const next = async () => JSON.parse((await lines.next()).value);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const given = await next();
const issuer = new URL(given.issuer);

async function person(address) {
  say({ open: String(address) });
  return new URL((await next()).landed);
}

async function key(alg) {
  return await crypto.subtle.importKey("jwk", given.key, algorithms[alg], false, ["sign"]);
}
const algorithms = {
  ES256: { name: "ECDSA", namedCurve: "P-256" },
  PS256: { name: "RSA-PSS", hash: "SHA-256" },
  RS256: { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" },
};

async function authorize(config, build, extra = {}, options) {
  const verifier = client.randomPKCECodeVerifier();
  const checks = {
    pkceCodeVerifier: verifier,
    expectedState: client.randomState(),
    expectedNonce: client.randomNonce(),
    idTokenExpected: true,
  };
  const address = await build(
    config,
    {
      redirect_uri: given.redirect_uri,
      scope: given.scope,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state: checks.expectedState,
      nonce: checks.expectedNonce,
      ...extra,
    },
    options,
  );
  const landed = await person(address);
  return await client.authorizationCodeGrant(config, landed, checks, undefined, options);
}

const flows = {
  async code() {
    const config = await client.discovery(issuer, given.client_id, given.client_secret);
    const tokens = await authorize(config, client.buildAuthorizationUrl, given.extra);
    const { sub } = tokens.claims();
    const person = await client.fetchUserInfo(config, tokens.access_token, sub);
    const switched = await client.refreshTokenGrant(config, tokens.refresh_token, given.switch);
    const seen = await client.tokenIntrospection(config, switched.access_token);
    await client.tokenRevocation(config, switched.refresh_token);
    const gone = await client.tokenIntrospection(config, switched.access_token);
    return { claims: tokens.claims(), person, switched: switched.claims(), seen, gone };
  },

  async machine() {
    const config = await client.discovery(issuer, given.client_id, undefined, client.ClientSecretBasic(given.client_secret));
    return await client.clientCredentialsGrant(config, { audience: given.audience });
  },

  async secret_jwt() {
    const config = await client.discovery(issuer, given.client_id, undefined, client.ClientSecretJwt(given.client_secret));
    return await client.clientCredentialsGrant(config, { audience: given.audience });
  },

  async fapi() {
    const metadata = { id_token_signed_response_alg: given.id_token_alg, use_mtls_endpoint_aliases: false };
    const authentication = client.PrivateKeyJwt({ key: await key(given.alg), kid: given.kid });
    const config = await client.discovery(issuer, given.client_id, metadata, authentication);
    const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
    const tokens = await authorize(config, client.buildAuthorizationUrlWithPAR, given.extra, { DPoP });
    const { sub } = tokens.claims();
    const person = await client.fetchUserInfo(config, tokens.access_token, sub, { DPoP });
    const again = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
    await client.fetchUserInfo(config, again.access_token, sub, { DPoP });
    let stolen = "accepted";
    try {
      await client.fetchUserInfo(config, again.access_token, sub);
    } catch (error) {
      stolen = error.code ?? error.name;
    }
    return { token_type: tokens.token_type, claims: tokens.claims(), person, again: again.token_type, stolen };
  },

  async signed_request() {
    const authentication = client.PrivateKeyJwt({ key: await key(given.alg), kid: given.kid });
    const config = await client.discovery(issuer, given.client_id, undefined, authentication);
    const signing = { key: await key(given.alg), kid: given.kid };
    const build = (c, parameters) => client.buildAuthorizationUrlWithJAR(c, parameters, signing);
    const tokens = await authorize(config, build, given.extra);
    return { claims: tokens.claims() };
  },

  async device() {
    const config = await client.discovery(issuer, given.client_id, undefined, client.None());
    const waiting = await client.initiateDeviceAuthorization(config, { scope: given.scope });
    await person(waiting.verification_uri_complete).catch(() => undefined);
    const tokens = await client.pollDeviceAuthorizationGrant(config, { ...waiting, interval: 1 });
    return { claims: tokens.claims(), scope: tokens.scope };
  },

  async registration() {
    const config = await client.dynamicClientRegistration(
      issuer,
      { redirect_uris: [given.redirect_uri], token_endpoint_auth_method: "none", client_name: "Registered" },
      client.None(),
      given.initial_access_token ? { initialAccessToken: given.initial_access_token } : undefined,
    );
    const tokens = await authorize(config, client.buildAuthorizationUrl, given.extra);
    return { client_id: config.clientMetadata().client_id, claims: tokens.claims() };
  },
};

say({ result: await flows[process.argv[2]]() });
process.exit(0);
