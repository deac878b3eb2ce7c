/** Where the app is: the base path that the server wrote into the page. */
export const base = new URL(document.baseURI)

/** Absolute URL of a path of the server, which is already escaped: "/dav/…". */
export function at(path: string): string {
  return base.href.replace(/\/$/, '') + path
}

/** Escapes a path segment by segment; $ and ! may stand as they are. */
export function escapePath(path: string): string {
  return path
    .split('/')
    .filter(Boolean)
    .map((segment) => '/' + encodeURIComponent(segment).replaceAll('%24', '$').replaceAll('%21', '!'))
    .join('')
}
