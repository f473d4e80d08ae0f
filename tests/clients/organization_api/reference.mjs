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

function schemaOf(fields = {}) {
  const optional = (field) => ({ required: false, ...field });
  const schema = ([name, members]) => [
    name,
    { additionalFields: Object.fromEntries(Object.entries(members).map(([key, field]) => [key, optional(field)])) },
  ];
  return Object.fromEntries(Object.entries(fields).map(schema));
}

// The built-in roles, the guest that the reference lacks, and what a tenant adds to all of them.
function rolesOf(access, createAccessControl, statements = {}, roles = {}) {
  const ac = createAccessControl({ ...access.defaultStatements, ...statements });
  const known = { owner: access.ownerAc, admin: access.adminAc, member: access.memberAc, guest: { statements: {} } };
  const names = [...new Set([...Object.keys(known), ...Object.keys(roles)])];
  const role = (name) => ac.newRole({ ...known[name]?.statements, ...roles[name] });
  return { ac, roles: Object.fromEntries(names.map((name) => [name, role(name)])) };
}

export async function openReference(options, people) {
  const { betterAuth } = await from("better-auth");
  const { memoryAdapter } = await from("better-auth/adapters/memory");
  const { organization } = await from("better-auth/plugins");
  const access = await from("better-auth/plugins/organization/access");
  const { createAccessControl } = await from("better-auth/plugins/access");
  const tables = Object.fromEntries([...TABLES, "organizationRole"].map((name) => [name, []]));
  const letters = new Map();
  const { teams, dynamic_access_control: dynamic, additional_fields: fields, statements, roles, ...others } = options;
  const { allow_user_deletion: goes = false, allow_email_change: moves = false, ...rest } = others;
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
    user: { deleteUser: { enabled: goes }, changeEmail: { enabled: moves } },
    rateLimit: { enabled: false },
    telemetry: { enabled: false },
    logger: { disabled: true },
    plugins: [
      organization({
        ...rolesOf(access, createAccessControl, statements, roles),
        schema: schemaOf(fields),
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
