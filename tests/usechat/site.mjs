// What a page in a browser has and Node lacks: a fetch that knows its site and its cookies.

/** Have `fetch` take paths of the site, as the user of this cookie. */
export function visit(site, cookie) {
  const fetchAnywhere = globalThis.fetch;
  globalThis.fetch = (url, { headers, ...options } = {}) =>
    fetchAnywhere(new URL(url, site), {
      ...options,
      headers: { ...Object.fromEntries(new Headers(headers)), cookie, origin: site },
    });
}
