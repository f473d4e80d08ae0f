// Better Auth's own server, in this process and with its tables in memory: what a step's answer is compared with.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(new URL("../packages/package.json", import.meta.url));
const from = (name) => import(pathToFileURL(require.resolve(name)));

const ORIGIN = "https://reference.localhost";
const TABLES = ["user", "session", "account", "verification", "organization", "member", "invitation", "team", "teamMember"];
const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());

// A tenant's options by the reference's names: hours are seconds there, and a limit that is none is left out.
function named(options) {
  const found = {};
  for (const [name, value] of Object.entries(options)) {
    if (value === null) continue;
    if (name === "invitation_expires_in") found.invitationExpiresIn = value * 3600;
    else if (name === "default_team") found.defaultTeam = { enabled: value };
    else found[camel(name)] = typeof value === "object" ? named(value) : value;
  }
  return found;
}

export async function openReference(options, people) {
  const { betterAuth } = await from("better-auth");
  const { memoryAdapter } = await from("better-auth/adapters/memory");
  const { organization } = await from("better-auth/plugins");
  const access = await from("better-auth/plugins/organization/access");
  const tables = Object.fromEntries([...TABLES, "organizationRole"].map((name) => [name, []]));
  const letters = new Map();
  const { teams, dynamic_access_control: dynamic, ...rest } = options;
  const auth = betterAuth({
    baseURL: ORIGIN,
    secret: "a secret of the tests that is long enough for it",
    database: memoryAdapter(tables),
    emailAndPassword: {
      enabled: true,
      sendResetPassword: async ({ user, token }) => void letters.set(user.email, token),
      password: { hash: async (password) => `plain:${password}`, verify: async ({ hash, password }) => hash === `plain:${password}` },
    },
    emailVerification: { sendVerificationEmail: async ({ user, token }) => void letters.set(user.email, token) },
    user: { deleteUser: { enabled: true }, changeEmail: { enabled: true } },
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { disabled: true },
    plugins: [
      organization({
        ac: access.defaultAc,
        roles: { owner: access.ownerAc, admin: access.adminAc, member: access.memberAc, guest: access.defaultAc.newRole({}) },
        requireEmailVerificationOnInvitation: true,
        ...named(rest),
        teams: { enabled: true, ...named(teams ?? {}) },
        dynamicAccessControl: { enabled: true, ...named(dynamic ?? {}) },
      }),
    ],
  });
  for (const { email, password, name, verified } of people) {
    await auth.api.signUpEmail({ body: { email, password, name } });
    tables.user.find((user) => user.email === email).emailVerified = verified;
  }
  tables.session.length = 0; // whoever signs up is signed in
  return { origin: ORIGIN, people, fetch: (request) => auth.handler(request), tokenFor: async (email) => letters.get(email) };
}
