// Takes the steps of management_steps.py with `auth0` from npm: the steps come in as JSON, what was taken goes out.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(new URL("./packages/package.json", import.meta.url));
const { ManagementClient } = require("auth0");
const { domain, clientId, clientSecret, steps, kept } = JSON.parse(readFileSync(0, "utf8"));
const client = new ManagementClient({ domain, clientId, clientSecret, maxRetries: 0 });

const camel = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase());

function resolved(value) {
  if (typeof value === "string" && /^\$\w+(\.\w+)+$/.test(value)) {
    return value.slice(1).split(".").reduce((found, name) => found[name], kept);
  }
  if (Array.isArray(value)) return value.map(resolved);
  if (value && typeof value === "object") {
    if ("$file" in value) return new File([value.$file], "users.json", { type: "application/json" });
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, resolved(item)]));
  }
  return value;
}

function has(thing, wanted) {
  return Object.entries(wanted).every(([name, value]) => JSON.stringify(thing?.[name]) === JSON.stringify(value));
}

async function called(step) {
  const names = step.do.split(".").map(camel);
  const method = names.pop();
  const holder = names.reduce((found, name) => found[name], client);
  const body = step.with === null ? [] : [resolved(step.with)];
  return holder[method](...step.of.map(resolved), ...body);
}

async function items(result) {
  if (Array.isArray(result)) return result;
  const found = [];
  for await (const item of result) found.push(item);
  return found;
}

let taken = 0;
for (const step of steps) {
  let result;
  try {
    result = await called(step);
  } catch (error) {
    assert.ok(step.fails, `${step.do}: ${error.statusCode} ${JSON.stringify(error.body)} ${error.stack}`);
    assert.equal(error.statusCode, step.fails, step.do);
    taken += 1;
    continue;
  }
  assert.equal(step.fails, 0, `${step.do} was to fail`);
  if (step.holds) {
    const wanted = resolved(step.holds);
    result = (await items(result)).find((item) => has(item, wanted));
    assert.ok(result, `${step.do} does not hold ${JSON.stringify(wanted)}`);
  } else if (step.gives) {
    assert.ok(has(result, resolved(step.gives)), `${step.do} gave ${JSON.stringify(result)}`);
  }
  if (step.as) kept[step.as] = result;
  taken += 1;
}
process.stdout.write(JSON.stringify({ taken }));
