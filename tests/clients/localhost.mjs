// Names under .localhost are the loopback address (RFC 6761), also where the system's resolver does not know them.
import dns from "node:dns";

const real = dns.lookup;
dns.lookup = (host, ...rest) => real(host.endsWith(".localhost") ? "127.0.0.1" : host, ...rest);
