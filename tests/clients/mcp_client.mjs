// The client of @modelcontextprotocol/sdk as an agent that knows nothing but the address of a tenant's /mcp. The first
// line of the input says with what; {"open": address} on the output asks for a person with a browser, and the next
// line of the input says where they came back to. Then each line of the input is a call, [tool, arguments], answered
// by a line; an empty list ends. {"result": ...} is the last.
import readline from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(new URL("./packages/package.json", import.meta.url));
const load = (name) => import(pathToFileURL(require.resolve(`@modelcontextprotocol/sdk/${name}`)));
const { Client } = await load("client/index.js");
const { StreamableHTTPClientTransport } = await load("client/streamableHttp.js");
const { UnauthorizedError } = await load("client/auth.js");

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const next = async () => JSON.parse((await lines.next()).value);
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const given = await next();

const kept = {};
let wanted;
const provider = {
  redirectUrl: given.redirect_uri,
  clientMetadata: {
    client_name: "Agent from npm",
    redirect_uris: [given.redirect_uri],
    grant_types: ["authorization_code", "refresh_token"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  },
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => void (kept.tokens = tokens),
  redirectToAuthorization: (address) => void (wanted = address),
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  codeVerifier: () => kept.verifier,
};

const address = new URL(given.address);
const connected = async () => {
  const client = new Client({ name: "keystead-tests", version: "1" });
  const transport = new StreamableHTTPClientTransport(address, { authProvider: provider });
  try {
    await client.connect(transport);
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    say({ open: String(wanted) });
    await transport.finishAuth(new URL((await next()).landed).searchParams.get("code"));
    return await connected();
  }
  return client;
};

const client = await connected();
const { tools } = await client.listTools();
say({ ready: { tools: tools.map(({ name }) => name), server: client.getServerVersion(), asked: String(wanted) } });
for (let call = await next(); call.length; call = await next()) {
  const { isError, structuredContent } = await client.callTool({ name: call[0], arguments: call[1] });
  say({ isError, value: structuredContent });
}
await client.close();
say({ result: { client_id: kept.client.client_id, scope: kept.tokens.scope, token: kept.tokens.access_token } });
