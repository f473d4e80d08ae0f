// What a browser adds to `fetch` of a page at ORIGIN, and Node does not: the origin and the cookies.
const send = globalThis.fetch;
const cookies = new Map();

globalThis.fetch = async (address, options = {}) => {
  const headers = new Headers(options.headers);
  headers.set("origin", process.env.ORIGIN);
  if (cookies.size) headers.set("cookie", [...cookies].map(([name, value]) => `${name}=${value}`).join("; "));
  const answer = await send(address, { ...options, headers });
  for (const line of answer.headers.getSetCookie()) {
    const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
    cookies.set(name, value);
  }
  return answer;
};
